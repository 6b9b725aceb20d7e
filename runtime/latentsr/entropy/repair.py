"""Streams of float networks on another device: which scale indexes are in doubt, and a search.

CompressAI takes the scale index of a symbol from a float σ. Another device or library may compute
a σ that differs in its last bits; where it lies on a threshold, the index differs, and everything
decoded after it is wrong. What comes out then looks like any other symbols; only the end tells:
the coder's last state and the words used. So the search tries sets of doubtful indexes, likely
ones first, and accepts the one with a right end. A wrong set passes with probability 2^-31 or less.

Sets are ordered by the sum of log((1 - p) / p), with p = 1 / (2 + 2 (d / s)^2) the chance that an
index at relative distance d from its threshold differs, s = `USUAL_ERROR`. Removing an element
makes a set likelier, so when a set is tried, the same without its last place was tried before, and
the coder's state at that place is known: only what comes after it is decoded again.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy.coder import Coder
from latentsr.entropy.pieces import PieceDecoder, Position
from latentsr.errors import CorruptStream

DOUBT = 3e-5
"""Relative distance to a threshold within which an index is in doubt."""
USUAL_ERROR = 1e-6
MAX_PLACES = 32
"""Doubtful indexes that take part in a search: those closest to their thresholds."""


@dataclass(frozen=True)
class Doubts:
    """Doubtful indexes, closest first: flat places, the indexes they may be, distances."""

    places: NDArray[np.int64]
    others: NDArray[np.int32]
    distances: NDArray[np.float64]


@dataclass(frozen=True)
class Repair:
    """What a search found: symbols and indexes in the indexes' shape, and what it took."""

    symbols: NDArray[np.int32]
    indexes: NDArray[np.integer]
    changed: int
    tries: int
    seconds: float


def find_doubts(
    scales: NDArray[np.float32], indexes: NDArray[np.integer], table: NDArray[np.float32]
) -> Doubts:
    """Indexes whose σ lies within `DOUBT` of a threshold.

    Args:
        scales: σ, any shape. indexes: rows of the table for them, the same shape.
        table: rising scales of the rows; all but the last are thresholds.
    """
    sigma = scales.reshape(-1).astype(np.float64)
    rows = indexes.reshape(-1).astype(np.int64)
    edges = np.concatenate([[-math.inf], table[:-1].astype(np.float64), [math.inf]])
    below, above = edges[rows], edges[rows + 1]
    with np.errstate(invalid="ignore", over="ignore"):
        down = np.where(np.isfinite(below), np.abs(sigma - below) / np.abs(below), math.inf)
        up = np.where(np.isfinite(above), np.abs(above - sigma) / np.abs(above), math.inf)
    distance = np.minimum(down, up)
    places = np.flatnonzero(distance <= DOUBT)
    places = places[np.argsort(distance[places], kind="stable")]
    others = rows[places] + np.where(up[places] < down[places], 1, -1)
    return Doubts(places, others.astype(np.int32), distance[places])


class Search:
    """Tries sets of doubtful indexes for one stream of the `compressai` form.

    Args:
        coder: tables. data: the stream. indexes: as computed here, any shape. doubts: of them.
    """

    def __init__(
        self, coder: Coder, data: bytes, indexes: NDArray[np.integer], doubts: Doubts
    ) -> None:
        self._coder, self._data = coder, data
        self._shape, self._rows = indexes.shape, indexes.reshape(-1).astype(np.int32)
        near = slice(0, MAX_PLACES)
        self._places = doubts.places[near]
        self._others = doubts.others[near]
        ratio = doubts.distances[near] / USUAL_ERROR
        # A little more than nothing, so that each set costs more than its parts.
        self._costs = np.log1p(2 * ratio**2) + 1e-9
        self._order = np.sort(self._places)
        # For each set tried, the coder's position at every doubtful place behind its last one.
        self._known: dict[frozenset[int], dict[int, Position]] = {}

    def run(self, seconds: float = 2.0, tries: int = 20_000) -> tuple[Repair | None, int]:
        """The repair, or None when time, tries or sets run out; and the number of tries.

        Raises:
            CorruptStream: the data has no valid beginning, which no index can help.
        """
        start = time.perf_counter()
        reader = PieceDecoder(self._data)
        tried = 0
        for chosen in self._sets():
            if tried >= tries or time.perf_counter() - start > seconds:
                break
            tried += 1
            if self._try(reader, chosen):
                return self._repair(chosen, tried, time.perf_counter() - start), tried
        return None, tried

    def _sets(self) -> Iterator[frozenset[int]]:
        """Sets of ranks by rising cost, the empty one first."""
        yield frozenset()
        if not self._costs.size:
            return
        heap: list[tuple[float, tuple[int, ...]]] = [(float(self._costs[0]), (0,))]
        while heap:
            cost, ranks = heapq.heappop(heap)
            yield frozenset(ranks)
            last = ranks[-1]
            if last + 1 < self._costs.size:
                more = float(self._costs[last + 1])
                heapq.heappush(heap, (cost + more, (*ranks, last + 1)))
                less = cost - float(self._costs[last])
                heapq.heappush(heap, (less + more, (*ranks[:-1], last + 1)))

    def _try(self, reader: PieceDecoder, chosen: frozenset[int]) -> bool:
        """Decode from the set's last place to the end; True when the end is right."""
        if chosen:
            last = max(chosen, key=lambda rank: int(self._places[rank]))
            place = int(self._places[last])
            begin = self._known.get(chosen - {last}, {}).get(place)
            if begin is None:  # the symbols before it cannot be read that way
                return False
            reader.position = begin
        else:
            last, place = -1, 0
        known: dict[int, Position] = {}
        self._known[chosen] = known
        try:
            if last >= 0:
                reader.decode(self._coder, self._others[last : last + 1])
            at = place + (last >= 0)
            for stop in self._order[np.searchsorted(self._order, at) :]:
                reader.decode(self._coder, self._rows[at:stop])
                known[int(stop)] = reader.position
                at = int(stop)
            reader.decode(self._coder, self._rows[at:])
            reader.finish()
        except CorruptStream:
            return False
        return True

    def _repair(self, chosen: frozenset[int], tries: int, seconds: float) -> Repair:
        rows = self._rows.copy()
        ranks = sorted(chosen)
        rows[self._places[ranks]] = self._others[ranks]
        indexes = rows.reshape(self._shape)
        symbols = self._coder.decode(self._data, indexes, form="compressai")
        return Repair(symbols, indexes, len(chosen), tries, seconds)
