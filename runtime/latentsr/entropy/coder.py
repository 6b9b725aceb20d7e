"""Coder: integer arrays to bytes and back, with the tables prepared once.

The work is done by `latentsr._kernels`, without the GIL; this file checks what goes in and puts
the kernels' findings into words. The format is explained in `latentsr.entropy.reference`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.entropy.tables import Tables
from latentsr.errors import BundleError, CorruptStream, StreamError, UsageError

FORMS = ("compressai",)
"""Names of the stream forms that `Coder` reads and writes."""


class Coder:
    """Encodes and decodes symbols with one set of tables; many threads may share one coder.

    Args:
        tables: distributions of 16 bits precision.

    Raises:
        UsageError: the tables have another precision.
    """

    def __init__(self, tables: Tables) -> None:
        if tables.precision != 16:
            raise UsageError(f"tables: found precision {tables.precision}, expected 16")
        self.tables = tables
        self._native = _kernels.CdfTables(tables.cdf, tables.length, tables.offset)

    def encode(
        self,
        symbols: NDArray[np.integer],
        indexes: NDArray[np.integer],
        form: str = "compressai",
        threads: int = 1,
    ) -> bytes:
        """Code `symbols` in C order, each with the distribution that `indexes` names.

        Args:
            symbols: integers of any shape, every value an int32.
            indexes: integers of the same shape, rows of the tables; uint8 is taken as it is.
            form: one of `FORMS`.
            threads: threads that may be used; the `compressai` form is one chain and uses one.

        Returns:
            The stream: at least 8 bytes, a multiple of 4. It holds neither shape nor count.

        Raises:
            UsageError: unknown form, shapes that differ, or a value out of its range.
        """
        _check_options(form, threads)
        flat_symbols = _flat_int32("symbols", symbols)
        flat_indexes = _flat_indexes(indexes)
        if np.shape(symbols) != np.shape(indexes):
            raise UsageError(
                f"indexes: found shape {np.shape(indexes)}, expected that of the symbols, "
                f"{np.shape(symbols)}"
            )
        outcome, data = self._native.encode_compressai(flat_symbols, flat_indexes)
        self._raise_unless_ok(outcome)
        return data

    def decode(
        self,
        data: bytes | bytearray | memoryview,
        indexes: NDArray[np.integer],
        form: str = "compressai",
        threads: int = 1,
        out: NDArray[np.int32] | None = None,
    ) -> NDArray[np.int32]:
        """Decode one symbol for each index, the inverse of `encode`.

        Args:
            data: one whole stream, no byte more or less; any bytes are safe.
            indexes: as given to `encode`.
            form, threads: as for `encode`.
            out: int32 array of the indexes' shape in C order; meaningless after an error.

        Returns:
            int32 array of the indexes' shape; `out` itself when it was given.

        Raises:
            CorruptStream: truncated, trailing or damaged data, or tables or indexes that are not
                the encoder's. A container needs a checksum too: some damage is well-formed.
            UsageError: unknown form, an index out of range, or an `out` that does not fit.
        """
        _check_options(form, threads)
        flat_indexes = _flat_indexes(indexes)
        symbols = np.empty(np.shape(indexes), np.int32) if out is None else out
        _check_out(symbols, np.shape(indexes))
        flat_data = np.frombuffer(data, np.uint8)
        outcome = self._native.decode_compressai(flat_data, flat_indexes, symbols.reshape(-1))
        self._raise_unless_ok(outcome)
        return symbols

    def _raise_unless_ok(self, outcome: tuple[Status, int, int]) -> None:
        status, position, detail = outcome
        if status == Status.OK:
            return
        if status == Status.BAD_INDEX:
            raise UsageError(
                f"indexes, element {position}: found {detail}, expected 0 to "
                f"{self.tables.rows - 1}, a row of the tables"
            )
        raise _corruption(status, position, detail)


def scale_indexes(scales: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Row of the Gaussian tables for each predicted scale, as CompressAI's `build_indexes`.

    Args:
        scales: float32 of any shape, standard deviations in quantisation steps.
        table: float32 (entries,), the scales of the rows, rising, 1 to 256 of them.

    Returns:
        uint8 array of the scales' shape: the first row whose scale is not below the predicted
        one; the last row when there is none.

    Raises:
        BundleError: the table is empty, too long, of another type, or does not rise.
        StreamError: a scale is NaN, so the network that made it ran on damaged numbers.
        UsageError: the scales are not float32.
    """
    if table.dtype != np.float32 or table.ndim != 1 or not 1 <= table.size <= 256:
        raise BundleError(
            f"scale table: found {table.dtype} {table.shape}, expected 1 to 256 float32 values"
        )
    if not np.all(table[:-1] < table[1:]) or np.isnan(table).any():
        raise BundleError("scale table: found values that do not rise, expected rising scales")
    if scales.dtype != np.float32:
        raise UsageError(f"scales: found {scales.dtype}, expected float32")
    out = np.empty(scales.shape, np.uint8)
    flat = np.ascontiguousarray(scales).reshape(-1)
    thresholds = np.ascontiguousarray(table[:-1])
    status, position, _ = _kernels.scale_indexes(flat, thresholds, out.reshape(-1))
    if status == Status.NOT_A_NUMBER:
        raise StreamError(
            f"scales, element {position}: found NaN, expected a number; the entropy-parameter "
            "network overflowed, check its weights and precision"
        )
    return out


