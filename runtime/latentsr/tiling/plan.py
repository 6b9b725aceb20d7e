"""Planning tiles: what each part of a value needs, an axis at a time, and which parts to cut.

A tile is a part of the rows times a part of the columns, and what it needs is found for each axis
alone, from the wanted value backwards. So the cost of a whole grid follows from its two axes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, TypeVar

from latentsr.tiling.graph_step import GraphStep
from latentsr.tiling.parts import Span
from latentsr.tiling.steps import Share, Size, TileStep

MOST_PARTS = 1024
"""Parts of an axis, at most."""
_MOST_BORDERS = 1 << 17


class HasEnds(Protocol):
    """A step between named values."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values that it takes."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of those that it makes."""


Linked = TypeVar("Linked", bound=HasEnds)


@dataclass(frozen=True)
class Chain:
    """Steps, in order, that make `target` from values at hand; sizes of all values.

    beside: further outputs of the last step, of the target's size, which are made with it.
    """

    steps: tuple[TileStep, ...]
    target: str
    sizes: Mapping[str, Size]
    beside: tuple[str, ...] = ()

    @property
    def graphs(self) -> list[GraphStep]:
        """The engine steps."""
        return [step for step in self.steps if isinstance(step, GraphStep)]

    @classmethod
    def to(
        cls, target: str, steps: Sequence[TileStep], at_hand: Set[str], sizes: Mapping[str, Size]
    ) -> Chain:
        """Those of the steps that lead from values at hand to the target."""
        return cls(tuple(leading_to(target, steps, at_hand)), target, sizes)


def leading_to(target: str, steps: Sequence[Linked], at_hand: Set[str]) -> list[Linked]:
    """The steps that lead from values at hand to the target, in order."""
    wanted, found = {target} - at_hand, []
    for step in reversed(steps):
        if wanted & set(step.outputs):
            found.append(step)
            wanted = (wanted - set(step.outputs)) | (set(step.inputs) - at_hand)
    return found[::-1]


@dataclass(frozen=True)
class Part:
    """One part of an axis: the span of the target, each step's share, the spans of all values."""

    span: Span
    shares: tuple[Share, ...]
    spans: Mapping[str, Span]


@dataclass(frozen=True)
class AxisPlan:
    """An axis in parts; for each engine step its first input's positions in all and in the largest.

    widest: positions of the target in the largest part.
    """

    spans: tuple[Span, ...]
    total: tuple[float, ...]
    largest: tuple[int, ...]
    widest: int


def part_of(chain: Chain, axis: int, span: Span) -> Part:
    """What a span of the target needs along an axis."""
    wanted: dict[str, Span] = dict.fromkeys((chain.target, *chain.beside), span)
    shares: list[Share] = []
    for step in reversed(chain.steps):
        share = step.plan(axis, [wanted.get(name) for name in step.outputs])
        shares.append(share)
        for name, needed in zip(step.inputs, share.inputs, strict=True):
            have = wanted.get(name, needed)
            wanted[name] = min(have[0], needed[0]), max(have[1], needed[1])
    return Part(span, tuple(reversed(shares)), wanted)


def axis_plan(chain: Chain, axis: int, spans: Sequence[Span]) -> AxisPlan:
    """The parts of an axis and what they add up to.

    Of many parts, the first, the last and the longest in between stand for all.
    """
    ends = spans[0][0] + spans[-1][1]
    longest = max(spans, key=lambda span: span[1] - span[0])
    # In the middle, as margins of those beside the outer parts may end with the picture, too.
    inner = max(spans[1:-1], key=lambda span: (span[1] - span[0], -abs(sum(span) - ends)),
                default=longest)  # fmt: skip
    seen = {span: part_of(chain, axis, span) for span in {spans[0], inner, spans[-1], longest}}
    places = [n for n, step in enumerate(chain.steps) if isinstance(step, GraphStep)]
    total, largest = [], []
    for n in places:
        sides = {span: part.shares[n].inputs[0][1] - part.shares[n].inputs[0][0]
                 for span, part in seen.items()}  # fmt: skip
        between = max(len(spans) - 2, 0) * sides[inner]
        total.append(between + sum(sides[span] for span in {spans[0], spans[-1]}))
        largest.append(max(sides.values()))
    return AxisPlan(tuple(spans), tuple(total), tuple(largest), longest[1] - longest[0])


def borders(chain: Chain, axis: int, region: Span) -> list[int]:
    """Places inside a region of the target where blocks of the first engine step end.

    Tiles that end there compute no block twice, but for their margins.
    """
    found: dict[str, list[int]] = {}
    for step in chain.steps:
        places = found.get(step.inputs[0])
        if places is None and isinstance(step, GraphStep) and not found:
            wide = step.window.inputs[0].step[axis]
            every = -(-step.blocks(axis) // _MOST_BORDERS)  # 1 for all that any picture has
            places = [block * wide for block in range(0, step.blocks(axis) + 1, every or 1)]
        if places is not None:
            made = [step.border(axis, place) for place in places]
            found |= dict.fromkeys(step.outputs[:1], made)
    every = max((region[1] - region[0]) // MOST_PARTS, 1)
    inside = found.get(chain.target) or range(region[0], region[1], every)
    return sorted({place for place in inside if region[0] < place < region[1]})


def cut(region: Span, places: Sequence[int], count: int) -> list[Span]:
    """A region in about `count` parts of about equal length, cut at some of the places."""
    first, last = region
    chosen = [first]
    for part in range(1, count):
        ideal = first + (last - first) * part / count
        above = bisect_left(places, ideal)
        near = places[max(above - 1, 0) : above + 1]
        place = min(near, key=lambda place: abs(place - ideal), default=first)
        if chosen[-1] < place:
            chosen.append(place)
    return list(zip(chosen, [*chosen[1:], last], strict=True))


def candidates(chain: Chain, axis: int, region: Span) -> list[AxisPlan]:
    """Ways to cut an axis, from one part to the smallest."""
    places = borders(chain, axis, region)
    counts = []
    count = 1
    while count <= min(len(places) + 1, MOST_PARTS):
        counts.append(count)
        count = max(count + 1, count * 4 // 3)
    counts.append(min(len(places) + 1, MOST_PARTS))
    cuts = {tuple(cut(region, places, n)): None for n in counts}
    return [axis_plan(chain, axis, spans) for spans in cuts]
