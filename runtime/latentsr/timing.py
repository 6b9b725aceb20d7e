"""Stage timings: what each step of the last call took, and how many MACs it did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field


@dataclass
class Stage:
    """One step of a call: its name, kind, milliseconds and MACs.

    kind: ``read``, ``entropy``, ``engine``, ``image``, ``write`` or ``start``. start: when it
    began, in seconds of `time.perf_counter`.
    """

    name: str
    kind: str
    ms: float = 0.0
    macs: int = 0
    start: float = 0.0


@dataclass
class Timeline:
    """The stages of one call in order; wall-clock milliseconds, monotonic clock."""

    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, kind: str, macs: int = 0) -> Iterator[Stage]:
        """Time the block as one stage."""
        entry = Stage(name, kind, macs=macs)
        self.stages.append(entry)
        entry.start = time.perf_counter()
        try:
            yield entry
        finally:
            entry.ms = (time.perf_counter() - entry.start) * 1e3

    @property
    def ms(self) -> float:
        """Sum over the stages in milliseconds."""
        return sum(stage.ms for stage in self.stages)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations over the stages."""
        return sum(stage.macs for stage in self.stages)

    def as_dict(self) -> list[dict[str, object]]:
        """The stages as plain dictionaries for JSON, without starts on this process's clock."""
        found = [asdict(stage) for stage in self.stages]
        for stage in found:
            del stage["start"]
        return found
