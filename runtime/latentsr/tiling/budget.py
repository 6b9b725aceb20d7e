"""Memory budgets: reading them, what tiles take, and the cheapest grid that fits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from latentsr.errors import UsageError
from latentsr.tiling.plan import AxisPlan, Chain, axis_plan, candidates
from latentsr.tiling.steps import Span

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
LEAST = 1 << 20
ENGINE_FACTOR = 2.5
"""What engines take over the values that are alive together: layouts of their own, workspaces, and
memory that is asked for in steps. ONNX Runtime took 1.5 to 2.3 times as much in
`benchmarks/tiling.py`."""
_CALL_MACS = 1e8  # an engine call and the steps around it cost about as much as this
_WORD = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_memory(given: str | int) -> int:
    """Bytes of a budget: a whole number of bytes, or a number with KiB, MiB, GiB, KB, MB or GB.

    Raises UsageError for anything else, and below 1 MiB.
    """
    size = -1
    if isinstance(given, int) and not isinstance(given, bool):
        size = given
    elif isinstance(given, str) and (match := _WORD.fullmatch(given)):
        unit = UNITS.get(match[2].upper())
        size = -1 if unit is None else int(float(match[1]) * unit)
    if not LEAST <= size < 1 << 60:
        raise UsageError(
            f"memory budget is not known: found {given!r}, expected at least 1MiB, such as "
            "512MiB or 1.5GiB; pass such a size"
        )
    return size


def shown(size: float) -> str:
    """A size for people."""
    return f"{size / (1 << 20):.0f} MiB" if size < 1 << 30 else f"{size / (1 << 30):.2f} GiB"


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
        return len(self.rows.parts) * len(self.columns.parts)


def choose(chain: Chain, region: tuple[Span, Span], budget: float | None, strip: int) -> Grid:
    """The cheapest grid of a region (rows, columns) that fits; without a budget, one tile.

    strip: bytes kept for each row of the target and sample of its width. Where nothing fits, the
    smallest grid.
    """
    if budget is None:
        rows, columns = (axis_plan(chain, axis, [region[axis]]) for axis in (0, 1))
        return _grid(chain, rows, columns, strip)
    axes = [candidates(chain, axis, region[axis]) for axis in (0, 1)]
    grids = [_grid(chain, rows, columns, strip) for rows in axes[0] for columns in axes[1]]
    fitting = [grid for grid in grids if grid.bytes <= budget]
    if fitting:
        return min(fitting, key=lambda grid: (grid.macs, grid.tiles))
    return min(grids, key=lambda grid: (grid.bytes, grid.macs))


def _grid(chain: Chain, rows: AxisPlan, columns: AxisPlan, strip: int) -> Grid:
    engine = max(
        (ENGINE_FACTOR * graph.window.bytes * row * column
         for graph, row, column in zip(chain.graphs, rows.largest, columns.largest, strict=True)),
        default=0.0,
    )  # fmt: skip
    wide = columns.parts[-1].span[1] - columns.parts[0].span[0]
    macs = sum(
        graph.unit.macs_per_position * row * column
        for graph, row, column in zip(chain.graphs, rows.total, columns.total, strict=True)
    )
    calls = len(rows.parts) * len(columns.parts) * max(len(chain.graphs), 1)
    return Grid(rows, columns, engine + strip * rows.widest * wide, macs + calls * _CALL_MACS)
