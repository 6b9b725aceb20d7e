"""One memory budget for several pictures at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from latentsr.errors import BudgetError
from latentsr.manifest import Manifest
from latentsr.tiling.budget import LEAST, parse_memory, too_small

_CODER_BYTES = 9  # of a latent: its symbol, what becomes of it, the table's row
Made = TypeVar("Made")


def jobs_within(memory: str | int | None, jobs: int | None) -> int | None:
    """One picture at a time within a budget, unless more are asked for: they have to share it."""
    return 1 if memory is not None and jobs is None else jobs


@dataclass(frozen=True)
class Allowance:
    """Bytes that one picture may take; shared: while others are in work, too."""

    bytes: int
    shared: bool

    def beside_coder(self, manifest: Manifest, width: int, height: int) -> int:
        """The budget for a call that codes or decodes a picture of this size.

        A call's budget is for all but the coder's own arrays. Beside other pictures they count as
        well: BudgetError where they leave too little.
        """
        if not self.shared:
            return self.bytes
        taken = max(
            (_CODER_BYTES * chunk.channels * math.ceil(height / chunk.stride)
             * math.ceil(width / chunk.columns) for chunk in manifest.chunks if not chunk.is_file),
            default=0,
        )  # fmt: skip
        if self.bytes - taken < LEAST:
            raise too_small(self.bytes, "about", taken + LEAST, "for the coder's arrays")
        return self.bytes - taken


def unlimited(call: Callable[[Allowance | None], Made]) -> Made:
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

    def spend(self, call: Callable[[Allowance | None], Made]) -> Made:
        """What `call` makes within its allowance.

        It is called again with all that there is where it raises BudgetError over its part.
        """
        if LEAST <= self._part < self._all:
            try:
                with self._beside_others():
                    return call(Allowance(self._part, True))
            except BudgetError:
                pass
        with self._alone():
            return call(Allowance(self._all, False))

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
