"""Grids of tiles: what their parts add up to, and that the cheapest one that fits is taken."""

from __future__ import annotations

from itertools import product

import pytest

from latentsr.tiling.budget import ENGINE_FACTOR, Grid, choose
from latentsr.tiling.graph_step import GraphStep, Unit
from latentsr.tiling.plan import AxisPlan, Chain, axis_plan, candidates, part_of
from latentsr.windows import Input, Window

SIZE = (60, 70)
WHOLE = (0, SIZE[0]), (0, SIZE[1])
CALL = 1e8  # what a call of an engine costs, in multiplications


def graph(name: str, ends: tuple[str, str], margin: int, size: float, macs: float) -> GraphStep:
    """A graph that gives a position for each, and looks `margin` of them far."""
    reach = (margin, margin)
    window = Window((Input((1, 1), reach, reach),), ((1, 1),), (3,), size)
    unit = Unit(name, ("x",), ("y",), window, macs)
    return GraphStep(unit, [ends[0]], [ends[1]], None, False)  # type: ignore[arg-type] - not run


def chain(*steps: GraphStep) -> Chain:
    """The steps one behind the other, on a value of `SIZE`."""
    sizes = {steps[0].inputs[0]: SIZE}
    for step in steps:
        sizes[step.outputs[0]] = step.sizes((sizes[step.inputs[0]],))[0]
    return Chain(tuple(steps), steps[-1].outputs[0], sizes)


@pytest.fixture()
def two() -> Chain:
    """A small graph and a large one behind it."""
    return chain(graph("a", ("x", "m"), 3, 10, 2e4), graph("b", ("m", "y"), 2, 400, 5e5))


def test_parts_of_an_axis_add_up() -> None:
    one = chain(graph("a", ("x", "y"), 2, 1, 1))
    whole = axis_plan(one, 0, [(0, 60)])
    assert (whole.total, whole.largest, whole.widest) == ((60,), (60,), 60)
    # Margins of 2 lie in the picture on one side of the outer parts, on both of the inner ones.
    halves = axis_plan(one, 0, [(0, 25), (25, 60)])
    assert (halves.total, halves.largest, halves.widest) == ((27 + 37,), (37,), 35)
    parts = axis_plan(one, 0, [(0, 10), (10, 30), (30, 50), (50, 60)])
    assert (parts.total, parts.largest, parts.widest) == ((12 + 24 + 24 + 12,), (24,), 20)


def test_what_a_part_needs_goes_from_the_target_backwards(two: Chain) -> None:
    found = part_of(two, 1, (40, 50))
    assert found.spans == {"y": (40, 50), "m": (38, 52), "x": (35, 55)}
    assert part_of(two, 1, (60, 70)).spans["x"] == (55, 70)


def test_without_a_budget_there_is_one_tile(two: Chain) -> None:
    grid = choose(two, WHOLE, None, 6)
    assert grid.tiles == 1
    # The engines run one after the other: the one that takes most decides.
    assert grid.bytes == pytest.approx(ENGINE_FACTOR * 400 * 60 * 70 + 6 * 60 * 70)
    assert grid.macs == pytest.approx((2e4 + 5e5) * 60 * 70 + 2 * CALL)


def needs(given: Chain, axis: int, plan: AxisPlan) -> list[list[int]]:
    """Positions that each graph gets of an axis, part by part."""
    parts = [part_of(given, axis, span) for span in plan.spans]
    ends = [[part.spans[step.inputs[0]] for part in parts] for step in given.graphs]
    return [[last - first for first, last in spans] for spans in ends]


def every(given: Chain, strip: int) -> dict[tuple[int, int], tuple[float, float]]:
    """Bytes and cost of all grids as their tiles have them, by the number of parts."""
    found = {}
    cuts = [[(plan, needs(given, axis, plan)) for plan in candidates(given, axis, WHOLE[axis])]
            for axis in (0, 1)]  # fmt: skip
    for (rows, across), (columns, along) in product(*cuts):
        tiles = len(rows.spans) * len(columns.spans)
        most = cost = 0.0
        for step, tall, wide in zip(given.graphs, across, along, strict=True):
            most = max(most, ENGINE_FACTOR * step.window.bytes * max(tall) * max(wide))
            cost += step.unit.macs_per_position * sum(tall) * sum(wide) + tiles * CALL
        strips = strip * max(b - a for a, b in rows.spans) * SIZE[1]
        found[len(rows.spans), len(columns.spans)] = most + strips, cost
    return found


def parts_of(grid: Grid) -> tuple[int, int]:
    assert grid.tiles == len(grid.rows.spans) * len(grid.columns.spans)
    return len(grid.rows.spans), len(grid.columns.spans)


@pytest.mark.parametrize("share", [0.7, 0.3, 0.1, 0.03])
def test_the_cheapest_grid_that_fits(two: Chain, share: float) -> None:
    known = every(two, 6)
    # A budget that a grid takes to the last byte is enough for it.
    budget = min(size for size, _ in known.values() if size >= share * known[1, 1][0])
    grid = choose(two, WHOLE, budget, 6)
    size, cost = known[parts_of(grid)]
    assert grid.bytes == pytest.approx(size) and size <= budget
    assert grid.macs == pytest.approx(cost, rel=0.02)
    assert cost <= 1.02 * min(cost for size, cost in known.values() if size <= budget)
    assert_covered(grid)


def test_where_nothing_fits_the_smallest_grid_says_what_it_takes(two: Chain) -> None:
    grid = choose(two, WHOLE, 1, 6)
    assert grid.bytes == pytest.approx(min(size for size, _ in every(two, 6).values()))
    assert_covered(grid)


def assert_covered(grid: Grid) -> None:
    for plan, side in ((grid.rows, SIZE[0]), (grid.columns, SIZE[1])):
        assert [n for span in plan.spans for n in range(*span)] == list(range(side))


def test_an_axis_may_be_cut_down_to_single_blocks(two: Chain) -> None:
    counts = [len(plan.spans) for plan in candidates(two, 0, WHOLE[0])]
    assert counts == sorted(set(counts))
    assert (counts[0], counts[-1]) == (1, 60)
