"""Running contenders in turn: A B C, B C A, …, so that whatever drifts hits all of them alike.

A contender's turn is one call after a pause, kept apart, and then `burst` calls that count. After
a pause the system may put a call's threads on one core, until it notices: measured with two
threads, 38 instead of 21 ms after 0.3 s of sleep.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentsr.bench.contender import Contender, Sample


@dataclass(frozen=True)
class Schedule:
    """How often to run.

    warmup: rounds that are not counted. rounds: counted ones, or with `seconds` as many as fit,
    at least `MINIMUM_ROUNDS`. burst: counted calls of a contender's turn. A contender that needs
    more than `slow_ms` for one picture, twice, runs in only `slow_rounds` of the rounds, spread
    evenly, on the first `slow_items` inputs, once.
    """

    warmup: int = 2
    rounds: int = 10
    burst: int = 3
    seconds: float | None = None
    slow_ms: float = 1000.0
    slow_rounds: int = 2
    slow_items: int = 2


MINIMUM_ROUNDS = 3
# After a call the threads of some libraries spin on, on cores that the next contender needs:
# measured, 38 ms of processor time for OpenBLAS, 30 ms for ONNX Runtime's default sessions.
SETTLE_SECONDS = 0.05


@dataclass
class Samples:
    """What one contender did in one launch: by round and input; absent where it did not run.

    rounds: their number, those of a burst counted one by one. rested: milliseconds of the calls
    after a pause, which are in no round.
    """

    rounds: int = 0
    runs: dict[tuple[int, int], Sample] = field(default_factory=dict)
    rested: list[float] = field(default_factory=list)
    slow: bool = False

    def ms(self, items: Sequence[int]) -> NDArray[np.float64]:
        """Milliseconds, shape (rounds, items), NaN where it did not run."""
        table = np.full((self.rounds, len(items)), np.nan)
        for (turn, item), sample in self.runs.items():
            table[turn, items.index(item)] = sample.ms
        return table


def run_rounds(
    contenders: Sequence[Contender], items: Sequence[int], schedule: Schedule
) -> list[Samples]:
    """Warm up and measure on the inputs with these numbers; returns each contender's samples."""
    results = [Samples() for _ in contenders]
    for _ in range(max(schedule.warmup, 1)):
        for contender, found in zip(contenders, results, strict=True):
            _warm(contender, found, items, schedule)
    begin, turn = time.perf_counter(), 0
    while _go_on(turn, begin, schedule):
        for number, item in enumerate(items):
            for place in range(len(contenders)):
                index = (place + turn + number) % len(contenders)
                found = results[index]
                if _takes_part(found, turn, number, schedule):
                    _visit(contenders[index], found, turn, item, schedule)
        turn += 1
    for found in results:
        found.rounds = turn * schedule.burst
    return results


def _visit(contender: Contender, found: Samples, turn: int, item: int, schedule: Schedule) -> None:
    """One turn of one contender."""
    time.sleep(SETTLE_SECONDS)
    first = turn * schedule.burst
    if found.slow:
        found.runs[first, item] = contender.run(item)
        return
    found.rested.append(contender.run(item).ms)
    for number in range(schedule.burst):
        found.runs[first + number, item] = contender.run(item)


def _warm(contender: Contender, found: Samples, items: Sequence[int], schedule: Schedule) -> None:
    """One uncounted round; who turns out to be slow stops after the pictures that it is timed on.

    Before each of these it must have run, or a library that compiles for every size would be timed
    compiling. For the same reason a single call makes nobody slow.
    """
    for number, item in enumerate(items):
        if found.slow and number >= max(schedule.slow_items, 1):
            return
        if contender.run(item).ms > schedule.slow_ms and not found.slow:
            found.slow = contender.run(item).ms > schedule.slow_ms


def _go_on(turn: int, begin: float, schedule: Schedule) -> bool:
    if schedule.seconds is None:
        return turn < schedule.rounds
    return turn < MINIMUM_ROUNDS or time.perf_counter() - begin < schedule.seconds


def _takes_part(found: Samples, turn: int, number: int, schedule: Schedule) -> bool:
    if not found.slow:
        return True
    every = max(schedule.rounds // max(schedule.slow_rounds, 1), 1)
    take = turn % every == 0 and turn // every < schedule.slow_rounds
    return take and number < schedule.slow_items
