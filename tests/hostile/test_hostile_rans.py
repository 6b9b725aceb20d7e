"""Damaged entropy-coded data: always CorruptStream or an array, never a crash, hang or over-read.

LATENTSR_HOSTILE_ROUNDS sets how many damaged streams each kind of damage gets; the long runs use
it together with a build that has the sanitizers in.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest

from damage import flipped, spliced, truncated
from entropy_cases import CompressaiCoder, draw, gaussian_tables, random_tables
from latentsr.entropy import PieceDecoder, Position, reference
from latentsr.errors import CorruptStream

ROUNDS = int(os.environ.get("LATENTSR_HOSTILE_ROUNDS", "1500"))


def replaced(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    return rng.bytes(int(rng.integers(0, 2 * len(stream))))


def extreme(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    """A legal first state, then words of all zeros or ones: the longest escapes and slots."""
    word = b"\0\0\0\0" if rng.random() < 0.5 else b"\xff\xff\xff\xff"
    return rng.bytes(7) + b"\x7f" + word * int(rng.integers(0, 60))


def cases(rng: np.random.Generator) -> list[tuple[CompressaiCoder, np.ndarray, bytes]]:
    """Coders of all kinds of tables with a stream each, some of them mostly escapes."""
    made = []
    for number in range(12):
        tables = gaussian_tables() if number % 3 == 0 else random_tables(rng)
        outside = (0.0, 0.1, 1.0)[number // 3 % 3]
        symbols, indexes = draw(rng, tables, int(rng.integers(1, 80)), outside, 2**31)
        coder = CompressaiCoder(tables)
        made.append((coder, indexes, coder.encode(symbols, indexes)))
    return made


@pytest.mark.parametrize("damage", [truncated, flipped, spliced, replaced, extreme])
def test_damage_never_escapes(damage: Callable[..., bytes]):
    rng = np.random.default_rng(11)
    made = cases(rng)
    for turn in range(ROUNDS):
        coder, indexes, stream = made[turn % len(made)]
        data = damage(rng, stream, made[rng.integers(0, len(made))][2])
        try:
            decoded = coder.decode(data, indexes)
        except CorruptStream:
            continue
        # What a decoder lets pass is a stream that an encoder would write for those symbols.
        assert decoded.dtype == np.int32
        assert decoded.shape == indexes.shape
        assert coder.encode(decoded, indexes) == data


def test_kernel_and_reference_refuse_the_same():
    rng = np.random.default_rng(12)
    made = cases(rng)
    refused = 0
    for turn in range(600):
        coder, indexes, stream = made[turn % len(made)]
        damage = (flipped, spliced, truncated, extreme)[turn // len(made) % 4]
        data = damage(rng, stream, made[rng.integers(0, len(made))][2])
        results: list[list[int] | None] = []
        for decode in (
            lambda d, c=coder, i=indexes: c.decode(d, i).tolist(),
            lambda d, c=coder, i=indexes: reference.decode(c.tables, d, i.tolist()),
        ):
            try:
                results.append(decode(data))
            except CorruptStream:
                results.append(None)
        assert results[0] == results[1]
        refused += results[0] is None
    assert refused > 500


def test_few_single_flips_pass_unnoticed():
    """Every bit of a picture-like stream is flipped once; at most 1 in 100 may pass (here 0.7 %).

    A flip passes when it turns one symbol into another of the same frequency, or one escaped
    value into another, and leaves all else as it was: hence the checksums of the container.
    """
    rng = np.random.default_rng(13)
    tables = gaussian_tables()
    symbols, indexes = draw(rng, tables, 3_000, outside=0.001, reach=1 << 10)
    coder = CompressaiCoder(tables)
    stream = coder.encode(symbols, indexes)
    passed = 0
    for bit in range(8 * len(stream)):
        data = bytearray(stream)
        data[bit // 8] ^= 1 << (bit % 8)
        try:
            decoded = coder.decode(bytes(data), indexes)
        except CorruptStream:
            continue
        assert np.count_nonzero(decoded != symbols) == 1
        passed += 1
    assert passed / (8 * len(stream)) <= 1 / 100, f"{passed} of {8 * len(stream)} flips passed"


def test_wrong_indexes_are_noticed():
    """One index beside the right one, at each place: what a floating-point tie does."""
    rng = np.random.default_rng(14)
    tables = gaussian_tables()
    symbols, indexes = draw(rng, tables, 1_000, outside=0)
    coder = CompressaiCoder(tables)
    stream = coder.encode(symbols, indexes)
    noticed = 0
    for place in range(indexes.size):
        wrong = indexes.copy()
        wrong[place] += 1 if wrong[place] < tables.rows - 1 else -1
        try:
            coder.decode(stream, wrong)
        except CorruptStream:
            noticed += 1
    assert noticed >= 0.99 * indexes.size


@pytest.mark.parametrize("damage", [truncated, flipped, spliced, replaced, extreme])
def test_damage_never_escapes_a_decoder_in_pieces(damage: Callable[..., bytes]):
    """Pieces with changing tables, from positions saved before and from made-up ones."""
    rng = np.random.default_rng(15)
    made = cases(rng)
    for turn in range(ROUNDS):
        stream = made[turn % len(made)][2]
        data = damage(rng, stream, made[rng.integers(0, len(made))][2])
        try:
            decoder = PieceDecoder(data)
        except CorruptStream:
            continue
        start = decoder.position
        for _ in range(4):
            coder, indexes, _ = made[rng.integers(0, len(made))]
            before = decoder.position
            try:
                decoded = decoder.decode(coder, indexes)
            except CorruptStream:
                assert decoder.position == before
                break
            after = decoder.position
            decoder.position = before
            assert np.array_equal(decoder.decode(coder, indexes), decoded)
            assert decoder.position == after
        byte = 4 * int(rng.integers(2, len(data) // 4 + 1))
        decoder.position = Position(int(rng.integers(2**31, 2**63)), byte, 0)
        for position in (decoder.position, start):
            decoder.position = position
            try:
                decoder.decode(made[turn % len(made)][0], made[turn % len(made)][1])
                decoder.finish()
            except CorruptStream:
                continue
