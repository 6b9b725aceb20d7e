"""Where tiles go: an array, or strips of rows that a file writer takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentsr.tiling.parts import Region, Span, Value, place, room_for


class ArraySink:
    """A region of a value as an array of the kind of its pieces; `array` after the last one.

    Pieces on a device are put together there.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._array: Value | None = None

    @property
    def array(self) -> Value:
        """The region, once all pieces were put."""
        if self._array is None:
            raise ValueError("no piece was put yet")
        return self._array

    def put(self, rows: Span, columns: Span, piece: Value) -> None:
        """Copy one piece; the only one becomes the array itself."""
        if self._array is None:
            if (rows, columns) == self._region:
                self._array = piece
                return
            self._array = room_for(piece, self._region)
        place(self._array, self._region, rows, columns, piece)

    def end_rows(self, rows: Span) -> None:
        """Nothing is left to do."""


class StripSink:
    """Rows of pictures, handed on as uint8 (rows, width, 3) as soon as they are whole."""

    def __init__(self, columns: Span, write: Callable[[np.ndarray], None]) -> None:
        self._columns, self._write = columns, write
        self._pieces: list[tuple[Span, Span, np.ndarray]] = []

    def put(self, rows: Span, columns: Span, piece: Value) -> None:
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
        strip = np.asarray(room_for(pieces[0][2], region))
        while pieces:
            place(strip, region, *pieces.pop())
        self._write(strip)
