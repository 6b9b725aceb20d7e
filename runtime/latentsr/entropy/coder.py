"""Coder: integer arrays to bytes and back, with the tables prepared once.

The work is done by `latentsr._kernels`, without the GIL; this file checks what goes in and puts
the kernels' findings into words (`latentsr.entropy.faults`). The forms are explained in
`latentsr.entropy.reference` and `latentsr.entropy.reference_lanes`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.entropy import isa
from latentsr.entropy.arrays import check_out, flat_indexes, flat_int32
from latentsr.entropy.faults import bad_index, corruption
from latentsr.entropy.tables import Tables
from latentsr.errors import UsageError

FORMS = ("compressai", "lanes")
"""Names of the stream forms that `Coder` reads and writes."""


class Coder:
    """Encodes and decodes symbols with one set of tables; many threads may share one coder.

    The environment variable LATENTSR_ISA (scalar, neon, avx2 or avx512) sets the instructions
    that read the `lanes` form; it is read once, with the coder's first such stream.

    Args:
        tables: distributions of 16 bits precision.
        skip: the `lanes` form leaves out the symbols of rows below it, which must be 0: at small
            scales nearly all are. Both sides must use the same number.

    Raises:
        UsageError: the tables have another precision, or fewer rows than `skip`.
    """

    def __init__(self, tables: Tables, skip: int = 0) -> None:
        if tables.precision != 16:
            raise UsageError(f"tables: found precision {tables.precision}, expected 16")
        if not 0 <= skip <= tables.rows:
            raise UsageError(f"skip: found {skip}, expected 0 to {tables.rows}, rows of the tables")
        self.tables = tables
        self.skip = skip
        self._native = _kernels.CdfTables(tables.cdf, tables.length, tables.offset)

    @property
    def native(self) -> _kernels.CdfTables:
        """The tables as the kernels take them; for the modules of this package."""
        return self._native

    @cached_property
    def lanes(self) -> _kernels.LaneTables:
        """Tables of the `lanes` form, for the modules of this package, too.

        Two threads may both make them, which is harmless.
        """
        return _kernels.LaneTables(self._native)

    @cached_property
    def _isa(self) -> _kernels.Isa:
        return isa.choose()

    def encode(
        self,
        symbols: NDArray[np.integer],
        indexes: NDArray[np.integer],
        form: str = "lanes",
        threads: int = 1,
        parts: int | None = None,
    ) -> bytes:
        """Code `symbols` in C order, each with the distribution that `indexes` names.

        Args:
            symbols: integers of any shape, every value an int32.
            indexes: integers of the same shape, rows of the tables; uint8 is taken as it is.
            form: one of `FORMS`.
            threads: threads that may be used, which never changes the bytes. Those of the
                `lanes` form work on parts of the stream; the other form is one chain.
            parts: parts of the `lanes` form, a power of two up to 256; None takes as many as
                cost 0.2 % of the bytes.

        Returns:
            The stream, at least 5 bytes. It holds neither shape nor count.

        Raises:
            UsageError: unknown form, shapes that differ, or a value out of its range.
        """
        _check_options(form, threads, parts)
        values = flat_int32("symbols", symbols)
        rows = flat_indexes(indexes)
        if np.shape(symbols) != np.shape(indexes):
            raise UsageError(
                f"indexes: found shape {np.shape(indexes)}, expected that of the symbols, "
                f"{np.shape(symbols)}"
            )
        if form == "lanes":
            outcome, data = self.lanes.encode(
                values, rows, parts=parts or 0, skip=self.skip, threads=threads
            )
        else:
            outcome, data = self._native.encode_compressai(values, rows)
        self._raise_unless_ok(form, outcome)
        return data

    def decode(
        self,
        data: bytes | bytearray | memoryview,
        indexes: NDArray[np.integer],
        form: str = "lanes",
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
            UsageError: unknown form, an index out of range, an `out` that does not fit, or an
                instruction set asked for that is not there.
        """
        _check_options(form, threads)
        rows = flat_indexes(indexes)
        symbols = np.empty(np.shape(indexes), np.int32) if out is None else out
        check_out(symbols, np.shape(indexes))
        flat_data = np.frombuffer(data, np.uint8)
        flat_out = symbols.reshape(-1)
        if form == "lanes":
            outcome = self.lanes.decode(
                flat_data, rows, flat_out, self._isa, skip=self.skip, threads=threads
            )
        else:
            outcome = self._native.decode_compressai(flat_data, rows, flat_out)
        self._raise_unless_ok(form, outcome)
        return symbols

    def _raise_unless_ok(self, form: str, outcome: tuple[Status, int, int]) -> None:
        status, position, detail = outcome
        if status == Status.OK:
            return
        if status == Status.BAD_INDEX:
            raise bad_index(position, detail, self.tables.rows)
        if status == Status.NOT_ZERO:
            raise UsageError(
                f"symbols, element {position}: found {detail}, expected 0, because its row lies "
                f"below skip = {self.skip}"
            )
        raise corruption(form, status, position, detail)


def _check_options(form: str, threads: int, parts: int | None = None) -> None:
    if form not in FORMS:
        raise UsageError(f"stream form: found {form!r}, expected one of {', '.join(FORMS)}")
    if threads < 1:
        raise UsageError(f"threads: found {threads}, expected 1 or more")
    if parts is not None and (not 1 <= parts <= 256 or parts & (parts - 1)):
        raise UsageError(f"parts: found {parts}, expected a power of two from 1 to 256")
