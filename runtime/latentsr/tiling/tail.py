"""Routes in tiles: the steps that can be run part by part, and what they begin with.

Entropy coding runs whole: latents are small. So do graphs that have no window, and what feeds them
is put together first.
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
    "resize": Resize,
}
Load = Callable[[Iterable[str], Run], None]
OLD = "one from before there were windows"
Listed = tuple[Mapping[str, Any], tuple[str, ...], tuple[str, ...]]
"""A step with the names of its inputs and outputs that `numbered` gives."""


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


def numbered(route: Route, given: Sequence[str] = ()) -> list[Listed]:
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
        if step["op"] not in ("pad", *_IMAGE_STEPS):
            return Whole(step, inputs, outputs, f"step {step['op']} works on whole values")
        own = {**step, "in": inputs[0], "out": outputs[0]}
        if step["op"] == "pad":
            return Pad(own, run, machine.planes)
        return _IMAGE_STEPS[step["op"]](own, run)
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
