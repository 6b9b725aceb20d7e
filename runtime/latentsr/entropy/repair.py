"""Streams of float networks on another device: which scale indexes are in doubt, and a search.

CompressAI takes the scale index of a symbol from a float σ. Another device or library may compute
a σ that differs in its last bits; where it lies on a threshold, the index differs, and everything
decoded after it is wrong. What comes out then looks like any other symbols; only the end tells:
the coder's last state and the words used. So sets of doubtful indexes are tried, likely ones
first, and the one with a right end is taken. A wrong set passes with probability 2^-31 or less.

A set costs the sum of log((1 - p) / p), with p = 1 / (2 + 2 (d / s)^2) the chance that an index at
relative distance d from its threshold differs, s = `USUAL_ERROR`. Removing an element makes a set
likelier, so when a set is tried, the same without its last place was tried before, and the coder's
state at that place is known: only what comes after it is decoded again. Where this finds nothing
and the bundle knows how its latent's neighbours go together, `beam` goes on.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy.coder import Coder
from latentsr.entropy.latents import LatentSteps, ScaleTable
from latentsr.entropy.pieces import PieceDecoder, Position
from latentsr.errors import CorruptStream

DOUBT = 3e-5
"""Relative distance to a threshold within which an index is in doubt."""
USUAL_ERROR = 1e-6
MAX_PLACES = 32
"""Doubtful indexes that take part in a search: those closest to their thresholds."""
MAX_TRIES = 200_000
"""Sets tried at most; what is known of each takes some hundred bytes."""


@dataclass(frozen=True)
class Doubts:
    """Doubtful indexes, closest first: flat places, the indexes they may be, distances."""

    places: NDArray[np.int64]
    others: NDArray[np.int32]
    distances: NDArray[np.float64]


@dataclass(frozen=True)
class Repair:
    """What was done about one chunk: doubtful indexes, how many were changed, sets tried."""

    chunk: str
    doubtful: int
    changed: int = 0
    tries: int = 0
    seconds: float = 0.0


def find_doubts(
    scales: NDArray[np.float32], indexes: NDArray[np.integer], table: ScaleTable, steps: LatentSteps
) -> Doubts:
    """Indexes whose σ lies within `DOUBT` of a threshold.

    Args:
        scales: σ, any shape. indexes: rows of the table for them, the same shape.
    """
    lower = steps.indexes(scales * np.float32(1 - DOUBT), table).reshape(-1)
    upper = steps.indexes(scales * np.float32(1 + DOUBT), table).reshape(-1)
    rows = indexes.reshape(-1)
    places = np.flatnonzero(lower != upper)
    low, high = lower[places].astype(np.int32), upper[places].astype(np.int32)
    others = np.where(low == rows[places], high, low)
    # The threshold between the two rows; thresholds lie much further apart than doubts reach.
    edges = table.thresholds[np.minimum(others, rows[places])].astype(np.float64)
    sigma = scales.reshape(-1)[places].astype(np.float64)
    distances = np.abs(sigma - edges) / np.maximum(np.abs(edges), np.finfo(np.float32).tiny)
    order = np.argsort(distances, kind="stable")
    return Doubts(places[order], others[order], distances[order])


def costs(doubts: Doubts) -> NDArray[np.float64]:
    """What changing each index costs, in nats, a little more than nothing."""
    return np.log1p(2 * (doubts.distances / USUAL_ERROR) ** 2) + 1e-9


class Search:
    """Tries sets of doubtful indexes for one stream of the `compressai` form.

    Args:
        coder: tables. data: the stream. indexes: as computed here, any shape. doubts: of them.
    """

    def __init__(
        self, coder: Coder, data: bytes, indexes: NDArray[np.integer], doubts: Doubts
    ) -> None:
        self._coder, self._data = coder, data
        self._rows = indexes.reshape(-1).astype(np.int32)
        near = slice(0, MAX_PLACES)
        self._places = doubts.places[near]
        self._others = doubts.others[near]
        self._costs = costs(doubts)[near]
        self._order = np.sort(self._places)
        # For each set tried, the coder's position at every doubtful place behind its last one.
        self._known: dict[frozenset[int], dict[int, Position]] = {}

    def run(self, seconds: float) -> tuple[tuple[int, ...] | None, int]:
        """Places to change, or None when time or sets run out; and the number of tries.

        Raises:
            CorruptStream: the data has no valid beginning, which no index can help.
        """
        until = time.perf_counter() + seconds
        reader = PieceDecoder(self._data)
        tried = 0
        for chosen in self._sets():
            tried += 1
            if self._try(reader, chosen):
                return tuple(int(place) for place in self._places[sorted(chosen)]), tried
            if tried >= MAX_TRIES or time.perf_counter() > until:
                break
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


def changed_indexes(
    indexes: NDArray[np.integer], doubts: Doubts, places: tuple[int, ...]
) -> NDArray[np.int32]:
    """A copy of the indexes with the other index at some doubtful places."""
    rows = indexes.reshape(-1).astype(np.int32)
    chosen = np.isin(doubts.places, places)
    rows[doubts.places[chosen]] = doubts.others[chosen]
    return rows.reshape(indexes.shape)
