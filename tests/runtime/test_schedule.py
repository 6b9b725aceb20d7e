"""Ordered work in several threads: order, back-pressure, errors, and no thread left behind."""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from latentsr.errors import UsageError
from latentsr.pipeline.schedule import Crew, ordered, share_cores


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Gauge:
    """Work that takes a while, and the most calls that were in it at a time."""

    def __init__(self, seconds: Callable[[int], float] = lambda item: 0.001) -> None:
        self.now = self.most = self.calls = 0
        self._seconds, self._lock = seconds, threading.Lock()

    def __call__(self, item: int) -> int:
        with self._lock:
            self.now, self.calls = self.now + 1, self.calls + 1
            self.most = max(self.most, self.now)
        time.sleep(self._seconds(item))
        with self._lock:
            self.now -= 1
        return item * item


@pytest.mark.parametrize("fails", ["nothing", "work", "source"])
def test_nothing_is_held_after_the_end(fails: str) -> None:
    """What `work` holds, a codec with its engines, goes when its last user goes."""

    class Work:
        def __call__(self, item: int) -> int:
            return 1 // (item - 2) if fails == "work" else item

    def items() -> Iterator[int]:
        yield from range(4)
        if fails == "source":
            raise ValueError("no more")

    work = Work()
    held = weakref.ref(work)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(ZeroDivisionError, ValueError):
            list(ordered(work, items(), 2))
        del work
        assert held() is None
    finally:
        gc.enable()


def counted(count: int, pulled: list[int]) -> Iterator[int]:
    for item in range(count):
        pulled.append(item)
        yield item


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_keep_the_order_whatever_takes_longest(jobs: int) -> None:
    gauge = Gauge(lambda item: 0.02 if item % 7 == 0 else 0.0005)
    assert list(ordered(gauge, range(40), jobs)) == [item * item for item in range(40)]
    assert gauge.most <= jobs


def test_so_many_are_made_at_a_time() -> None:
    together = threading.Barrier(3)

    def work(item: int) -> int:
        together.wait(timeout=30)  # passes when three calls are here
        return item

    assert list(ordered(work, range(9), 3)) == list(range(9))


@pytest.mark.parametrize("items", [[], [3]])
def test_empty_and_single(items: list[int]) -> None:
    assert list(ordered(Gauge(), items, 4)) == [item * item for item in items]


@pytest.mark.parametrize(("jobs", "ahead", "limit"), [(2, None, 8), (2, 0, 2), (3, 5, 8)])
def test_a_slow_caller_stops_the_work(jobs: int, ahead: int | None, limit: int) -> None:
    pulled: list[int] = []
    gauge = Gauge()
    found = ordered(gauge, counted(60, pulled), jobs, ahead)
    assert not pulled  # nothing is read before a result is asked for
    for got in range(1, 11):
        next(found)
        time.sleep(0.01)  # long enough for the workers to finish all that they may have
        # The result in the caller's hands is no longer counted.
        assert len(pulled) <= got - 1 + limit and gauge.calls <= len(pulled)
    assert len(pulled) == 9 + limit
    found.close()


def test_an_endless_iterable_is_read_as_far_as_needed() -> None:
    found = ordered(Gauge(), itertools.count(), 2)
    assert [next(found) for _ in range(30)] == [item * item for item in range(30)]
    found.close()


def test_closing_early_drops_what_was_not_begun() -> None:
    pulled: list[int] = []
    gauge = Gauge(lambda item: 0.05)
    found = ordered(gauge, counted(100, pulled), 2, 20)
    assert next(found) == 0
    found.close()
    assert len(pulled) == 22 and gauge.calls < 22
    with pytest.raises(StopIteration):
        next(found)


def test_an_iterator_never_begun_or_forgotten_leaves_nothing() -> None:
    pulled: list[int] = []
    ordered(Gauge(), counted(5, pulled), 2)
    assert not pulled
    found = ordered(Gauge(), counted(50, pulled), 2)
    next(found)
    del found


def test_an_error_of_the_work_comes_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise KeyError(item)
        time.sleep(0.01 * (item < 3))  # what follows is ready before
        return item

    found = ordered(work, range(10), 4)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(found)
    assert list(found) == []


def test_an_error_of_the_iterable_comes_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the disk is gone")

    got = []
    with pytest.raises(OSError, match="disk"):
        for result in ordered(Gauge(), items(), 2):
            got.append(result)
    assert got == [0, 1, 4]


def test_keyboard_interrupt_in_the_iterable_ends_at_once() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise KeyboardInterrupt

    gauge = Gauge()
    with pytest.raises(KeyboardInterrupt):
        list(ordered(gauge, items(), 8))
    assert gauge.now == 0


def test_keyboard_interrupt_while_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import Future

    gauge = Gauge(lambda item: 0.02)
    found = ordered(gauge, itertools.count(), 2)
    next(found)

    def interrupted(self: Future[int], timeout: float | None = None) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(found)
    assert gauge.now == 0


@pytest.mark.parametrize(
    ("jobs", "threads", "items", "cores", "expected"),
    [
        (None, None, None, 2, Crew(2, 1)),
        (None, None, 1, 2, Crew(1, 2)),
        (None, None, 0, 2, Crew(1, 2)),
        (None, None, 3, 8, Crew(3, 2)),
        (None, None, 100, 8, Crew(8, 1)),
        (None, 2, None, 8, Crew(4, 2)),
        (None, 16, None, 8, Crew(1, 16)),
        (4, None, None, 8, Crew(4, 2)),
        (16, None, None, 8, Crew(16, 1)),
        (3, 5, 1, 8, Crew(3, 5)),
    ],
)
def test_cores_are_shared(
    jobs: int | None, threads: int | None, items: int | None, cores: int, expected: Crew
) -> None:
    assert share_cores(jobs, threads, items, cores) == expected


@pytest.mark.parametrize("wrong", [0, -1, 1025, 1.5, "2"])
def test_counts_out_of_range_are_refused(wrong: int) -> None:
    with pytest.raises(UsageError, match="expected a whole number"):
        share_cores(wrong, None)
    with pytest.raises(UsageError, match="expected a whole number"):
        share_cores(None, wrong)
