"""Build the TensorRT plans of a bundle ahead of use, for pictures of named sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from latentsr.backends.base import EngineOptions
from latentsr.backends.device import Device, open_device, parse_index
from latentsr.backends.precision import check_precision, graph_for
from latentsr.backends.profiles import Profile, Range, exact
from latentsr.backends.tensorrt import TensorRtBackend
from latentsr.backends.tensorrt_api import library
from latentsr.bundle import Bundle
from latentsr.errors import UsageError
from latentsr.plans.builders import Builder, Report, Wanted
from latentsr.plans.shapes import Ports, learn_ports

Say = Callable[[str], None]
SECONDS = 10.0
"""Between two lines on how a build goes on."""


class TensorRtBuilder(Builder):
    """Plans for the backend ``tensorrt``."""

    precisions = ("fp32", "fp16")

    def build(self, bundle: Bundle, wanted: Wanted, say: Say) -> Report:
        """Build the plans of all graphs for all sizes and ranges that are wanted."""
        ranges = [*(((h, w),) * 3 for w, h in wanted.sizes), *wanted.ranges]
        if not ranges:
            raise UsageError(
                "plans need to know the shapes: found none, expected sizes of coded pictures; "
                "pass --shapes 480x270, or --shapes SMALLEST:USUAL:GREATEST"
            )
        check_precision(bundle, wanted.precision, "tensorrt")
        options = EngineOptions(device=wanted.device, precision=wanted.precision)
        rows = build_plans(bundle, ranges, options, say, tuple(wanted.routes), wanted.force)
        places = [Path(row.pop("path")) for row in rows]
        return Report("tensorrt", wanted.precision, rows, places=places)


def build_plans(
    bundle: Bundle,
    ranges: Sequence[Range],
    options: EngineOptions,
    say: Say,
    routes: tuple[str, ...] = (),
    force: bool = False,
) -> list[dict[str, Any]]:
    """Build what is not in the cache yet; one row a graph and range.

    ranges: smallest, usual and greatest coded picture (height, width), see
    `latentsr.backends.profiles.parse_sizes`. options: as for loading; device, precision, cache.
    routes: whose graphs, all where empty. force: build again what is there. Raises BackendError,
    UsageError.
    """
    library()
    device = open_device(parse_index(options.device, "tensorrt"))
    ports = learn_ports(bundle, routes)
    rows = []
    todo = [(name, sizes) for sizes in ranges for name in ports.graphs]
    for number, (name, sizes) in enumerate(todo, 1):
        profile = profile_of(ports, name, sizes)
        before = f"plan {number} of {len(todo)}"
        rows.append(_build(bundle, name, profile, options, device, Progress(before, say), force))
    return rows


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


def _build(
    bundle: Bundle,
    name: str,
    profile: Profile,
    options: EngineOptions,
    device: Device,
    progress: Progress,
    force: bool,
) -> dict[str, Any]:
    graph, own = graph_for(bundle, name, options)
    maker = TensorRtBackend.maker(graph, name, own, device, progress.line, progress)
    begin = time.perf_counter()
    if force:
        maker.rebuild(profile)
    else:
        maker.fetch(profile)
    seconds = time.perf_counter() - begin
    notes, path = maker.notes(profile)
    return {
        "graph": name,
        "precision": own.precision,
        "profile": str(profile),
        "seconds": round(seconds, 2),
        "build_seconds": notes.get("seconds"),
        "layers": notes.get("layers"),
        "bytes": path.stat().st_size,
        "path": str(path),
    }
