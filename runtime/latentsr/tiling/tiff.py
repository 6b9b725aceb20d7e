"""A TIFF file written strip by strip (TIFF 6.0), for pictures that do not fit into memory."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np

from latentsr.errors import ImageError

LEVEL = 4  # as in `png`
_STRIP = 1 << 20  # bytes of a strip before it is compressed, about
_LARGEST = (1 << 32) - 1
_SHORT, _LONG = 3, 4
_DEFLATE, _RGB, _DIFFERENCES = 8, 2, 2


class TiffWriter:
    """Writes uint8 RGB rows as they come, compressed by deflate; `close` after the last one.

    file: one that can seek. Files end before 4 GiB, as their offsets have 32 bits: ImageError.
    """

    def __init__(self, file: BinaryIO, width: int, height: int) -> None:
        self._file, self._width, self._height, self._left = file, width, height, height
        self._rows = max(1, min(height, _STRIP // (3 * width)))
        self._waiting: list[np.ndarray] = []
        self._count = 0
        self._offsets: list[int] = []
        self._sizes: list[int] = []
        file.write(struct.pack("<2sHI", b"II", 42, 0))

    def write(self, strip: np.ndarray) -> None:
        """The next rows, uint8 (rows, width, 3); ValueError for more than the picture has."""
        if strip.shape[1:] != (self._width, 3) or strip.dtype != np.uint8:
            raise ValueError(f"strip of {strip.dtype} {strip.shape}")
        if len(strip) > self._left:
            raise ValueError(f"{len(strip)} rows more, {self._left} expected")
        self._left -= len(strip)
        self._waiting.append(strip)
        self._count += len(strip)
        if self._count >= self._rows or not self._left:
            self._flush()

    def close(self) -> None:
        """Write the directory; ValueError where rows are missing."""
        if self._left:
            raise ValueError(f"{self._left} rows are missing")
        bits = self._place(struct.pack("<3H", 8, 8, 8))
        count = len(self._offsets)
        entries = [
            (256, _LONG, 1, self._width), (257, _LONG, 1, self._height), (258, _SHORT, 3, bits),
            (259, _SHORT, 1, _DEFLATE), (262, _SHORT, 1, _RGB),
            (273, _LONG, count, self._longs(self._offsets)), (277, _SHORT, 1, 3),
            (278, _LONG, 1, self._rows), (279, _LONG, count, self._longs(self._sizes)),
            (284, _SHORT, 1, 1), (317, _SHORT, 1, _DIFFERENCES),
        ]  # fmt: skip
        listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        directory = self._place(struct.pack("<H", len(entries)) + listed + struct.pack("<I", 0))
        self._file.seek(4)
        self._file.write(struct.pack("<I", directory))

    def _flush(self) -> None:
        """Write all whole strips that are waiting, and the last one, which may be shorter."""
        rows = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        while len(rows) >= self._rows or (len(rows) and not self._left):
            strip, rows = rows[: self._rows], rows[self._rows :]
            differences = strip.copy()
            differences[:, 1:] -= strip[:, :-1]
            packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
            data = packer.compress(differences.tobytes()) + packer.flush()
            self._offsets.append(self._place(data))
            self._sizes.append(len(data))
        self._waiting, self._count = ([rows.copy()] if len(rows) else []), len(rows)

    def _longs(self, numbers: list[int]) -> int:
        """The field of a list: itself where it is one number, else where it was written."""
        if len(numbers) == 1:
            return numbers[0]
        return self._place(struct.pack(f"<{len(numbers)}I", *numbers))

    def _place(self, data: bytes) -> int:
        """Write data at the next even offset and return that."""
        offset = self._file.tell()
        if offset % 2:
            offset += self._file.write(b"\0")
        if offset + len(data) > _LARGEST:
            raise ImageError(
                f"picture is too large for TIFF: found more than {_LARGEST} bytes, expected less; "
                "write .png"
            )
        self._file.write(data)
        return offset
