"""Tables: the quantised distributions that symbols are coded with, checked once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latentsr.errors import BundleError

MAX_OFFSET = 1 << 24
"""Largest |offset|; with it an escaped value always fits the groups that a stream may hold."""

_REMEDY = "export the bundle again from a codec whose update() has run"


@dataclass(frozen=True, eq=False)
class Tables:
    """A set of quantised cumulative distributions, one a row, in CompressAI's layout.

    Row r uses its first `length[r]` columns. Entry i is the number of coder states, out of
    2^precision, that belong to slots before slot i; so the first entry is 0, each is larger than
    the one before, and the last is 2^precision. Slot i stands for the value `offset[r] + i`,
    but the last slot is the escape: it announces a value outside the row. What lies beyond
    `length[r]` is padding and without meaning.

    Args:
        cdf: integers (rows, columns), values 0 to 2^precision. Kept as int32, read-only.
        length: integers (rows,), 3 (one value and the escape) to `columns`.
        offset: integers (rows,), at most 2^24 either way.
        precision: bits of a probability, 2 to 16.

    Raises:
        BundleError: an array has another shape or kind, or a row is not a distribution.
    """

    cdf: NDArray[np.int32]
    length: NDArray[np.int32]
    offset: NDArray[np.int32]
    precision: int = 16

    def __post_init__(self) -> None:
        if not 2 <= self.precision <= 16:
            raise BundleError(f"entropy tables: found precision {self.precision}, expected 2 to 16")
        for name, dimensions in (("cdf", 2), ("length", 1), ("offset", 1)):
            object.__setattr__(self, name, _frozen_int32(name, getattr(self, name), dimensions))
        _check_shapes(self)
        _check_rows(self)

    @property
    def rows(self) -> int:
        """Number of distributions."""
        return int(self.cdf.shape[0])

    def digest(self) -> str:
        """SHA-256 (64 hexadecimal digits) of all that decides how a stream is read.

        Two sets of tables with the same digest code the same symbols to the same bytes; padding
        has no part in it.
        """
        digest = hashlib.sha256(b"latentsr tables 1\0")
        header = np.array([self.precision, self.rows], dtype="<i4")
        digest.update(header.tobytes())
        for row, length in enumerate(self.length):
            digest.update(np.array([length, self.offset[row]], dtype="<i4").tobytes())
            digest.update(self.cdf[row, :length].astype("<i4").tobytes())
        return digest.hexdigest()


def _frozen_int32(name: str, value: ArrayLike, dimensions: int) -> NDArray[np.int32]:
    """A private, contiguous, read-only int32 copy, so that a check made once stays true."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim != dimensions:
        raise BundleError(
            f"entropy tables, {name}: found {array.dtype} with {array.ndim} dimensions, "
            f"expected integers with {dimensions}; {_REMEDY}"
        )
    limits = np.iinfo(np.int32)
    if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
        raise BundleError(f"entropy tables, {name}: found values beyond 32 bits; {_REMEDY}")
    copy = np.array(array, dtype=np.int32, order="C")
    copy.flags.writeable = False
    return copy


def _check_shapes(tables: Tables) -> None:
    rows = tables.cdf.shape[0]
    if rows == 0:
        raise BundleError(f"entropy tables: found no rows, expected at least one; {_REMEDY}")
    for name in ("length", "offset"):
        found = getattr(tables, name).shape[0]
        if found != rows:
            raise BundleError(
                f"entropy tables, {name}: found {found} elements, expected {rows}, one for each "
                f"row of cdf; {_REMEDY}"
            )


def _check_rows(tables: Tables) -> None:
    columns = tables.cdf.shape[1]
    _refuse(
        (tables.length < 3) | (tables.length > columns),
        tables.length,
        f"length, expected 3 to {columns}",
    )
    _refuse(
        np.abs(tables.offset.astype(np.int64)) > MAX_OFFSET,
        tables.offset,
        f"offset, expected -{MAX_OFFSET} to {MAX_OFFSET}",
    )
    _refuse(tables.cdf[:, 0] != 0, tables.cdf[:, 0], "first entry, expected 0")
    last = np.take_along_axis(tables.cdf, tables.length[:, None].astype(np.int64) - 1, axis=1)[:, 0]
    total = 1 << tables.precision
    _refuse(last != total, last, f"last entry, expected {total}")
    steps = np.diff(tables.cdf.astype(np.int64), axis=1)
    inside = np.arange(1, columns)[None, :] < tables.length[:, None]
    smallest = np.where(inside, steps, 1).min(axis=1)
    _refuse(smallest < 1, smallest, "smallest step between entries, expected at least 1")


def _refuse(wrong: NDArray[np.bool_], found: NDArray[np.generic], what: str) -> None:
    """Raise for the first row that is marked wrong."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BundleError(f"entropy tables, row {row}: found {found[row]} as {what}; {_REMEDY}")
