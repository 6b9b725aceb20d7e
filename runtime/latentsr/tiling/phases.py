"""The order in which tiles are made: which values are put together on the way, before the picture.

A value that is put together costs memory, and spares all tiles behind it the margins of the steps
before it. Every choice among the values that engines make is tried, and the cheapest that fits
into the budget is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from latentsr.tiling.budget import Cuts, Grid, choose
from latentsr.tiling.graph_step import GraphStep
from latentsr.tiling.parts import Region, Span
from latentsr.tiling.plan import AxisPlan, Chain, candidates, part_of
from latentsr.tiling.steps import Size, TileStep

_MOST_VALUES = 6  # that are tried: as many choices as 2 to that power
_FLOAT = 4
_EACH_PHASE = 1.02  # another phase must save more than this


@dataclass(frozen=True)
class Phase:
    """One value, or a region of it, made in tiles from those at hand and of earlier phases."""

    chain: Chain
    region: Region
    grid: Grid


@dataclass(frozen=True)
class Schedule:
    """Phases in order, the last for the target; bytes at most, without what is at hand; MACs."""

    phases: tuple[Phase, ...]
    bytes: float
    macs: float


def schedule(
    steps: Sequence[TileStep],
    targets: Sequence[str],
    region: Region,
    at_hand: Mapping[str, Size],
    budget: float | None,
    strip: int,
) -> Schedule:
    """How to make a region of the targets; steps: all that may be needed, in order.

    targets: one value, or several of one size that one step makes. at_hand: sizes of the values
    that are there. budget: bytes for all else; without one, the fewest MACs, and a whole picture in
    one tile. strip: as for `budget.choose`. Where nothing fits, the plan that takes the least.
    """
    target = targets[0]
    aim = _Aim(target, tuple(targets[1:]), region, at_hand, budget, strip, _remembered())
    simple = _schedule(steps, (), aim)
    whole = all(span == (0, side) for span, side in
                zip(region, simple.phases[-1].chain.sizes[target], strict=True))  # fmt: skip
    if budget is None:
        if whole:
            return simple
        aim = replace(aim, budget=math.inf)
    elif whole and simple.bytes <= budget and simple.phases[0].grid.tiles == 1:
        return simple
    found = []
    for way in _ways(steps):
        values = [name for step in way if isinstance(step, GraphStep) for name in step.outputs[:1]
                  if len(step.outputs) == 1 and name != target][:_MOST_VALUES]  # fmt: skip
        for count in range(len(values) + 1):
            for kept in combinations(values, count):
                found.append(_schedule(way, kept, aim))
    fitting = [one for one in found if aim.budget is None or one.bytes <= aim.budget]
    if fitting:
        return min(fitting, key=lambda one: one.macs * _EACH_PHASE ** len(one.phases))
    return min(found, key=lambda one: one.bytes)


def _ways(steps: Sequence[TileStep]) -> list[list[TileStep]]:
    """The steps as they are, and with graphs in pieces where they have some."""
    cut: list[TileStep] = []
    for step in steps:
        pieces = step.pieces() if isinstance(step, GraphStep) else []
        cut += pieces or [step]
    return [list(steps)] if len(cut) == len(steps) else [list(steps), cut]


@dataclass(frozen=True)
class _Aim:
    """What all choices have in common."""

    target: str
    beside: tuple[str, ...]
    region: Region
    at_hand: Mapping[str, Size]
    budget: float | None
    strip: int
    cuts: Cuts


def _remembered() -> Cuts:
    """`plan.candidates`, which many choices ask for the same chain and span."""
    found: dict[object, Sequence[AxisPlan]] = {}

    def cuts(chain: Chain, axis: int, span: Span) -> Sequence[AxisPlan]:
        key = chain.steps, chain.target, chain.beside, axis, span
        if key not in found:
            found[key] = candidates(chain, axis, span)
        return found[key]

    return cuts


def _schedule(steps: Sequence[TileStep], kept: Sequence[str], aim: _Aim) -> Schedule:
    """One choice: the values in `kept`, in order, are put together."""
    sizes = dict(aim.at_hand)
    for step in steps:
        sizes |= dict(
            zip(step.outputs, step.sizes(tuple(sizes[name] for name in step.inputs)), strict=True)
        )
    channels = {name: n for step in steps if isinstance(step, GraphStep)
                for name, n in zip(step.outputs, step.window.channels, strict=True)}  # fmt: skip
    chains = _chains(steps, kept, aim, sizes)
    phases, most, held = [], 0.0, 0.0
    for chain, region in chains:
        own = 0.0
        if chain.target != aim.target:
            (top, bottom), (left, right) = region
            own = _FLOAT * channels[chain.target] * (bottom - top) * (right - left)
        # Values of earlier phases are kept to the end: they are few, and most feed the next.
        held += own
        rest = None if aim.budget is None else aim.budget - held
        grid = choose(chain, region, rest, 0 if own else aim.strip, aim.cuts)
        phases.append(Phase(chain, region, grid))
        most = max(most, held + grid.bytes)
    return Schedule(tuple(phases), most, sum(phase.grid.macs for phase in phases))


def _chains(
    steps: Sequence[TileStep], kept: Sequence[str], aim: _Aim, sizes: Mapping[str, Size]
) -> list[tuple[Chain, Region]]:
    """What makes each kept value, in order, and the target; and the regions that are needed."""
    wanted: dict[str, Region] = {aim.target: aim.region}
    found = []
    names = (*kept, aim.target)
    for number in reversed(range(len(names))):
        if names[number] not in wanted:
            continue
        region = wanted[names[number]]
        chain = Chain.to(names[number], steps, {*aim.at_hand, *kept[:number]}, sizes)
        if number == len(kept):
            chain = replace(chain, beside=aim.beside)
        found.append((chain, region))
        rows, columns = (part_of(chain, axis, region[axis]).spans for axis in (0, 1))
        for value in kept[:number]:
            if value in rows:
                wanted[value] = _hull(wanted.get(value), (rows[value], columns[value]))
    return found[::-1]


def _hull(have: Region | None, more: Region) -> Region:
    if have is None:
        return more
    rows, columns = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(have, more, strict=True))
    return rows, columns