def _check_options(form: str, threads: int) -> None:
    if form not in FORMS:
        raise UsageError(f"stream form: found {form!r}, expected one of {', '.join(FORMS)}")
    if threads < 1:
        raise UsageError(f"threads: found {threads}, expected 1 or more")


def _check_out(out: NDArray[np.int32], shape: tuple[int, ...]) -> None:
    fits = out.dtype == np.int32 and out.shape == shape and out.flags.c_contiguous
    if not fits or not out.flags.writeable:
        raise UsageError(
            f"out: found {out.dtype} {out.shape}, contiguous: {out.flags.c_contiguous}, writeable: "
            f"{out.flags.writeable}; expected a contiguous writeable int32 array {shape}"
        )


def _flat_indexes(indexes: NDArray[np.integer]) -> NDArray[np.integer]:
    array = np.asarray(indexes)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array).reshape(-1)
    return _flat_int32("indexes", array)


def _flat_int32(name: str, values: NDArray[np.integer]) -> NDArray[np.int32]:
    """The values in C order as int32; refuses what does not fit instead of wrapping it."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise UsageError(f"{name}: found {array.dtype}, expected integers")
    limits = np.iinfo(np.int32)
    if array.size and not np.can_cast(array.dtype, np.int32):
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise UsageError(f"{name}: found values {low} to {high}, expected 32-bit integers")
    return np.ascontiguousarray(array, dtype=np.int32).reshape(-1)


def _corruption(status: Status, position: int, detail: int) -> CorruptStream:
    """Words for what the decoder found; the remedy is the same for all."""
    state = detail % (1 << 64)  # states cross the binding as signed numbers
    words = {
        Status.ODD_SIZE: f"found {detail} bytes, expected a multiple of 4",
        Status.TRUNCATED: f"truncated: found {detail} bytes, expected more at symbol {position}",
        Status.TRAILING: f"trailing words: found {detail} after {position} symbols, expected 0",
        Status.BAD_START: f"first state: found {state:#x}, expected 2^31 to 2^63 - 1",
        Status.BAD_END: f"wrong final state: found {state:#x}, expected {1 << 31:#x}",
        Status.BAD_ESCAPE: f"escaped value of symbol {position}: found {detail} groups that no "
        "encoder writes, expected up to 9 that give an int32",
    }
    return CorruptStream(
        f"entropy-coded data, {words[status]}; get the stream again, or decode it with the bundle "
        "it was written with"
    )
