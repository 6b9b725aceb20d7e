"""The tail of a decode route: the steps that can be run part by part, and what they begin with.

Entropy coding and whatever it depends on run whole: latents are small. So do graphs that have no
window, and what feeds them is put together first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from latentsr.manifest import Manifest, Route
from latentsr.pipeline import routes
from latentsr.pipeline.routes import Machine, Run
from latentsr.tiling.graph_step import GraphStep, Unit
from latentsr.tiling.parts import Value
from latentsr.tiling.steps import Crop, Pad, Pointwise, Resize, Size, TileStep
from latentsr.windows import NoWindow, Window

_IMAGE_STEPS: dict[str, Callable[[Mapping[str, Any], Run], TileStep]] = {
    "crop": Crop,
    "clamp": Pointwise,
    "picture": Pointwise,
    "pad": Pad,
    "resize": Resize,
}
Load = Callable[[Iterable[str], Run], None]
OLD = "one from before there were windows"


@dataclass(frozen=True)
class Whole:
    """A step of the tail that needs its inputs whole, and why."""

    step: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reason: str


@dataclass
class Tail:
    """What is left of a route behind its entropy steps.

    steps: in order; their values have names of their own each time they are set. values: the whole
    ones that are at hand. target: the picture.
    """

    steps: list[TileStep | Whole]
    values: dict[str, Value]
    target: str


def numbered(
    route: Route, given: Sequence[str] = ()
) -> list[tuple[Mapping[str, Any], tuple[str, ...], tuple[str, ...]]]:
    """Steps with names of inputs and outputs that are each set once: ``x_hat``, then ``x_hat'``.

    given: values that are there before the first step.
    """
    names = {name: name for name in given}
    found = []
    for step in route.steps:
        inputs = tuple(names[name] for name in routes.inputs_of(step))
        outputs = []
        for name in routes.outputs_of(step):
            names[name] = names[name] + "'" if name in names else name
            outputs.append(names[name])
        found.append((step, inputs, tuple(outputs)))
    return found


@dataclass(frozen=True)
class Engines:
    """How engines are used: what loads them; lean: they keep no memory between runs.

    precision: where a graph has a variant in it, that one runs, and only as a whole, not in pieces.
    """

    load: Load
    lean: bool
    precision: str


def start(route: Route, run: Run, machine: Machine, engines: Engines) -> Tail:
    """Run the entropy steps and all that they need, and give the rest; errors as `execute`."""
    listed = numbered(route)
    head = _head(listed)
    values: dict[str, Value] = {}
    manifest = machine.bundle.manifest
    engines.load([graph_of(listed[n][0], run, manifest) for n in sorted(head)
          if listed[n][0]["op"] == "graph"], run)  # fmt: skip
    for number, (step, _, outputs) in enumerate(listed):
        if number not in head:
            continue
        kind, name = routes.describe(step)
        with run.timeline.stage(name, kind) as stage:
            routes.STEPS[step["op"]][1](step, run, machine, stage)
        values |= {o: run.values[n] for o, n in zip(outputs, routes.outputs_of(step), strict=True)}
    steps = [tail_step(*listed[n], run, machine, engines)
             for n in range(len(listed)) if n not in head]  # fmt: skip
    target = [o for _, _, outputs in listed for o in outputs if o.rstrip("'") == "picture"][-1]
    taken = {name for step in steps for name in step.inputs} | {target}
    run.values.clear()  # of the latents, only what the tail takes is kept
    run.symbols.clear()
    return Tail(steps, {name: value for name, value in values.items() if name in taken}, target)


def _head(listed: list[tuple[Mapping[str, Any], tuple[str, ...], tuple[str, ...]]]) -> set[int]:
    """Numbers of the steps that read chunks, and of those that they depend on."""
    found: set[int] = set()
    needed: set[str] = set()
    for number in reversed(range(len(listed))):
        step, inputs, outputs = listed[number]
        if step["op"] in routes.DECODERS or needed & set(outputs):
            found.add(number)
            needed |= set(inputs)
    return found


def tail_step(
    step: Mapping[str, Any],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    run: Run,
    machine: Machine,
    engines: Engines,
) -> TileStep | Whole:
    """One step as it is run in tiles, or why it is not; a `pad` as the run's padding is now."""
    if step["op"] != "graph":
        if step["op"] not in _IMAGE_STEPS:
            return Whole(step, inputs, outputs, f"step {step['op']} works on whole pictures")
        return _IMAGE_STEPS[step["op"]]({**step, "in": inputs[0], "out": outputs[0]}, run)
    graph = graph_of(step, run, machine.bundle.manifest)
    listed = machine.bundle.manifest.graphs[graph]
    window = listed.window
    if isinstance(window, Window):
        if engines.precision in listed.variants:
            window = replace(window, pieces=())
        unit = Unit(graph, listed.inputs, listed.outputs, window, listed.macs_per_position)
        return GraphStep(unit, inputs, outputs, machine, engines.lean)
    reason = window.reason if isinstance(window, NoWindow) else OLD
    return Whole(step, inputs, outputs, f"graph {graph} has no window: {reason}")


def graph_of(step: Mapping[str, Any], run: Run, manifest: Manifest) -> str:
    """The graph that a step runs for this stream."""
    name: str = step["graph"]
    return manifest.exact.get(name, name) if run.exact else name


def size_of(value: Value) -> Size:
    """Rows and columns of a picture (H, W, 3) or planes (1, C, H, W)."""
    rows, columns = value.shape[:2] if value.ndim == 3 else value.shape[2:4]
    return rows, columns
