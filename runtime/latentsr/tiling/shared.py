"""One memory budget for several pictures at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from latentsr.errors import BudgetError
from latentsr.tiling.budget import LEAST, parse_memory

Made = TypeVar("Made")


def jobs_within(memory: str | int | None, jobs: int | None) -> int | None:
    """One picture at a time within a budget, unless more are asked for: they have to share it."""
    return 1 if memory is not None and jobs is None else jobs


def unlimited(call: Callable[[int | None], Made]) -> Made:
    """What `call` makes without a budget; stands in for `SharedBudget.spend`."""
    return call(None)


class SharedBudget:
    """A budget that `jobs` pictures at a time share, in equal parts.

    A picture that its part cannot hold waits until no other is in work, and gets all of it. Any
    number of threads may use it. Raises UsageError for a memory that is no size.
    """

    def __init__(self, memory: str | int, jobs: int) -> None:
        self._all = parse_memory(memory)
        self._part = self._all // jobs
        self._changed = threading.Condition()
        self._in_work = 0
        self._need_all = 0  # pictures that wait for all of it, or have it

    def spend(self, call: Callable[[int | None], Made]) -> Made:
        """What `call` makes within the bytes that it is given.

        It is called again with all of them where it raises BudgetError over its part.
        """
        if LEAST <= self._part < self._all:
            try:
                with self._beside_others():
                    return call(self._part)
            except BudgetError:
                pass
        with self._alone():
            return call(self._all)

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        with self._changed:
            # Whoever waits for all goes first, or small pictures could keep it waiting for ever.
            self._changed.wait_for(lambda: not self._need_all)
            self._in_work += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._changed:
            self._need_all += 1
            self._changed.wait_for(lambda: not self._in_work)
            self._in_work += 1
        try:
            yield
        finally:
            self._leave(1)

    def _leave(self, needed_all: int = 0) -> None:
        with self._changed:
            self._in_work -= 1
            self._need_all -= needed_all
            self._changed.notify_all()
