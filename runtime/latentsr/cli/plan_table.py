"""Tables of plans: what `latentsr build` chose and won, and what `latentsr inspect` finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from latentsr.bundle import Bundle

TITLE = "engines: median ms, and MACs/s as a share of sgemm's"


def plan_tables(bundle: Bundle) -> list[Table]:
    """The plans that this machine has for a bundle, a table a precision; none where it has none."""
    from latentsr.backends.base import INT8
    from latentsr.plans.plan import planned, row

    found = []
    for precision in ("fp32", INT8):
        plans = planned(bundle, precision).items()
        rows = [row(name, choice) for name, plan in plans for choice in plan.choices]
        if rows:
            found.append(engines_table(rows, f"plans of this machine, {precision}: {TITLE}"))
    return found


def engines_table(rows: Sequence[Mapping[str, Any]], title: str = TITLE) -> Table:
    """Each graph: what it took before and takes now, and its share of the sgemm rate."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, title=title)
    for column in ("graph", "measured on", "before", "after", "times faster", "sgemm before",
                   "after", "chosen"):  # fmt: skip
        words = column in ("graph", "measured on", "chosen")
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    for row in rows:
        shapes = row["measured_on"] or {}
        on = ", ".join("x".join(map(str, shape)) for shape in shapes.values())
        table.add_row(
            row["graph"], on + (" only" if row["for"] else ""), number(row["before_ms"], ".2f"),
            number(row["after_ms"], ".2f"), number(row["ratio"], ".2f"),
            number(row["sgemm_before"], ".0%"), number(row["sgemm_after"], ".0%"),
            row["chosen"] + _kept(row["kept_fp32"]),
        )  # fmt: skip
    return table


def _kept(layers: object) -> str:
    return f"; {len(layers)} layers in FP32" if isinstance(layers, list) and layers else ""


def number(value: object, form: str) -> str:
    """A number in this format, nothing for what is none."""
    return format(value, form) if isinstance(value, (int, float)) else ""
