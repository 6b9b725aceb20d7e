"""What a codec remembers of its calls: the stage times and repairs of each thread's last one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from latentsr.entropy.repair import Repair
from latentsr.timing import Timeline


@dataclass(frozen=True)
class CallRecord:
    """Stage times of one call, and its repairs (see `latentsr.entropy.repair`)."""

    timeline: Timeline = field(default_factory=Timeline)
    repairs: Sequence[Repair] = ()


class LastCall:
    """The record of the last call that ended in the asking thread.

    A thread that made no call gets that of the last call to end anywhere.
    """

    def __init__(self) -> None:
        self._own = threading.local()
        self._latest = CallRecord()

    def keep(self, record: CallRecord) -> None:
        """Note a call that ends in this thread."""
        self._own.record = self._latest = record

    @property
    def record(self) -> CallRecord:
        """The last call's record; an empty one before the first call."""
        found: CallRecord = getattr(self._own, "record", self._latest)
        return found
