"""Rectangles of values: views in host memory, and on a device arrays that are cut there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsr.backends.values import Resident
from latentsr.errors import BundleError

Value = np.ndarray | Resident
"""A picture (H, W, 3), or planes (N, C, H, W), perhaps on the device of the engine that made it."""
Span = tuple[int, int]
"""Positions from the first to before the second."""
Region = tuple[Span, Span]


@dataclass(frozen=True)
class Held:
    """A value, or the rectangle of it whose first row and column have these numbers."""

    array: Value
    begins: tuple[int, int] = (0, 0)

    def part(self, rows: Span, columns: Span) -> Value:
        """A rectangle; BundleError where the value does not reach so far."""
        (top, bottom), (left, right) = (
            (span[0] - begin, span[1] - begin)
            for span, begin in zip((rows, columns), self.begins, strict=True)
        )
        flat = self.array.ndim == 3
        sides = self.array.shape[:2] if flat else self.array.shape[2:]
        if min(top, left) < 0 or bottom > sides[0] or right > sides[1]:
            raise BundleError(
                f"a value is smaller than its graph's window says: found {sides} from "
                f"{self.begins} on, expected rows {rows} and columns {columns}; export the bundle "
                "again"
            )
        if isinstance(self.array, Resident):
            return self.array.window(top, left, bottom - top, right - left)
        places = slice(top, bottom), slice(left, right)
        return self.array[places if flat else (slice(None), slice(None), *places)]


def room_for(piece: Value, region: Region) -> Value:
    """An array for a region of what this is a piece of, on the same device; not written."""
    rows, columns = (last - first for first, last in region)
    if isinstance(piece, Resident):
        return piece.empty(rows, columns)
    if piece.ndim == 3:
        return np.empty((rows, columns, piece.shape[2]), piece.dtype)
    return np.empty((*piece.shape[:2], rows, columns), piece.dtype)


def place(array: Value, region: Region, rows: Span, columns: Span, piece: Value) -> None:
    """Copy a piece to its rows and columns in the array of a region."""
    (top, bottom), (left, right) = (
        (span[0] - whole[0], span[1] - whole[0])
        for span, whole in zip((rows, columns), region, strict=True)
    )
    if isinstance(array, Resident):
        array.put(piece, top, left)
    elif piece.ndim == 3:
        array[top:bottom, left:right] = piece
    else:
        array[:, :, top:bottom, left:right] = piece
