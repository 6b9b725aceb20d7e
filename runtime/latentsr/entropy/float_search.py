"""Which table rows did the writer of a context model's stream have? A search among doubtful ones.

One wrong row puts the coder out of step, and all that is decoded after it is drawn from the model,
not from the picture: the scales there are others, and so are the doubts. So this is a tree. A
*run* decodes from one change to the stream's end or to a fault; the doubts that it met after its
change are its branches, and each is entered where the coder stood before that position. All before
it stays as it is.

Out of step a decoder hits something impossible before long: every distribution leaves at least one
state in 2^16 to its escape, which announces a value from anywhere. (With a trained mbt2018 faults
came after 1,000 to 22,000 symbols.) So a run that reached far was in step for most of its way, and
a doubt is the likelier the farther on it lies, in whatever run: the odds grow by e for each
`ALONE` symbols. With the odds of each change (`repair.costs`) this orders the branches, best first.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.entropy.repair import DOUBT, USUAL_ERROR

ALONE = 1 << 16
"""Symbols that a reader out of step gets by without an escape, on average, at most."""
MAX_TRIES = 20_000
MOST_DOUBTS = 1 << 14
"""Doubts that are listed in one run; a trained network has some tens."""
MOST_BYTES = 1 << 28
"""Memory for what branches need of the runs before them."""

Place = tuple[int, int, int]
"""Coder state, byte of the next word, symbols before: where a position's symbols begin."""


@dataclass(frozen=True)
class Network:
    """A context model at work on one picture: features (H, W, C1)."""

    native: _kernels.FloatContext
    features: NDArray[np.float32]
    isa: Isa


@dataclass(frozen=True)
class Branch:
    """A doubtful symbol: its number, the row it may have, what taking it costs in nats."""

    place: int
    row: int
    cost: float
    begin: Place


@dataclass(frozen=True)
class Run:
    """One decoding from a place to the end or a fault, and its own part of the latent."""

    parent: Run | None
    first: int
    changes: tuple[tuple[int, int], ...]
    fault: tuple[Status, int, int] | None
    doubts: list[Branch]
    symbols: NDArray[np.int32]
    latent: NDArray[np.float32]


@dataclass
class Reading:
    """A stream with the network that reads it; `symbols` and `latent` are those of the last run.

    Both are flat, in raster order with a position's channels together.
    """

    network: Network
    tables: _kernels.CdfTables
    stream: NDArray[np.uint8]
    channels: int
    symbols: NDArray[np.int32] = field(init=False)
    latent: NDArray[np.float32] = field(init=False)
    kept_bytes: int = 0

    def __post_init__(self) -> None:
        height, width, _ = self.network.features.shape
        self.symbols = np.empty(height * width * self.channels, np.int32)
        self.latent = np.empty(self.symbols.size, np.float32)

    def run(self, parent: Run | None, begin: Place, changes: tuple[tuple[int, int], ...]) -> Run:
        """Decode from `begin`, a place of the parent's, with all changes made so far."""
        first = begin[2]
        self._restore(parent, first)
        outcome, _, found = self.network.native.decode(
            self.tables,
            self.stream,
            self.network.features,
            self.symbols,
            self.latent,
            begin,
            [change for change in changes if change[0] >= first],
            DOUBT,
            MOST_DOUBTS,
            self.network.isa,
        )
        fault = None if outcome[0] == Status.OK else outcome
        last = changes[-1][0] if changes else -1
        doubts = [self._branch(*doubt) for doubt in found if doubt[0] > last]
        kept = slice(first, doubts[-1].begin[2] if doubts and fault else first)
        symbols, latent = self.symbols[kept].copy(), self.latent[kept].copy()
        self.kept_bytes += symbols.nbytes + latent.nbytes
        return Run(parent, first, changes, fault, doubts, symbols, latent)

    def _branch(self, place: int, row: int, distance: float, state: int, byte: int) -> Branch:
        cost = float(np.log1p(2 * (distance / USUAL_ERROR) ** 2))
        return Branch(place, row, cost, (state, byte, place - place % self.channels))

    def _restore(self, run: Run | None, until: int) -> None:
        """Bring back what stood before symbol `until` when the run was made."""
        while run is not None:
            size = max(until - run.first, 0)
            own = slice(run.first, run.first + size)
            self.symbols[own], self.latent[own] = run.symbols[:size], run.latent[:size]
            until = min(until, run.first)
            run = run.parent


class Search:
    """Looks for the changes that bring a stream to its right end.

    Args:
        reading: the stream. root: the run without changes, which met a fault.
    """

    def __init__(self, reading: Reading, root: Run) -> None:
        self._reading = reading
        self._serial = itertools.count()
        self._heap: list[tuple[float, int, float, Run, Branch]] = []
        self._push(root, 0.0)

    def run(self, seconds: float) -> tuple[Run | None, int]:
        """The run with the right end, or None when nothing or no time is left; runs made."""
        until = time.perf_counter() + seconds
        tries = 0
        while self._heap and tries < MAX_TRIES and time.perf_counter() < until:
            _, _, cost, parent, branch = heapq.heappop(self._heap)
            tries += 1
            changes = (*parent.changes, (branch.place, branch.row))
            run = self._reading.run(parent, branch.begin, changes)
            if run.fault is None:
                return run, tries
            if self._reading.kept_bytes > MOST_BYTES:
                break
            self._push(run, cost)
        return None, tries

    def _push(self, run: Run, cost: float) -> None:
        """Enter a run's branches, those of least cost for their place first."""
        for branch in run.doubts:
            total = cost + branch.cost
            rank = total - branch.place / ALONE
            heapq.heappush(self._heap, (rank, next(self._serial), total, run, branch))
