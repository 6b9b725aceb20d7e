"""The stream container: golden bytes, round trip, and refusal of every damage."""

from __future__ import annotations

import struct
import zlib

import pytest

from latentsr.errors import CorruptStream, ImageError, LatentSRError, StreamError
from latentsr.stream import MAX_CHUNKS, MAX_SIDE, Padding, Stream, pack, pad_to, unpack

STREAM = Stream(75, 101, Padding(0, 1, 53, 26), b"01234567", (b"zz", b"yyy"), "compressai", 0xABCD)
EXACT = Stream(1, 1, Padding(), b"8 bytes!", (b"",), form="lanes", exact=True)
GOLDEN = bytes.fromhex(
    "4c5352 01 00 01 4b00 6500 0001351a 02 00 3031323334353637"  # head
    "02000000 03000000 7a7a 797979 cdab0000"  # lengths, chunks, CRC-32 of the symbols
)


def sealed(body: bytes) -> bytes:
    """A body with a right CRC-32 behind it."""
    return body + struct.pack("<I", zlib.crc32(body))


def test_golden_bytes() -> None:
    assert pack(STREAM) == sealed(GOLDEN)
    assert unpack(sealed(GOLDEN)) == STREAM
    assert unpack(pack(EXACT)) == EXACT and pack(EXACT)[4:6] == b"\x01\x02"


def test_without_symbol_crc() -> None:
    stream = Stream(1, 1, Padding(right=63, bottom=63), b"8 bytes!", (b"",))
    assert unpack(pack(stream)) == stream
    assert len(pack(stream)) == 28 + 4
    assert stream.padded_size == (64, 64)


def test_padded_size_counts_all_sides() -> None:
    stream = Stream(10, 20, Padding(1, 2, 4, 8), b"8 bytes!", (b"",))
    assert stream.padded_size == (20 + 2 + 8, 10 + 1 + 4)


def test_padding_to_multiples() -> None:
    assert pad_to((64, 128), 64) == pad_to((64, 128), 64, centred=True) == Padding()
    assert pad_to((65, 61), 64) == Padding(0, 0, 63, 3)
    # Of an odd number the larger half goes right and below, as in CompressAI's example.
    assert pad_to((65, 61), 64, centred=True) == Padding(31, 1, 32, 2)


def test_as_many_chunks_as_the_format_has() -> None:
    chunks = tuple(bytes([n]) * n for n in range(MAX_CHUNKS))
    stream = Stream(1, 1, Padding(), b"8 bytes!", chunks, symbol_crc=7)
    assert unpack(pack(stream)) == stream
    for wrong in ((), (*chunks, b"")):
        with pytest.raises(ValueError, match=r"1\.\.64 chunks"):
            pack(Stream(1, 1, Padding(), b"8 bytes!", wrong))


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)])
def test_sizes_that_cannot_be_coded(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"found {size[0]}x{size[1]}, expected 1..65535"):
        pack(Stream(*size, Padding(), b"8 bytes!", (b"",)))


def test_every_flip_and_cut_is_noticed() -> None:
    data = pack(STREAM)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StreamError):
            unpack(bytes(flipped))
    for end in range(len(data)):
        with pytest.raises(StreamError):
            unpack(data[:end])
    with pytest.raises(CorruptStream):
        unpack(data + b"\0")


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (4, 7, "form 7"),
        (5, 4, "flags 4"),
        (14, 0, "0 chunks"),
        (14, 65, "65 chunks"),
        (15, 1, "update latentsr"),
        (24, 200, "lengths disagree"),
    ],
)
def test_fields_under_a_right_crc(offset: int, value: int, message: str) -> None:
    body = bytearray(GOLDEN)
    body[offset] = value
    with pytest.raises(StreamError, match=message):
        unpack(sealed(bytes(body)))


def test_other_files_and_versions() -> None:
    with pytest.raises(StreamError, match="not a latentsr stream"):
        unpack(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(StreamError, match="not a latentsr stream"):
        unpack(b"")
    with pytest.raises(StreamError, match="unknown version: found 9"):
        unpack(b"LSR\x09" + bytes(60))


def test_size_zero_under_a_right_crc() -> None:
    body = bytearray(GOLDEN)
    body[6:8] = b"\0\0"
    with pytest.raises(LatentSRError, match="empty picture"):
        unpack(sealed(bytes(body)))
