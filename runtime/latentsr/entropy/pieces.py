"""Coding in pieces: a decoder that stops and goes on, and an encoder that gathers first.

Both speak the `compressai` form. Context models need them: what the next symbols' distributions
are is known only after the symbols before are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.entropy.arrays import check_out, flat_indexes, flat_int32
from latentsr.entropy.coder import Coder
from latentsr.entropy.faults import bad_index, corruption
from latentsr.errors import UsageError


class Position(NamedTuple):
    """Where a `PieceDecoder` stands; only its own stream can be decoded from it."""

    state: int
    """Coder state, 2^31 to 2^63 - 1."""
    byte: int
    """Offset of the next word in the stream, a multiple of 4."""
    symbols: int
    """Symbols decoded before it."""


class PieceDecoder:
    """Decodes one stream a piece at a time, each with the tables and indexes of its own.

    After an error the decoder stands where it stood before the call. One thread at a time.

    Args:
        data: one whole stream of the `compressai` form, which is copied; any bytes are safe.

    Raises:
        CorruptStream: the data has no valid beginning.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._native = _kernels.StreamReader(np.frombuffer(data, np.uint8))
        _raise_unless_ok(self._native.start())

    def decode(
        self, coder: Coder, indexes: NDArray[np.integer], out: NDArray[np.int32] | None = None
    ) -> NDArray[np.int32]:
        """Decode the next symbols, one for each index, in C order.

        Args:
            coder: holds the tables.
            indexes: integers of any shape, rows of the coder's tables.
            out: int32 array of the indexes' shape in C order; meaningless after an error.

        Returns:
            int32 array of the indexes' shape; `out` itself when it was given.

        Raises:
            CorruptStream: the stream ends too early or holds what no encoder writes.
            UsageError: an index out of range, or an `out` that does not fit.
        """
        symbols = np.empty(np.shape(indexes), np.int32) if out is None else out
        check_out(symbols, np.shape(indexes))
        outcome = self._native.read(coder.native, flat_indexes(indexes), symbols.reshape(-1))
        _raise_unless_ok(outcome, coder.tables.rows)
        return symbols

    def finish(self) -> None:
        """Check that the stream ends here and in the encoder's first state.

        Raises:
            CorruptStream: it does not: symbols are missing, or something was damaged.
        """
        _raise_unless_ok(self._native.close())

    @property
    def position(self) -> Position:
        """Where the decoder stands, to go back to it later."""
        return Position(*self._native.position())

    @position.setter
    def position(self, position: Position) -> None:
        try:
            self._native.seek(position)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"position: found {tuple(position)}, expected one that this decoder gave"
            ) from error


class PieceEncoder:
    """Gathers symbols piece by piece and codes all of them at `flush`.

    A stream is written from its last symbol to its first, so nothing can be coded before all
    symbols are known. One thread at a time.
    """

    def __init__(self) -> None:
        self._native = _kernels.StreamWriter()

    def encode(
        self, coder: Coder, symbols: NDArray[np.integer], indexes: NDArray[np.integer]
    ) -> None:
        """Add symbols behind those that were added before.

        Args:
            coder: holds the tables; it may be another one for each call.
            symbols: integers of any shape, every value an int32, taken in C order and copied.
            indexes: integers of the same shape, rows of the coder's tables.

        Raises:
            UsageError: shapes that differ, or a value out of its range; nothing is added then.
        """
        if np.shape(symbols) != np.shape(indexes):
            raise UsageError(
                f"indexes: found shape {np.shape(indexes)}, expected that of the symbols, "
                f"{np.shape(symbols)}"
            )
        values = flat_int32("symbols", symbols)
        outcome = self._native.push(coder.native, values, flat_indexes(indexes))
        _raise_unless_ok(outcome, coder.tables.rows)

    def flush(self) -> bytes:
        """The stream of all symbols added; the encoder is empty afterwards."""
        return self._native.flush()


def _raise_unless_ok(outcome: tuple[Status, int, int], rows: int = 0) -> None:
    status, position, detail = outcome
    if status == Status.BAD_INDEX:
        raise bad_index(position, detail, rows)
    if status != Status.OK:
        raise corruption("compressai", status, position, detail)
