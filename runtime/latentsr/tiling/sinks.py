"""Where tiles go: an array, or strips of rows that a file writer takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentsr.tiling.steps import Span

Region = tuple[Span, Span]


class ArraySink:
    """A region of a value as an array of the kind of its pieces; `array` after the last one."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._array: np.ndarray | None = None

    @property
    def array(self) -> np.ndarray:
        """The region, once all pieces were put."""
        if self._array is None:
            raise ValueError("no piece was put yet")
        return self._array

    def put(self, rows: Span, columns: Span, piece: np.ndarray) -> None:
        """Copy one piece; the only one becomes the array itself."""
        if self._array is None:
            if (rows, columns) == self._region:
                self._array = piece
                return
            self._array = _empty(piece, self._region)
        _place(self._array, self._region, rows, columns, piece)

    def end_rows(self, rows: Span) -> None:
        """Nothing is left to do."""


class StripSink:
    """Rows of pictures, handed on as uint8 (rows, width, 3) as soon as they are whole."""

    def __init__(self, columns: Span, write: Callable[[np.ndarray], None]) -> None:
        self._columns, self._write = columns, write
        self._pieces: list[tuple[Span, Span, np.ndarray]] = []

    def put(self, rows: Span, columns: Span, piece: np.ndarray) -> None:
        """Keep one piece."""
        # A piece may be a view of a larger array, which would stay.
        self._pieces.append((rows, columns, np.ascontiguousarray(piece)))

    def end_rows(self, rows: Span) -> None:
        """Write the strip."""
        pieces, self._pieces = self._pieces, []
        region = rows, self._columns
        if len(pieces) == 1:
            self._write(pieces[0][2])
            return
        strip = _empty(pieces[0][2], region)
        while pieces:
            _place(strip, region, *pieces.pop())
        self._write(strip)


def _empty(piece: np.ndarray, region: Region) -> np.ndarray:
    rows, columns = (last - first for first, last in region)
    if piece.ndim == 3:
        return np.empty((rows, columns, piece.shape[2]), piece.dtype)
    return np.empty((*piece.shape[:2], rows, columns), piece.dtype)


def _place(array: np.ndarray, region: Region, rows: Span, columns: Span, piece: np.ndarray) -> None:
    places = tuple(slice(span[0] - whole[0], span[1] - whole[0])
                   for span, whole in zip((rows, columns), region, strict=True))  # fmt: skip
    array[places if piece.ndim == 3 else (slice(None), slice(None), *places)] = piece
