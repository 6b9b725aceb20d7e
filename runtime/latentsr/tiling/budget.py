"""Memory budgets: reading them, what tiles take, and the cheapest grid that fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latentsr.digits import sizes_apart
from latentsr.errors import BudgetError, UsageError
from latentsr.tiling.parts import Span
from latentsr.tiling.plan import AxisPlan, Chain, axis_plan, candidates

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
LEAST = 1 << 20
ENGINE_FACTOR = 2.5
"""What engines take over the values that are alive together: layouts of their own, workspaces, and
memory that is asked for in steps. `benchmarks/tiling.py` measures it: `factor`."""
_CALL_MACS = 1e8  # an engine call and the steps around it cost about as much as this
_WORD = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_memory(given: str | int) -> int:
    """Bytes of a budget: a whole number of bytes, or a number with KiB, MiB, GiB, KB, MB or GB.

    Raises UsageError for anything else, and below 1 MiB.
    """
    size = -1
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        size = int(given)
    elif isinstance(given, str) and (match := _WORD.fullmatch(given)):
        unit, number = UNITS.get(match[2].upper()), float(match[1])
        # Of hundreds of digits float makes infinity, which is no int.
        size = -1 if unit is None or number > 1 << 60 else int(number * unit)
    if not LEAST <= size < 1 << 60:
        raise UsageError(
            f"memory budget is not known: found {given!r}, expected at least 1MiB, such as "
            "512MiB or 1.5GiB; pass such a size"
        )
    return size


def too_small(memory: int, expected: str, needed: float, why: str) -> BudgetError:
    """The error for a budget below what is needed; expected: ``at least`` or ``about``."""
    found, wanted = sizes_apart(memory, needed)
    return BudgetError(
        f"memory budget is too small: found {found}, expected {expected} {wanted} {why}; give more"
    )


@dataclass(frozen=True)
class Grid:
    """Rows times columns of tiles; bytes that the largest takes, and MACs of all."""

    rows: AxisPlan
    columns: AxisPlan
    bytes: float
    macs: float

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.rows.spans) * len(self.columns.spans)


Cuts = Callable[[Chain, int, Span], Sequence[AxisPlan]]


def choose(
    chain: Chain,
    region: tuple[Span, Span],
    budget: float | None,
    strip: int,
    cuts: Cuts = candidates,
) -> Grid:
    """The cheapest grid of a region (rows, columns) that fits; without a budget, one tile.

    strip: bytes kept for each row of the target and sample of its width. cuts: ways to cut an
    axis. Where nothing fits, the smallest grid.
    """
    if budget is None:
        rows, columns = (axis_plan(chain, axis, [region[axis]]) for axis in (0, 1))
        return _grid(chain, rows, columns, strip)
    axes = [cuts(chain, axis, region[axis]) for axis in (0, 1)]
    best: Grid | None = None
    for rows in axes[0]:
        for columns in axes[1]:
            grid = _grid(chain, rows, columns, strip)
            if best is None or _key(grid, budget) < _key(best, budget):
                best = grid
            if grid.bytes <= budget:
                break  # more columns only cost more
    if best is None:
        raise ValueError("an axis without parts")
    return best


def _key(grid: Grid, budget: float) -> tuple[bool, float, float]:
    """Fitting grids first, the cheapest first; of others, the smallest."""
    if grid.bytes <= budget:
        return False, grid.macs, grid.tiles
    return True, grid.bytes, grid.macs


def _grid(chain: Chain, rows: AxisPlan, columns: AxisPlan, strip: int) -> Grid:
    engine = max(
        (ENGINE_FACTOR * graph.window.bytes * row * column
         for graph, row, column in zip(chain.graphs, rows.largest, columns.largest, strict=True)),
        default=0.0,
    )  # fmt: skip
    wide = columns.spans[-1][1] - columns.spans[0][0]
    macs = sum(
        graph.unit.macs_per_position * row * column
        for graph, row, column in zip(chain.graphs, rows.total, columns.total, strict=True)
    )
    calls = len(rows.spans) * len(columns.spans) * max(len(chain.graphs), 1)
    return Grid(rows, columns, engine + strip * rows.widest * wide, macs + calls * _CALL_MACS)
