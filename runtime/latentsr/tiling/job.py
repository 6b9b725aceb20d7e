"""Routes in tiles within a memory budget: values from tiles, and steps that need whole values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from latentsr.errors import BundleError, UsageError
from latentsr.manifest import Route
from latentsr.pipeline import routes
from latentsr.pipeline.routes import Machine, Run
from latentsr.tiling.budget import ENGINE_FACTOR, too_small
from latentsr.tiling.graph_step import GraphStep
from latentsr.tiling.parts import Held, Region
from latentsr.tiling.phases import schedule
from latentsr.tiling.plan import leading_to
from latentsr.tiling.run import Sink, Tiles
from latentsr.tiling.sinks import ArraySink
from latentsr.tiling.steps import Size, TileStep
from latentsr.tiling.tail import OLD, Load, Tail, Whole, graph_of, size_of

STRIP_BYTES = 6
"""Bytes for each sample of a strip on its way into a file: its pieces and the strip."""
_FLOAT, _COLOURS = 4, 3  # bytes of a sample, channels of a value that no graph made


@dataclass(frozen=True)
class Work:
    """What a tail runs with; memory: bytes, None for as much as it takes."""

    route: Route
    run: Run
    machine: Machine
    load: Load
    memory: int | None


def finish(tail: Tail, work: Work, region: Region, sink: Sink, strip: int) -> None:
    """Make a region of the picture, rows then columns, in tiles and put them into `sink`.

    strip: bytes that the sink keeps for each sample of its widest row of tiles. Raises BudgetError
    where the budget cannot hold what the route takes, and errors as `routes.execute`.
    """
    steps = leading_to(tail.target, tail.steps, set(tail.values))
    sizes = {name: size_of(value) for name, value in tail.values.items()}
    ready: list[TileStep] = []
    for number, each in enumerate(steps):
        step = whole_if_unfit(each, sizes, work)
        if isinstance(step, TileStep):
            given = tuple(sizes[name] for name in step.inputs)
            sizes |= dict(zip(step.outputs, step.sizes(given), strict=True))
            ready.append(step)
            continue
        assemble(step.inputs, ready, tail, work, sizes)
        run_whole(step, tail, work)
        sizes |= {name: size_of(tail.values[name]) for name in step.outputs}
        forget(tail, {name for step in steps[number + 1 :] for name in step.inputs})
    _check_size(sizes[tail.target], work)
    _make({tail.target: sink}, ready, tail, work, region, strip, 0)


def assemble(
    names: Iterable[str], ready: list[TileStep], tail: Tail, work: Work, sizes: Mapping[str, Size]
) -> None:
    """Make all of these values, as far as they are not at hand yet, in tiles.

    What one graph makes in one size is made at once, so that the graph runs once.
    """
    left = [name for name in dict.fromkeys(names) if name not in tail.values]
    while left:
        size = sizes[left[0]]
        maker = next(step for step in reversed(ready) if left[0] in step.outputs)
        made = [name for name in left if name in maker.outputs and sizes[name] == size]
        region = (0, size[0]), (0, size[1])
        sinks = {name: ArraySink(region) for name in made}
        kept = _FLOAT * size[0] * size[1] * sum(_channels(maker, name) for name in made)
        _make(sinks, ready, tail, work, region, 0, kept)
        tail.values |= {name: sink.array for name, sink in sinks.items()}
        left = [name for name in left if name not in made]


def _channels(maker: TileStep, name: str) -> int:
    if isinstance(maker, GraphStep):
        return maker.window.channels[maker.outputs.index(name)]
    return _COLOURS


def _check_size(found: Size, work: Work) -> None:
    """Raise BundleError for a route whose picture is not of its scale, as on the whole picture."""
    expected = work.run.height * work.route.scale, work.run.width * work.route.scale
    if found != expected:
        raise BundleError(
            f"route makes no such picture: found {found[0]} rows and {found[1]} columns, expected "
            f"{expected[0]} and {expected[1]}; export the bundle again"
        )


def whole_if_unfit(
    step: TileStep | Whole, sizes: Mapping[str, Size], work: Work
) -> TileStep | Whole:
    """A graph that takes whole blocks only, on another size, as a step that is not tiled."""
    if not isinstance(step, GraphStep):
        return step
    given = tuple(sizes[name] for name in step.inputs)
    if step.fits(given):
        return step
    found = next(s for s in work.route.steps if s["op"] == "graph"
                 and graph_of(s, work.run, work.machine.bundle.manifest) == step.name)  # fmt: skip
    reason = f"graph {step.name} is tiled on whole blocks only, found {given}"
    return Whole(found, step.inputs, step.outputs, reason)


def _make(
    sinks: Mapping[str, Sink], steps: list[TileStep], tail: Tail, work: Work, region: Region,
    strip: int, kept: int,
) -> None:  # fmt: skip
    """Make a region of values that one step makes; kept: bytes of them that stay in the sinks."""
    at_hand = {name: size_of(value) for name, value in tail.values.items()}
    used = leading_to(next(iter(sinks)), steps, set(at_hand))
    held_bytes = _resident(tail) + kept
    budget = None if work.memory is None else work.memory - held_bytes
    plan = schedule(used, list(sinks), region, at_hand, budget, strip)
    if work.memory is not None and plan.bytes + held_bytes > work.memory:
        least = 1.05 * plan.bytes + held_bytes
        raise too_small(work.memory, "at least", least, "for this picture and route")
    held = {name: Held(value) for name, value in tail.values.items()}
    for phase in plan.phases:
        last = phase is plan.phases[-1]
        work.load([graph.unit.engine for graph in phase.chain.graphs], work.run)
        tiles = Tiles(phase.chain, held, work.run.timeline)
        if last:
            tiles.run(phase.grid, *sinks.values())
            continue
        into = ArraySink(phase.region)
        tiles.run(phase.grid, into)
        begins = phase.region[0][0], phase.region[1][0]
        held[phase.chain.target] = Held(into.array, begins)


def run_whole(step: Whole, tail: Tail, work: Work) -> None:
    """Run a step on whole values, if the budget allows."""
    # Entropy steps of chunks without parameters begin with nothing.
    size = size_of(tail.values[step.inputs[0]]) if step.inputs else (0, 0)
    check_whole(step, size, tail, work)
    run, names = work.run, routes.inputs_of(step.step)
    run.lean = work.memory is not None
    if step.step["op"] == "graph":
        work.load([graph_of(step.step, run, work.machine.bundle.manifest)], run)
    run.values |= {n: tail.values[i] for n, i in zip(names, step.inputs, strict=True)}
    kind, label = routes.describe(step.step)
    with run.timeline.stage(label, kind) as stage:
        routes.STEPS[step.step["op"]][1](step.step, run, work.machine, stage)
    made = routes.outputs_of(step.step)
    tail.values |= {i: run.values[n] for n, i in zip(made, step.outputs, strict=True)}
    run.values.clear()


def check_whole(step: Whole, size: Size, tail: Tail, work: Work) -> None:
    """Raise BudgetError where a step that is not tiled takes more than the budget.

    size: rows and columns of its first input.
    """
    if work.memory is None:
        return
    each = 0.0
    if step.step["op"] == "graph":
        graph = graph_of(step.step, work.run, work.machine.bundle.manifest)
        window = work.machine.bundle.manifest.graphs[graph].window
        if window is None:
            raise UsageError(
                f"bundle does not say how its graphs can be tiled: found {OLD}, expected windows; "
                "export it again, or run python -m latentsr_export.add_windows on it"
            )
        each = window.bytes
    takes = ENGINE_FACTOR * each * size[0] * size[1] + _resident(tail)
    if takes > work.memory:
        raise too_small(work.memory, "about", takes, f"as {step.reason}")


def _resident(tail: Tail) -> int:
    return sum(value.nbytes for value in tail.values.values())


def forget(tail: Tail, taken: set[str]) -> None:
    """Drop values that no later step takes."""
    for name in [n for n in tail.values if n not in taken | {tail.target}]:
        del tail.values[name]
