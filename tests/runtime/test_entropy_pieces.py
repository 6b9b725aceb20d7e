"""Streams coded in pieces are the streams of one call, and can be gone back into."""

from __future__ import annotations

import numpy as np
import pytest

from entropy_cases import CompressaiCoder, draw, gaussian_tables, random_tables
from latentsr.entropy import PieceDecoder, PieceEncoder, Position
from latentsr.errors import CorruptStream, UsageError

Piece = tuple[CompressaiCoder, np.ndarray, np.ndarray]


def pieces(rng: np.random.Generator, outside: float = 0.05) -> list[Piece]:
    """One to seven pieces of 0 to 60 symbols with tables of their own."""
    made = []
    for _ in range(rng.integers(1, 8)):
        tables = gaussian_tables(8) if rng.random() < 0.3 else random_tables(rng)
        made.append(
            (CompressaiCoder(tables), *draw(rng, tables, int(rng.integers(0, 61)), outside, 2**31))
        )
    return made


def written(made: list[Piece]) -> bytes:
    encoder = PieceEncoder()
    for coder, symbols, indexes in made:
        encoder.encode(coder, symbols, indexes)
    return encoder.flush()


@pytest.mark.parametrize("seed", range(100))
def test_pieces_with_tables_of_their_own(seed: int):
    rng = np.random.default_rng(seed)
    made = pieces(rng, float(rng.choice([0, 0.05, 1])))
    decoder = PieceDecoder(written(made))
    positions = []
    for coder, symbols, indexes in made:
        positions.append(decoder.position)
        assert np.array_equal(decoder.decode(coder, indexes), symbols)
    decoder.finish()
    for at in rng.permutation(len(made)):
        decoder.position = positions[at]
        coder, symbols, indexes = made[at]
        assert np.array_equal(decoder.decode(coder, indexes), symbols)
        assert decoder.position.symbols == sum(piece[1].size for piece in made[: at + 1])


@pytest.mark.parametrize("seed", range(30))
def test_pieces_are_what_one_call_codes(seed: int):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng)
    coder = CompressaiCoder(tables)
    symbols, indexes = draw(rng, tables, 500, 0.05, 2**31)
    cuts = np.sort(rng.integers(0, 501, 6))
    parts = list(zip(np.split(symbols, cuts), np.split(indexes, cuts), strict=True))
    stream = coder.encode(symbols, indexes)
    assert written([(coder, *part) for part in parts]) == stream
    decoder = PieceDecoder(stream)
    decoded = [decoder.decode(coder, part[1]) for part in parts]
    decoder.finish()
    assert np.array_equal(np.concatenate(decoded), symbols)


def test_an_empty_encoder_writes_the_empty_stream():
    encoder = PieceEncoder()
    coder = CompressaiCoder(gaussian_tables(4))
    empty = coder.encode(np.zeros(0, np.int32), np.zeros(0, np.uint8))
    assert encoder.flush() == empty
    encoder.encode(coder, np.zeros(3, np.int32), np.zeros(3, np.uint8))
    assert encoder.flush() != empty
    assert encoder.flush() == empty
    PieceDecoder(empty).finish()


def test_the_decoder_keeps_a_copy():
    coder = CompressaiCoder(gaussian_tables(4))
    symbols, indexes = draw(np.random.default_rng(0), coder.tables, 300)
    data = bytearray(coder.encode(symbols, indexes))
    decoder = PieceDecoder(data)
    data[:] = bytes(len(data))
    assert np.array_equal(decoder.decode(coder, indexes), symbols)


def test_out_and_shapes():
    coder = CompressaiCoder(gaussian_tables(4))
    symbols, indexes = draw(np.random.default_rng(1), coder.tables, 24)
    decoder = PieceDecoder(coder.encode(symbols, indexes))
    out = np.zeros((2, 3, 4), np.int32)
    assert decoder.decode(coder, indexes.reshape(2, 3, 4), out=out) is out
    assert np.array_equal(out.ravel(), symbols)
    with pytest.raises(UsageError, match="out: found"):
        decoder.decode(coder, indexes, out=out)


def test_faults_leave_the_decoder_where_it_was():
    coder = CompressaiCoder(gaussian_tables())
    symbols, indexes = draw(np.random.default_rng(2), coder.tables, 400)
    decoder = PieceDecoder(coder.encode(symbols, indexes))
    decoder.decode(coder, indexes[:100])
    before = decoder.position
    with pytest.raises(UsageError, match="element 1: found 64, expected 0 to 63"):
        decoder.decode(coder, np.array([0, 64]))
    with pytest.raises(CorruptStream, match=r"expected more at symbol [0-9]{3,}"):
        decoder.decode(coder, np.full(100_000, 63))
    with pytest.raises(CorruptStream, match="trailing words"):
        decoder.finish()
    assert decoder.position == before
    assert np.array_equal(decoder.decode(coder, indexes[100:]), symbols[100:])
    decoder.finish()


def test_a_stream_with_no_beginning_is_refused():
    for data in (b"", b"\0", bytes(4), bytes(7), bytes(8), b"\xff" * 8, bytes(4) + b"\0\0\0\x80"):
        with pytest.raises(CorruptStream):
            PieceDecoder(data)


def test_positions_from_elsewhere_are_refused():
    coder = CompressaiCoder(gaussian_tables(4))
    symbols, indexes = draw(np.random.default_rng(3), coder.tables, 50)
    decoder = PieceDecoder(coder.encode(symbols, indexes))
    state, byte, count = decoder.position
    size = len(coder.encode(symbols, indexes))
    for wrong in (
        (0, byte, 0), (2**63, byte, 0), (2**31 - 1, byte, 0), (2**64, byte, 0), (-1, byte, 0),
        (state, byte + 1, 0), (state, size + 4, 0), (state, 0, 0), (state, 2**64 - 4, 0),
        (state, -4, 0), (state, byte, -1),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="expected one that this decoder gave"):
            decoder.position = Position(*wrong)
    assert decoder.position == (state, byte, count)


def test_a_refused_piece_is_not_added():
    coder = CompressaiCoder(gaussian_tables(4))
    three = np.zeros(3, np.int32)
    encoder = PieceEncoder()
    encoder.encode(coder, three, three)
    with pytest.raises(UsageError, match="element 2: found -1, expected 0 to 3"):
        encoder.encode(coder, three, np.array([0, 0, -1]))
    with pytest.raises(UsageError, match="indexes: found shape"):
        encoder.encode(coder, three, three[:2])
    assert encoder.flush() == coder.encode(three, three)
