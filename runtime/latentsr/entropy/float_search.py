"""Which table rows did the writer of a context model's stream have? A search among doubtful ones.

One wrong row puts the coder out of step, and all that is decoded after it is drawn from the model,
not from the picture: the scales there are others, and so are the doubts. So this is a tree. A
*run* decodes from one change to the stream's end or to a fault; the doubts that it met after its
change are its branches, and each is entered where the coder stood before that position. All before
it stays as it is.

Three things order the branches, best first. The odds of each change, from the distance to the
threshold. How far in step the symbols before look (`evidence`). And that a decoder out of step hits
something impossible before long: every distribution leaves at least one state in 2^16 to its
escape, which announces a value from anywhere, and a network that is fed noise soon predicts
nonsense. (With a trained mbt2018 faults came 20,000 symbols later, on average.) So the farther on a
doubt lies, in whatever run, the likelier it is: the odds grow by e for each `ALONE` symbols.
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
from latentsr.entropy.evidence import Classes, Evidence
from latentsr.entropy.repair import USUAL_ERROR

DOUBT = 3e-4
"""Relative distance to a threshold within which a row is in doubt. Differences grow along a latent,
as each position is predicted from others: between torch and this they start at 3e-7 and reached
1e-4 with a network that was half trained."""
ALONE = 1 << 15
"""Symbols that a decoder out of step decodes before it meets a fault."""
LEARN_AGAIN = 1.25
"""Evidence is learned anew from a run that reaches so much farther than the one before."""
MAX_TRIES = 20_000
MOST_DOUBTS = 1 << 14
"""Doubts that are listed in one run; trained networks have some hundreds."""
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
    doubtful: int
    doubts: list[Branch]
    symbols: NDArray[np.int32]
    latent: NDArray[np.float32]

    @property
    def reach(self) -> int:
        """Symbols before its fault."""
        assert self.fault is not None
        return self.fault[1]


@dataclass
class Reading:
    """A stream with the network that reads it; `symbols`, `rows`, `latent` are the last run's.

    All are flat, in raster order with a position's channels together. From the run's first symbol
    on they are its own; rows before that are of no meaning.
    """

    network: Network
    tables: _kernels.CdfTables
    stream: NDArray[np.uint8]
    channels: int
    symbols: NDArray[np.int32] = field(init=False)
    rows: NDArray[np.uint8] = field(init=False)
    latent: NDArray[np.float32] = field(init=False)
    kept_bytes: int = 0

    def __post_init__(self) -> None:
        height, width, _ = self.network.features.shape
        self.symbols = np.empty(height * width * self.channels, np.int32)
        self.rows = np.empty(self.symbols.size, np.uint8)
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
            self.rows,
            self.latent,
            begin,
            [change for change in changes if change[0] >= first],
            DOUBT,
            MOST_DOUBTS,
            self.network.isa,
        )
        fault = None if outcome[0] == Status.OK else outcome
        last = changes[-1][0] if changes else -1
        doubts = [self._branch(*doubt) for doubt in found if doubt[0] > last and fault]
        kept = slice(first, doubts[-1].begin[2] if doubts else first)
        symbols, latent = self.symbols[kept].copy(), self.latent[kept].copy()
        self.kept_bytes += symbols.nbytes + latent.nbytes
        return Run(parent, first, changes, fault, len(found), doubts, symbols, latent)

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
        reading: the stream. root: its last run, without changes, which met a fault.
        classes: of the stream's tables.
    """

    def __init__(self, reading: Reading, root: Run, classes: Classes) -> None:
        self._reading = reading
        self._classes = classes
        self._serial = itertools.count()
        self._heap: list[tuple[float, int, float, float, Run, Branch]] = []
        self._learn(root)
        self._push(root, 0.0, 0.0)

    def run(self, seconds: float) -> tuple[Run | None, int]:
        """The run with the right end, or None when nothing or no time is left; runs made."""
        until = time.perf_counter() + seconds
        tries = 0
        while self._heap and tries < MAX_TRIES and time.perf_counter() < until:
            _, _, cost, seen, parent, branch = heapq.heappop(self._heap)
            tries += 1
            changes = (*parent.changes, (branch.place, branch.row))
            run = self._reading.run(parent, branch.begin, changes)
            if run.fault is None:
                return run, tries
            if self._reading.kept_bytes > MOST_BYTES:
                break
            self._push(run, cost, seen)
            if run.reach > LEARN_AGAIN * self._learned:
                self._learn(run)
        return None, tries

    def _learn(self, run: Run) -> None:
        """Evidence from a run that came far; what is in the heap keeps its place."""
        own = slice(run.first, run.reach)
        reading = self._reading
        self._evidence = Evidence(self._classes, reading.symbols[own], reading.rows[own])
        self._learned = run.reach

    def _push(self, run: Run, cost: float, seen: float) -> None:
        """Enter the branches of the run just made; `seen` speaks for what was before it."""
        if not run.doubts:
            return
        reading, channels = self._reading, self._reading.channels
        own = slice(run.first, run.reach // channels * channels)
        said = self._evidence.positions(reading.symbols[own], reading.rows[own], channels)
        before = seen + np.concatenate([[0.0], np.cumsum(said)])
        for branch in run.doubts:
            total = cost + branch.cost
            evidence = float(before[(branch.begin[2] - run.first) // channels])
            rank = total - branch.place / ALONE - evidence
            entry = (rank, next(self._serial), total, evidence, run, branch)
            heapq.heappush(self._heap, entry)
