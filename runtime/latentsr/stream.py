"""The stream container: one compressed picture as bytes. This docstring is its specification.

All integers are little-endian. A reader MUST refuse whatever breaks a rule below.

======  =====  ==================================================================================
offset  bytes  content
======  =====  ==================================================================================
0       3      magic, ``4C 53 52`` ("LSR")
3       1      version, 1
4       1      form of the entropy coder's output: 0 ``compressai``, 1 ``lanes``
5       1      flags: bit 0, a CRC-32 of the symbols is present; bit 1, scales and means come from
               the bundle's exact graphs, otherwise from its float graphs (as in CompressAI's
               own strings); all other bits MUST be 0
6       2      width of the picture in samples, 1..65535
8       2      height of the picture in samples, 1..65535
10      4      padding left, top, right, bottom in samples, 0..255 each; padding was added around
               the picture before analysis and is cropped after synthesis
14      1      number of chunks n, 1..64
15      1      0
16      8      fingerprint: the first 8 bytes of the SHA-256 that the bundle computes over all
               that entropy decoding depends on; another fingerprint means another bundle
24      4 n    length of each chunk in bytes
..      ..     the chunks, without gaps, in the order in which the bundle names them
..      0 / 4  with flag bit 0: CRC-32 (as in zlib) of all symbols as int32, chunk after chunk,
               each in C order of (channel, row, column)
end-4   4      CRC-32 of all bytes before it
======  =====  ==================================================================================

The grids of the latents follow from the padded size, so they are not stored. A scale hyperprior
has the chunks ``z``, ``y``; a factorized prior has ``y`` alone. A chunk with a context model (the
bundle says so) holds its symbols in the order in which they are decoded, in one part of the form
``lanes`` with exact scales and means, or in raster order in the form ``compressai`` with float
ones; the CRC-32 is over C order all the same. The fixed cost is 28 bytes and
4 for each chunk, and 4 for the symbols' CRC-32.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from latentsr.errors import CorruptStream, ImageError, StreamError

MAGIC = b"LSR"
VERSION = 1
FORMS = ("compressai", "lanes")
MAX_SIDE = 65535
MAX_CHUNKS = 64
_HEAD = struct.Struct("<3sBBBHH4BBB8s")
_FLAG_SYMBOL_CRC = 1
_FLAG_EXACT = 2
_KNOWN_FLAGS = _FLAG_SYMBOL_CRC | _FLAG_EXACT


class Padding(NamedTuple):
    """Samples added around a picture before analysis, 0..255 on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def pad_to(size: tuple[int, int], multiple: int, centred: bool = False) -> Padding:
    """Padding of a picture (width, height) to multiples: right and below, or on all sides."""
    right, bottom = (-side % multiple for side in size)
    left, top = (right // 2, bottom // 2) if centred else (0, 0)
    return Padding(left, top, right - left, bottom - top)


@dataclass(frozen=True)
class Stream:
    """One compressed picture, taken apart.

    form: one of `FORMS`, or of `manifest.FILE_MODELS` where the stream is a file without container.
    """

    width: int
    height: int
    padding: Padding
    fingerprint: bytes
    chunks: tuple[bytes, ...]
    form: str = "compressai"
    symbol_crc: int | None = None
    exact: bool = False

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width of the picture that went into the analysis transform."""
        pad = self.padding
        return self.height + pad.top + pad.bottom, self.width + pad.left + pad.right


def check_size(width: int, height: int) -> None:
    """Raise ImageError unless both sides are 1..65535."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(
            f"picture size cannot be coded: found {width}x{height}, expected 1..{MAX_SIDE} "
            "on each side; crop or scale the picture"
        )


def as_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """What was given as a stream; StreamError for what holds no bytes, such as a file's name."""
    if isinstance(data, bytes):
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise StreamError(
            f"not a stream: found {type(data).__name__}, expected bytes; read the file first"
        ) from None


