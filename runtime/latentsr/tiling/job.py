"""One tiled decode: entropy steps, then the rest of the route in tiles, within a memory budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentsr.errors import BundleError, UsageError
from latentsr.manifest import Route
from latentsr.pipeline import routes
from latentsr.pipeline.routes import Machine, Run
from latentsr.tiling.budget import ENGINE_FACTOR, choose, shown
from latentsr.tiling.plan import Chain
from latentsr.tiling.run import Sink, Tiles
from latentsr.tiling.sinks import ArraySink, Region
from latentsr.tiling.steps import GraphStep, TileStep
from latentsr.tiling.tail import OLD, Tail, Whole, graph_of, size_of
from latentsr.windows import NoWindow

STRIP_BYTES = 6
"""Bytes for each sample of a strip on its way into a file: its pieces and the strip."""


@dataclass(frozen=True)
class Work:
    """What a tail runs with; memory: bytes, None for as much as it takes."""

    route: Route
    run: Run
    machine: Machine
    memory: int | None


def finish(tail: Tail, work: Work, region: Region, sink: Sink, strip: int) -> None:
    """Make a region of the picture, rows then columns, in tiles and put them into `sink`.

    strip: bytes that the sink keeps for each sample of its widest row of tiles. Raises UsageError
    where the budget cannot hold what the route takes, and errors as `routes.execute`.
    """
    steps = _needed(tail)
    sizes = {name: size_of(value) for name, value in tail.values.items()}
    for number, step in enumerate(steps):
        if isinstance(step, TileStep):
            given = tuple(sizes[name] for name in step.inputs)
            if not isinstance(step, GraphStep) or step.fits(given):
                sizes |= dict(zip(step.outputs, step.sizes(given), strict=True))
                continue
            reason = f"graph {step.graph} takes whole blocks only, found {given}"
            step = Whole({**_original(step, work)}, step.inputs, step.outputs, reason)  # noqa: PLW2901
        for name in step.inputs:
            _materialise(name, steps[:number], sizes, tail, work)
        _run_whole(step, tail, work)
        sizes |= {name: size_of(tail.values[name]) for name in step.outputs}
        _forget(tail, steps[number + 1 :])
    _make(tail.target, steps, sizes, tail, work, region, sink, strip)


def _original(step: GraphStep, work: Work) -> dict[str, Any]:
    """The route's own step of a graph, by the values' own names."""
    names = {"in": [n.rstrip("'") for n in step.inputs], "out": [n.rstrip("'") for n in step.outputs]}
    found = next(s for s in work.route.steps if s["op"] == "graph"
                 and graph_of(s, work.run, work.machine.bundle.manifest) == step.graph)  # fmt: skip
    return {**found, **names}


def _needed(tail: Tail) -> list[TileStep | Whole]:
    """The steps that lead to the picture."""
    wanted, found = {tail.target} - set(tail.values), []
    for step in reversed(tail.steps):
        if wanted & set(step.outputs):
            found.append(step)
            wanted = (wanted - set(step.outputs)) | (set(step.inputs) - set(tail.values))
    return found[::-1]


def _materialise(
    name: str, steps: list[TileStep | Whole], sizes: dict[str, Any], tail: Tail, work: Work
) -> None:
    """Put a value together from tiles, for a step that needs it whole."""
    if name in tail.values:
        return
    rows, columns = sizes[name]
    region = (0, rows), (0, columns)
    sink = ArraySink(region)
    _make(name, steps, sizes, tail, work, region, sink, 0)
    tail.values[name] = sink.array


def _make(
    target: str, steps: list[TileStep | Whole], sizes: dict[str, Any], tail: Tail, work: Work,
    region: Region, sink: Sink, strip: int,
) -> None:  # fmt: skip
    """Make a region of one value from those at hand."""
    chain = Chain(tuple(_chain(target, steps, tail)), target, sizes)
    budget = None if work.memory is None else work.memory - _resident(tail)
    grid = choose(chain, region, budget, strip)
    if budget is not None and grid.bytes > budget:
        least = grid.bytes + _resident(tail)
        raise UsageError(
            f"memory budget is too small: found {shown(work.memory or 0)}, expected at least "
            f"{shown(least * 1.05)} for this picture and route; give more"
        )
    Tiles(chain, tail.values, work.run.timeline).run(grid, sink)


def _chain(target: str, steps: list[TileStep | Whole], tail: Tail) -> list[TileStep]:
    wanted, found = {target} - set(tail.values), []
    for step in reversed(steps):
        if wanted & set(step.outputs) and isinstance(step, TileStep):
            found.append(step)
            wanted = (wanted - set(step.outputs)) | (set(step.inputs) - set(tail.values))
    return found[::-1]


def _run_whole(step: Whole, tail: Tail, work: Work) -> None:
    """Run a step on whole values, if the budget allows."""
    _check_whole(step, tail, work)
    run = work.run
    names = routes.inputs_of(step.step)
    run.values |= {n: tail.values[i] for n, i in zip(names, step.inputs, strict=True)}
    kind, label = routes.describe(step.step)
    with run.timeline.stage(label, kind) as stage:
        routes.STEPS[step.step["op"]][1](step.step, run, work.machine, stage)
    made = routes.outputs_of(step.step)
    tail.values |= {i: run.values[n] for n, i in zip(made, step.outputs, strict=True)}
    run.values.clear()


def _check_whole(step: Whole, tail: Tail, work: Work) -> None:
    if work.memory is None:
        return
    window = None
    if step.step["op"] == "graph":
        graph = graph_of(step.step, work.run, work.machine.bundle.manifest)
        window = work.machine.bundle.manifest.graphs[graph].window
        if window is None:
            raise UsageError(
                f"bundle does not say how its graphs can be tiled: {OLD}; export it again, or run "
                "python -m latentsr_export.add_windows on it"
            )
    rows, columns = size_of(tail.values[step.inputs[0]])
    each = window.bytes if window is not None else 0.0
    takes = ENGINE_FACTOR * each * rows * columns + _resident(tail)
    if takes > work.memory:
        reason = window.reason if isinstance(window, NoWindow) else step.reason
        raise UsageError(
            f"memory budget is too small: found {shown(work.memory)}, expected about "
            f"{shown(takes)}, as a step cannot be tiled ({reason}); give more"
        )


def _resident(tail: Tail) -> int:
    return sum(value.nbytes for value in tail.values.values())


def _forget(tail: Tail, later: list[TileStep | Whole]) -> None:
    """Drop values that no later step takes."""
    taken = {name for step in later for name in step.inputs} | {tail.target}
    for name in [n for n in tail.values if n not in taken]:
        del tail.values[name]


def check_picture(piece: np.ndarray) -> None:
    """Raise BundleError for a tile that is no part of a picture."""
    if piece.dtype != np.uint8 or piece.ndim != 3 or piece.shape[2] != 3:
        raise BundleError(
            f"route makes no picture: found {piece.dtype} {piece.shape}, expected uint8 (H, W, 3); "
            "export the bundle again"
        )
