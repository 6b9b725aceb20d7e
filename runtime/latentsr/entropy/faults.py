"""Words for what the kernels find wrong in entropy-coded data."""

from __future__ import annotations

from latentsr._kernels import Status
from latentsr.errors import CorruptStream, UsageError


def corruption(form: str, status: Status, position: int, detail: int) -> CorruptStream:
    """The error for a decoder's finding; the remedy is the same for all.

    Args:
        form: the stream form that was read.
        status: any fault of the bytes; kernels/include/latentsr/status.h explains each.
        position: symbols decoded before, or the lane of a first state.
        detail: the number that the status speaks of.
    """
    found = (_lanes if form == "lanes" else _compressai)(status, position, detail)
    return CorruptStream(
        f"entropy-coded data, {found}; get the stream again, or decode it with the bundle it was "
        "written with"
    )


def bad_index(position: int, found: int, rows: int) -> UsageError:
    """The error for an index that names no row of the tables."""
    return UsageError(
        f"indexes, element {position}: found {found}, expected 0 to {rows - 1}, a row of the tables"
    )


def _compressai(status: Status, position: int, detail: int) -> str:
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
    return words[status]


def _lanes(status: Status, position: int, detail: int) -> str:
    words = {
        Status.BAD_HEADER: f"first byte: found {detail}, expected logarithms of up to 32 lanes and "
        "256 parts"
        if detail >= 0
        else "length of a section: found no valid number, expected a varint",
        Status.ODD_SIZE: f"found {detail} bytes, which leave half a word",
        Status.TRUNCATED: f"truncated: found {detail} bytes, expected more at symbol {position}",
        Status.TRAILING: f"trailing words: found {detail} after {position} symbols, expected 0",
        Status.TRAILING_SIDE: f"trailing escaped values: found {detail} bytes after {position} "
        "symbols, expected 0",
        Status.BAD_START: f"first state of lane {position}: found {detail:#x}, expected 2^16 or "
        "more",
        Status.BAD_END: f"wrong final state: found {detail:#x}, expected {1 << 16:#x}",
        Status.BAD_ESCAPE: f"escaped value of symbol {position}: found {detail} bytes that no "
        "encoder writes, expected up to 5 that give an int32",
    }
    return words[status]
