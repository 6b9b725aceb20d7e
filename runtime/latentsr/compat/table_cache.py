"""Prepared tables, found again by what the given lists or arrays hold.

CompressAI hands its distributions over with each call, as lists, and converts them each time.
Here they are prepared once. A set of tables is known again by its content only: each look-up
compares every entry that coding depends on, natively, which takes some 50 microseconds for the
64 Gaussians of a codec. Lists that were changed in place, or that took the memory of lists that
are gone, can therefore never bring back tables that are not theirs.

Within one stream (`StreamTables`) the very same three objects are taken to be unchanged, so that
a look-up costs nothing however large the tables are. The objects are kept alive meanwhile, hence
no others can pass for them. Who changes a list in place between two pieces of one stream must
pass a copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr.entropy.arrays import flat_int32
from latentsr.errors import UsageError

Integers = Sequence[int] | NDArray[np.integer]
"""Integers as CompressAI has them (a list) or as an array, or anything with `__array__`."""

Rows = Sequence[Sequence[int]] | NDArray[np.integer]
"""Distributions, one a row: lists may differ in length, arrays are (rows, columns)."""

ENTRIES = 16
"""Sets of tables that are kept; the one not used for longest goes first."""

SLOTS = 1 << 21
"""Larger sets are not kept: mixture models make a new one, of a row a symbol, for each call."""


class TableCache:
    """The last few sets of tables. Any number of threads may use it."""

    def __init__(self) -> None:
        self._kept: list[_kernels.CdfTables] = []
        self._lock = threading.Lock()

    def find(self, cdfs: Rows, lengths: Integers, offsets: Integers) -> _kernels.CdfTables:
        """Tables with this content, prepared now if need be.

        Raises:
            UsageError: the rows are no distributions, or the three do not fit each other.
        """
        try:
            if _all_lists(cdfs, lengths, offsets):
                return self._find(
                    lambda tables: _kernels.same_lists(tables, cdfs, lengths, offsets),
                    lambda: _kernels.tables_from_lists(cdfs, lengths, offsets),
                )
            arrays = _int32("cdfs", cdfs, 2), _int32("lengths", lengths), _int32("offsets", offsets)
            return self._find(
                lambda tables: _kernels.same_arrays(tables, *arrays),
                lambda: _kernels.CdfTables(*arrays),
            )
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"entropy tables: {error}; pass quantized_cdf, cdf_length and offset of an entropy "
                "model whose update() has run"
            ) from error

    def _find(
        self, same: Callable[[_kernels.CdfTables], bool], make: Callable[[], _kernels.CdfTables]
    ) -> _kernels.CdfTables:
        with self._lock:
            kept = list(self._kept)
        found = next((tables for tables in kept if same(tables)), None)
        tables = make() if found is None else found
        if tables.slots > SLOTS:
            return tables
        with self._lock:
            others = [other for other in self._kept if other is not tables]
            self._kept = [tables, *others][:ENTRIES]
        return tables


class StreamTables:
    """The tables of one stream: looked up by content once, by identity from then on."""

    def __init__(self, cache: TableCache) -> None:
        self._cache = cache
        self._seen: dict[tuple[int, int, int], tuple[_kernels.CdfTables, object]] = {}

    def find(self, cdfs: Rows, lengths: Integers, offsets: Integers) -> _kernels.CdfTables:
        """As `TableCache.find`; errors are the same."""
        key = (id(cdfs), id(lengths), id(offsets))
        seen = self._seen.get(key)
        if seen is not None:
            return seen[0]
        tables = self._cache.find(cdfs, lengths, offsets)
        if len(self._seen) >= ENTRIES:
            self._seen.clear()
        self._seen[key] = tables, (cdfs, lengths, offsets)
        return tables


def _all_lists(*values: object) -> bool:
    return all(isinstance(value, list | tuple) for value in values)


def _int32(name: str, values: Rows | Integers, dimensions: int = 1) -> NDArray[np.int32]:
    array = np.asarray(values)
    if array.ndim != dimensions:
        raise ValueError(f"{name}: found {array.ndim} dimensions, expected {dimensions}")
    return flat_int32(name, array).reshape(array.shape)
