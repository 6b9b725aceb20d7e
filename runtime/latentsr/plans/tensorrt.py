"""Build the TensorRT plans of a bundle ahead of use, for pictures of named sizes.

Those of TensorRT for RTX also on machines without a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from latentsr.backends.base import EngineOptions
from latentsr.backends.device import Device, open_device, parse_index
from latentsr.backends.precision import check_precision, graph_for
from latentsr.backends.profiles import Profile, Range, exact
from latentsr.backends.tensorrt import TensorRtBackend, TensorRtRtxBackend
from latentsr.backends.tensorrt_api import library
from latentsr.backends.tensorrt_plans import Maker
from latentsr.bundle import Bundle
from latentsr.errors import BackendError, UsageError
from latentsr.plans.builders import Builder, Report, Wanted
from latentsr.plans.shapes import Ports, learn_ports

Say = Callable[[str], None]
NO_GPU = "no GPU here: the plans are for any from Ampere on, compiled where they run"
SECONDS = 10.0
"""Between two lines on how a build goes on."""


class TensorRtBuilder(Builder):
    """Plans for the backend ``tensorrt``."""

    precisions = ("fp32", "fp16")
    backend = TensorRtBackend

    def build(self, bundle: Bundle, wanted: Wanted, say: Say) -> Report:
        """Build the plans of all graphs for all sizes and ranges that are wanted."""
        ranges = [*(((h, w),) * 3 for w, h in wanted.sizes), *wanted.ranges]
        if not ranges:
            raise UsageError(
                "plans need to know the shapes: found none, expected sizes of coded pictures; "
                "pass --shapes 480x270, or --shapes SMALLEST:USUAL:GREATEST"
            )
        check_precision(bundle, wanted.precision, self.backend.name)
        options = EngineOptions(device=wanted.device, precision=wanted.precision)
        device = self.open(options)
        rows = self.plans(bundle, ranges, options, device, say, tuple(wanted.routes), wanted.force)
        places = [Path(row.pop("path")) for row in rows]
        notes = [NO_GPU] if device is None else []
        return Report(self.backend.name, wanted.precision, rows, notes=notes, places=places)

    def open(self, options: EngineOptions) -> Device | None:
        """The GPU to build on; BackendError without it, or without the library."""
        library(self.backend.package)
        return open_device(parse_index(options.device, self.backend.name))

    def plans(
        self,
        bundle: Bundle,
        ranges: Sequence[Range],
        options: EngineOptions,
        device: Device | None,
        say: Say,
        routes: tuple[str, ...] = (),
        force: bool = False,
    ) -> list[dict[str, Any]]:
        """Build what is not in the cache yet; one row a graph and range.

        ranges: smallest, usual and greatest coded picture (height, width), see
        `latentsr.backends.profiles.parse_sizes`. options: as for loading; precision and cache.
        device: see `open`. routes: whose graphs, all where empty. force: build again what is
        there. Raises BackendError, UsageError.
        """
        ports = learn_ports(bundle, routes)
        rows = []
        todo = [(name, sizes) for sizes in ranges for name in ports.graphs]
        for number, (name, sizes) in enumerate(todo, 1):
            progress = Progress(f"plan {number} of {len(todo)}", say)
            graph, own = graph_for(bundle, name, options)
            maker = self.backend.maker(graph, name, own, device, progress.line, progress)
            made = _build(maker, profile_of(ports, name, sizes), force)
            rows.append({"graph": name, "precision": own.precision, **made})
        return rows


class TensorRtRtxBuilder(TensorRtBuilder):
    """Plans for the backend ``tensorrt-rtx``."""

    backend = TensorRtRtxBackend

    def open(self, options: EngineOptions) -> Device | None:
        """The GPU, which tells the kind to build for; None where this machine has none.

        Raises BackendError without the library, and where a GPU was asked for by its number.
        """
        try:
            return super().open(options)
        except BackendError:
            library(self.backend.package)
            if parse_index(options.device, self.backend.name):
                raise
            return None


def profile_of(ports: Ports, graph: str, sizes: Range) -> Profile:
    """The profile of a graph for coded pictures in a range of sizes."""
    least, usual, most = (ports.shapes(graph, size) for size in sizes)
    return exact(usual) if least == usual == most else Profile(least, usual, most)


class Progress:
    """Says now and then how a build goes on."""

    def __init__(self, before: str, say: Say) -> None:
        self._before, self.say, self._last = before, say, time.monotonic()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Told by TensorRT: phase, steps done, steps in all."""
        now = time.monotonic()
        if now - self._last >= SECONDS and total:
            self._last = now
            self.say(f"{self._before}: {phase}, {100 * done // total} %")

    def line(self, text: str) -> None:
        """One line, whatever the time."""
        self.say(f"{self._before}: {text}")


def _build(maker: Maker, profile: Profile, force: bool) -> dict[str, Any]:
    begin = time.perf_counter()
    maker.put(profile, force)
    seconds = time.perf_counter() - begin
    notes, path = maker.notes(profile)
    return {
        "profile": str(profile),
        "seconds": round(seconds, 2),
        "build_seconds": notes.get("seconds"),
        "layers": notes.get("layers"),
        "bytes": path.stat().st_size,
        "path": str(path),
    }