def pack(stream: Stream) -> bytes:
    """Write a stream; ImageError or ValueError where a field does not fit the format."""
    check_size(stream.width, stream.height)
    if not 1 <= len(stream.chunks) <= MAX_CHUNKS or len(stream.fingerprint) != 8:
        raise ValueError("a stream has 1..64 chunks and a fingerprint of 8 bytes")
    flags = _FLAG_SYMBOL_CRC if stream.symbol_crc is not None else 0
    flags |= _FLAG_EXACT if stream.exact else 0
    head = _HEAD.pack(
        MAGIC, VERSION, FORMS.index(stream.form), flags, stream.width, stream.height,
        *stream.padding, len(stream.chunks), 0, stream.fingerprint,
    )  # fmt: skip
    lengths = struct.pack(f"<{len(stream.chunks)}I", *map(len, stream.chunks))
    crc = b"" if stream.symbol_crc is None else struct.pack("<I", stream.symbol_crc)
    body = b"".join([head, lengths, *stream.chunks, crc])
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(data: bytes) -> Stream:
    """Read a stream; StreamError where it is none, CorruptStream where its bytes are damaged."""
    head = _read_head(data)
    _, _, form, flags, width, height, left, top, right, bottom, count, zero, fingerprint = head
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise CorruptStream(
            f"stream is damaged: CRC-32 found {zlib.crc32(data[:-4]):08x}, "
            f"expected {struct.unpack('<I', data[-4:])[0]:08x}; fetch or write the stream again"
        )
    if form >= len(FORMS) or flags & ~_KNOWN_FLAGS or zero or not 1 <= count <= MAX_CHUNKS:
        raise StreamError(
            f"stream uses what this version does not know: found form {form}, flags {flags}, "
            f"{count} chunks, expected form below {len(FORMS)}, flags below 4, 1..{MAX_CHUNKS} "
            "chunks; update latentsr"
        )
    if width == 0 or height == 0:
        raise CorruptStream(f"stream has an empty picture: found {width}x{height}, expected >= 1")
    chunks, symbol_crc = _read_chunks(data, count, bool(flags & _FLAG_SYMBOL_CRC))
    padding = Padding(left, top, right, bottom)
    exact = bool(flags & _FLAG_EXACT)
    return Stream(width, height, padding, fingerprint, chunks, FORMS[form], symbol_crc, exact)


def _read_head(data: bytes) -> tuple:
    if len(data) < 3 or data[:3] != MAGIC:
        raise StreamError(
            f"not a latentsr stream: found first bytes {bytes(data[:4]).hex(' ') or 'none'}, "
            f"expected {MAGIC.hex(' ')}; pass a file that `latentsr encode` wrote"
        )
    if len(data) > 3 and data[3] != VERSION:
        raise StreamError(
            f"stream of an unknown version: found {data[3]}, expected {VERSION}; update latentsr"
        )
    if len(data) < _HEAD.size + 8:
        raise CorruptStream(
            f"stream is truncated: found {len(data)} bytes, expected at least "
            f"{_HEAD.size + 8}; fetch or write the stream again"
        )
    return _HEAD.unpack_from(data)


def _read_chunks(data: bytes, count: int, has_crc: bool) -> tuple[tuple[bytes, ...], int | None]:
    start = _HEAD.size + 4 * count
    tail = 8 if has_crc else 4
    lengths = (
        struct.unpack_from(f"<{count}I", data, _HEAD.size) if start + tail <= len(data) else ()
    )
    expected = start + sum(lengths) + tail
    if not lengths or expected != len(data):
        raise CorruptStream(
            f"stream length and chunk lengths disagree: found {len(data)} bytes, expected "
            f"{expected}; fetch or write the stream again"
        )
    chunks = []
    for length in lengths:
        chunks.append(bytes(data[start : start + length]))
        start += length
    return tuple(chunks), struct.unpack_from("<I", data, start)[0] if has_crc else None
