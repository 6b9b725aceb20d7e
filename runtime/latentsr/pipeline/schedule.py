"""Several pictures in flight: ordered results, bounded memory, and who gets which cores.

A worker carries one picture through all of its steps. So the entropy coding of one picture overlaps
the engine of another without queues between the steps, no step waits for a slower one, and a
worker's arrays stay in its core's cache. On two cores two workers with engines of one thread each
make more pictures than one worker whose engine has both: entropy coding, image steps and small
layers do not scale over threads, whole pictures do (`benchmarks/pipeline.py`).

Small pictures are not grouped into batches: on a CPU a batch of eight 64x64 pictures takes as long
as eight pictures within 5 % (the same script), and graphs of a batch of one serve every size.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from latentsr.errors import UsageError

MAX_COUNT = 1024
"""Most workers, threads and waiting results that may be asked for; more is a slip of the pen."""

AHEAD = 3
"""Results for each job that may wait, so that a large picture need not hold small ones up: a
finished picture takes little memory beside what an engine takes to make one."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Crew:
    """How work is shared out: pictures at a time, and threads that each of them has."""

    jobs: int
    threads: int


def usable_cores() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_cores(
    jobs: int | None, threads: int | None, items: int | None = None, cores: int | None = None
) -> Crew:
    """Fill in what the caller left open, so that jobs times threads is the number of cores.

    items: how many there are to do, where that is known: fewer than cores get more threads each.
    cores: None for those that this process may run on. Raises UsageError.
    """
    for name, count in (("jobs", jobs), ("threads", threads)):
        if count is not None:
            check_count(name, count)
    cores = usable_cores() if cores is None else cores
    if jobs is None:
        jobs = max(1, cores // (threads or 1))
        jobs = jobs if items is None else max(1, min(jobs, items))
    return Crew(jobs, threads or max(1, cores // jobs))


def check_count(name: str, count: int, least: int = 1) -> None:
    """Raise UsageError unless a count is a whole number in `least`..MAX_COUNT."""
    if not isinstance(count, int) or not least <= count <= MAX_COUNT:
        raise UsageError(f"{name}: found {count!r}, expected a whole number {least}..{MAX_COUNT}")


def ordered(
    work: Callable[[Item], Result], items: Iterable[Item], jobs: int, ahead: int | None = None
) -> Generator[Result, None, None]:
    """Results of `work(item)` in the items' order, made by `jobs` threads.

    items: read in the caller's thread when a result is asked for, one for each result once the
    work is under way. ahead: results that may wait for an earlier one or for the caller, besides
    the `jobs` that are being made; None for AHEAD times as many. Never more than ``jobs + ahead``
    items have been read whose results were not asked for: a slow caller stops the work.

    What `work` raises comes out in its item's place and ends the iteration; what the iterable
    raises comes after the results of the items before it. However the iteration ends, early
    closing and KeyboardInterrupt included, items not begun are dropped, those being worked on are
    finished, and no thread is left.
    """
    limit = jobs + (AHEAD * jobs if ahead is None else ahead)
    source, pending = iter(items), deque[Future[Result]]()
    ended, failure = False, None
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="latentsr-picture")
    try:
        while True:
            while not ended and len(pending) < limit:
                try:
                    pending.append(pool.submit(work, next(source)))
                except StopIteration:
                    ended = True
                except Exception as error:  # the iterable's own
                    ended, failure = True, error
            if not pending:
                break
            # Nothing here keeps a result that was handed out: it may be a large picture.
            yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        failure = None  # it holds this frame, and with it all that `work` holds, engines as well
        pool.shutdown(wait=True, cancel_futures=True)
