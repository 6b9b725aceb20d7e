"""A PNG file written strip by strip (ISO/IEC 15948), for pictures that do not fit into memory."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np

LEVEL = 4
"""With zlib's strategy for filtered data, as small as level 6 without it, in half the time."""
_CHUNK = 1 << 18
_BAND = 64  # rows that are filtered together
_SUB, _UP, _AVERAGE = 1, 2, 3


class PngWriter:
    """Writes uint8 RGB rows as they come; `close` after the last one.

    Each row is filtered by the one of sub, up and average whose result has the smallest sum of
    absolute values, the rule of the PNG specification's section 12.8.
    """

    def __init__(self, file: BinaryIO, width: int, height: int) -> None:
        self._file, self._left, self._width = file, height, width
        self._above = np.zeros((1, width, 3), np.uint8)
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
        self._packed = bytearray()
        file.write(b"\x89PNG\r\n\x1a\n")
        # Eight bits, RGB, deflate, the filters of the standard, not interlaced.
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))

    def write(self, strip: np.ndarray) -> None:
        """The next rows, uint8 (rows, width, 3); ValueError for more than the picture has."""
        if strip.shape[1:] != (self._width, 3) or strip.dtype != np.uint8:
            raise ValueError(f"strip of {strip.dtype} {strip.shape}")
        if len(strip) > self._left:
            raise ValueError(f"{len(strip)} rows more, {self._left} expected")
        self._left -= len(strip)
        for first in range(0, len(strip), _BAND):
            band = strip[first : first + _BAND]
            self._packed += self._packer.compress(self._filtered(band))
            self._above = band[-1:].copy()
            while len(self._packed) >= _CHUNK:
                self._chunk(b"IDAT", bytes(self._packed[:_CHUNK]))
                del self._packed[:_CHUNK]

    def close(self) -> None:
        """Write the end; ValueError where rows are missing."""
        if self._left:
            raise ValueError(f"{self._left} rows are missing")
        self._packed += self._packer.flush()
        self._chunk(b"IDAT", bytes(self._packed))
        self._chunk(b"IEND", b"")

    def _filtered(self, band: np.ndarray) -> bytes:
        above = np.concatenate([self._above, band[:-1]])
        left = np.zeros_like(band)
        left[:, 1:] = band[:, :-1]
        # (a + b) // 2 without the ninth bit.
        average = (above & left) + ((above ^ left) >> 1)
        rows = len(band)
        ways = [(band - other).reshape(rows, -1) for other in (left, above, average)]
        sums = [np.minimum(way, np.uint8(0) - way).sum(axis=1, dtype=np.int64) for way in ways]
        best = np.argmin(sums, axis=0)
        lines = np.empty((rows, 1 + 3 * self._width), np.uint8)
        for number, kind in enumerate((_SUB, _UP, _AVERAGE)):
            lines[best == number, 0] = kind
            lines[best == number, 1:] = ways[number][best == number]
        return lines.tobytes()

    def _chunk(self, kind: bytes, data: bytes) -> None:
        crc = zlib.crc32(data, zlib.crc32(kind))
        self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc))
