"""One benchmark from settings to result: inputs, launches of all contenders, rounds in turn."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.bench import extras, inputs, result
from latentsr.bench.contender import Contender, Plan, Started
from latentsr.bench.inputs import Input
from latentsr.bench.machine import other_load, sense_load
from latentsr.bench.rounds import Samples, Schedule, run_rounds
from latentsr.bench.subject import Setup, baseline_names
from latentsr.codec import Codec
from latentsr.errors import UsageError
from latentsr.image import to_rgb8

YARDSTICK = "sgemm"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """What to measure, and how.

    names: pictures or streams. routes: of the bundle; empty for all decode routes. subject: who
    runs them. baselines: names of `latentsr.bench.subject`. Each contender has a process of its
    own. launches: how often all processes are started anew; the intervals of ratios cover what
    differs from start to start.
    in_flight: how many pictures at a time for the throughput, one figure each; empty for none.
    sizes: (width, height) of enlarged pictures, for latency against size. write: suffix, to
    write each picture as part of a call. Everything else as in `Schedule` and `load`.
    """

    bundle: str
    names: tuple[str, ...]
    routes: tuple[str, ...] = ()
    subject: str = "route"
    baselines: tuple[str, ...] = ()
    baseline_options: dict[str, Any] = field(default_factory=dict)
    backend: str = "ort"
    device: str = "cpu"
    threads: int | None = None
    precision: str = "fp32"
    launches: int = 3
    schedule: Schedule = field(default_factory=Schedule)
    in_flight: tuple[int, ...] = (1, 2)
    sizes: tuple[tuple[int, int], ...] = ()
    write: str | None = None


@dataclass
class Launch:
    """One start of all processes: what each said, its samples, and what else was going on."""

    started: list[Started]
    samples: list[Samples]
    load: dict[str, float | None]


@dataclass
class Measured:
    """All that was found, by contender in the order of `plans`; pictures are the first input's."""

    settings: Settings
    plans: list[Plan]
    inputs: list[Input]
    launches: list[Launch] = field(default_factory=list)
    quality: dict[str, dict[int, dict[str, float | None]]] = field(default_factory=dict)
    throughput: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    pictures: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """The result, as `latentsr.bench.schema` describes it, and pictures to look at.

    pictures: what each trained contender makes of the first input, and ``original``; all uint8
    (H, W, 3) of one size.
    """

    result: dict[str, Any]
    pictures: dict[str, np.ndarray]


def run_bench(settings: Settings, say: Say = lambda text: None) -> Bench:
    """Measure as `settings` say.

    say: told what is going on. Raises LatentSRError of any kind.
    """
    with (
        tempfile.TemporaryDirectory(prefix="latentsr-bench-") as place,
        _setup(settings).load() as codec,
    ):
        chosen = _routes(codec, settings)
        scale = max(codec.bundle.manifest.routes[name].scale for name in chosen)
        folder = Path(place)
        found = inputs.gather(codec, settings.names, scale, folder)
        measured = Measured(settings, make_plans(chosen, settings), found)
        sized = _sized(codec, settings, found, scale, folder)
        for number in range(max(settings.launches, 1)):
            say(f"launch {number + 1} of {settings.launches}")
            _launch(measured, sized if number == 0 else [], folder, say)
        return Bench(result.assemble(measured, codec.bundle), measured.pictures)


def _routes(codec: Codec, settings: Settings) -> list[str]:
    known = {n: r for n, r in codec.bundle.manifest.routes.items() if r.kind == "decode"}
    for name in settings.routes:
        codec.bundle.route(name, "decode")
    for name in settings.baselines:
        if name not in baseline_names():
            raise UsageError(
                f"no such baseline: found {name!r}, expected one of {', '.join(baseline_names())}; "
                "choose one, or install the package that has it"
            )
    if not settings.names:
        raise UsageError("nothing to measure on: found no picture or stream, expected at least one")
    return list(dict.fromkeys(settings.routes or known))


def make_plans(chosen: Sequence[str], settings: Settings) -> list[Plan]:
    """A plan for each contender and the yardstick; UsageError where two have one name."""
    plans = [
        Plan(name, settings.subject, _setup(settings, route=name, write=settings.write))
        for name in chosen
    ]
    for name in dict.fromkeys(settings.baselines):
        options = settings.baseline_options
        plans.append(Plan(name, name, _setup(settings, **options), "baseline"))
    plans.append(Plan(YARDSTICK, "sgemm", _setup(settings), "yardstick"))
    # Figures are kept by name.
    doubled = [name for name, times in Counter(plan.name for plan in plans).items() if times > 1]
    if doubled:
        raise UsageError(
            f"contenders have one name: found {doubled[0]} for a route and another contender, "
            "expected different ones; choose --routes without it, or another baseline"
        )
    return plans


def _setup(settings: Settings, **options: Any) -> Setup:
    return Setup(settings.bundle, settings.backend, settings.device, settings.threads, options,
                 settings.precision)  # fmt: skip


def _sized(
    codec: Codec, settings: Settings, found: Sequence[Input], scale: int, folder: Path
) -> list[Input]:
    """Inputs of the sizes asked for, with the content of the first picture."""
    if not settings.sizes:
        return []
    if found[0].item.original is None:
        raise UsageError(
            "sizes need a picture: found a stream first, expected an HR original; name one"
        )
    first = to_rgb8(found[0].item.original)
    return [
        inputs.from_picture(
            codec, inputs.tiled_to(first, width, height), f"size-{width}x{height}", scale,
            folder, f"{width}x{height}",
        )
        for width, height in settings.sizes
    ]  # fmt: skip


def _launch(measured: Measured, sized: list[Input], folder: Path, say: Say) -> None:
    """Start every contender, run the rounds, and in the first launch all else."""
    before, own = sense_load(), _own_seconds()
    with ExitStack() as stack:
        contenders, started = [], []
        for plan in measured.plans:
            # Each is ready before the next begins, or one's cold start would hold another's.
            contenders.append(Contender(plan))
            stack.callback(contenders[-1].close)
            started.append(_start(contenders[-1], [*measured.inputs, *sized], say))
        numbers = list(range(len(measured.inputs)))
        samples = run_rounds(contenders, numbers, measured.settings.schedule)
        if not measured.launches:
            extras.quality(measured, contenders, started, folder)
            extras.throughput(measured, contenders, started, samples, say)
            for plan, contender in zip(measured.plans, contenders, strict=True):
                measured.memory[plan.name] = contender.peak_bytes()
            extras.latency_by_size(measured, contenders, sized, say)
    # Processes have ended: only now does the system tell what time they used.
    around = other_load(before, sense_load(), _own_seconds() - own)
    measured.launches.append(Launch(started, samples, around))


def _start(contender: Contender, found: Sequence[Input], say: Say) -> Started:
    say(f"starting {contender.plan.name}")
    started = contender.start()
    for number, one in enumerate(found):
        started.bytes[number] = contender.load(number, one.item)
    started.first_ms = contender.run(0).ms
    return started


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
