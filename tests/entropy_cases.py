"""Seeded tables and symbols for the entropy coding tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy import Coder, Tables

TOTAL = 1 << 16


class CompressaiCoder(Coder):
    """A coder of the `compressai` form, without saying so in each call."""

    def encode(
        self, symbols: Any, indexes: Any, form: str = "compressai", threads: int = 1,
        parts: int | None = None,
    ) -> bytes:  # fmt: skip
        return super().encode(symbols, indexes, form, threads, parts)

    def decode(
        self, data: Any, indexes: Any, form: str = "compressai", threads: int = 1, out: Any = None
    ) -> NDArray[np.int32]:
        return super().decode(data, indexes, form, threads, out)


def tables_from_rows(rows: list[list[int]], offset: list[int]) -> Tables:
    """Tables from ragged distributions."""
    cdf = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, entries in enumerate(rows):
        cdf[row, : len(entries)] = entries
    return Tables(cdf, np.array([len(r) for r in rows], np.int32), np.array(offset, np.int32))


def random_tables(rng: np.random.Generator) -> Tables:
    """One to eight rows of 2 to about 700 slots, from nearly flat to nearly certain."""
    rows, offset = [], []
    for _ in range(rng.integers(1, 9)):
        slots = int(rng.choice([2, 3, 4, 9, 60, 700]))
        if rng.random() < 0.5:  # cuts anywhere
            cuts = np.sort(rng.choice(np.arange(1, TOTAL), slots - 1, replace=False))
        else:  # all slots of size 1 but one
            big = int(rng.integers(0, slots))
            sizes = np.ones(slots, np.int64)
            sizes[big] = TOTAL - slots + 1
            cuts = np.cumsum(sizes)[:-1]
        rows.append([0, *cuts.tolist(), TOTAL])
        offset.append(int(rng.integers(-slots, 3)))
    return tables_from_rows(rows, offset)


def gaussian_tables(rows: int = 64) -> Tables:
    """Zero-mean Gaussians with scales 0.11 to 256 in equal ratios, like a trained codec's."""
    cdfs, offset = [], []
    for scale in np.exp(np.linspace(math.log(0.11), math.log(256), rows)):
        centre = math.ceil(6.1 * float(scale))
        edges = (np.arange(-centre, centre + 2) - 0.5) / (float(scale) * math.sqrt(2))
        mass = np.diff([math.erf(edge) for edge in edges]) / 2
        sizes = np.floor(np.append(mass, 1e-9) * (TOTAL - mass.size - 1)).astype(np.int64) + 1
        sizes[centre] += TOTAL - sizes.sum()
        cdfs.append([0, *np.cumsum(sizes).tolist()])
        offset.append(-centre)
    return tables_from_rows(cdfs, offset)


def draw(
    rng: np.random.Generator,
    tables: Tables,
    count: int,
    outside: float = 0.02,
    reach: int = 1 << 27,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Symbols that follow their rows, of which a share lies outside by up to `reach`."""
    indexes = rng.integers(0, tables.rows, count).astype(np.uint8)
    states = rng.integers(0, TOTAL, count)
    symbols = np.empty(count, np.int64)
    for i, (row, state) in enumerate(zip(indexes, states, strict=True)):
        length = int(tables.length[row])
        slot = int(np.searchsorted(tables.cdf[row, :length], state, side="right")) - 1
        symbols[i] = min(slot, length - 3) + int(tables.offset[row])
    wild = rng.random(count) < outside
    sizes = np.exp(rng.uniform(0, math.log(reach), count)).astype(np.int64) - 1
    values = np.where(
        rng.random(count) < 0.5,
        -1 - sizes,
        tables.length[indexes].astype(np.int64) - 2 + sizes,
    )
    symbols[wild] = (values + tables.offset[indexes])[wild]
    return symbols.astype(np.int32), indexes
