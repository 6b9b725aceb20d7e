"""The order in which tiles are made: which values are put together on the way, before the picture.

A value that is put together costs memory, and spares all tiles behind it the margins of the steps
before it. Every choice among the values that engines make is tried, and the cheapest that fits
into the budget is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from latentsr.tiling.budget import Grid, choose
from latentsr.tiling.plan import Chain, part_of
from latentsr.tiling.sinks import Region
from latentsr.tiling.steps import GraphStep, Size, TileStep

_MOST_VALUES = 6  # that are tried: as many choices as 2 to that power
_FLOAT = 4
_EACH_PHASE = 1.02  # another phase must save more than this


@dataclass(frozen=True)
class Phase:
    """One value, or a region of it, made in tiles from those at hand and those of earlier phases."""

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
    target: str,
    region: Region,
    at_hand: Mapping[str, Size],
    budget: float | None,
    strip: int,
) -> Schedule:
    """How to make a region of the target; steps: all that may be needed, in order.

    at_hand: sizes of the values that are there. budget: bytes for all else. strip: as for
    `budget.choose`. Without a budget, everything in one tile. Where nothing fits, the plan that
    takes the least.
    """
    if budget is None:
        return _schedule(steps, (), target, region, at_hand, None, strip)
    found = []
    for way in _ways(steps):
        values = [name for step in way if isinstance(step, GraphStep) for name in step.outputs[:1]
                  if len(step.outputs) == 1 and name != target][:_MOST_VALUES]  # fmt: skip
        for count in range(len(values) + 1):
            for kept in combinations(values, count):
                found.append(_schedule(way, kept, target, region, at_hand, budget, strip))
    fitting = [one for one in found if one.bytes <= budget]
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


def _schedule(
    steps: Sequence[TileStep],
    kept: Sequence[str],
    target: str,
    region: Region,
    at_hand: Mapping[str, Size],
    budget: float | None,
    strip: int,
) -> Schedule:
    sizes = dict(at_hand)
    for step in steps:
        sizes |= dict(
            zip(step.outputs, step.sizes(tuple(sizes[name] for name in step.inputs)), strict=True)
        )
    channels = {name: n for step in steps if isinstance(step, GraphStep)
                for name, n in zip(step.outputs, step.window.channels, strict=True)}  # fmt: skip
    wanted: dict[str, Region] = {target: region}
    chains: list[Chain] = []
    for number in reversed(range(len(kept) + 1)):
        name = (*kept, target)[number]
        if name not in wanted:
            continue
        chain = Chain.to(name, steps, {*at_hand, *kept[:number]}, sizes)
        chains.append(chain)
        spans = [part_of(chain, axis, wanted[name][axis]).spans for axis in (0, 1)]
        for value in kept[:number]:
            if value in spans[0]:
                wanted[value] = _hull(wanted.get(value), (spans[0][value], spans[1][value]))
    phases, most, held = [], 0.0, 0.0
    for chain in reversed(chains):
        own = 0.0
        if chain.target != target:
            (top, bottom), (left, right) = wanted[chain.target]
            own = _FLOAT * channels[chain.target] * (bottom - top) * (right - left)
        # Values of earlier phases are kept to the end: few of them are, and most feed the next.
        held += own
        rest = None if budget is None else budget - held
        grid = choose(chain, wanted[chain.target], rest, 0 if own else strip)
        phases.append(Phase(chain, wanted[chain.target], grid))
        most = max(most, held + grid.bytes)
    return Schedule(tuple(phases), most, sum(phase.grid.macs for phase in phases))


def _hull(have: Region | None, more: Region) -> Region:
    if have is None:
        return more
    rows, columns = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(have, more, strict=True))
    return rows, columns
