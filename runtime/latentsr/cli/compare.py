"""`latentsr compare`: two benchmark results; fails where the second is slower."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentsr.cli.options import JsonOption
from latentsr.errors import UsageError
from latentsr.files import named_path

if TYPE_CHECKING:
    from latentsr.bench.compare import Comparison

EXIT_SLOWER = 1


def compare(
    before: Annotated[
        Path, typer.Argument(help="Result of `latentsr bench --json`.", parser=named_path)
    ],
    after: Annotated[Path, typer.Argument(help="A later one.", parser=named_path)],
    fail_if_slower: Annotated[
        str | None, typer.Option(help="Exit with 1 where a contender is slower by more than this.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two results, noise considered, and say which stage a slowdown comes from."""
    from latentsr.bench.compare import compare as compare_results
    from latentsr.bench.schema import read_result

    threshold = _share("5%" if fail_if_slower is None else fail_if_slower)
    found = compare_results(read_result(before), read_result(after), threshold)
    if as_json:
        listed = {"changes": [c.as_dict() for c in found.changes], "cautions": found.cautions}
        typer.echo(json.dumps(listed, indent=1))
    else:
        _print(found)
    if fail_if_slower is not None and found.slower:
        raise typer.Exit(EXIT_SLOWER)


def _share(text: str) -> float:
    """``5%`` or ``0.05`` as 0.05."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 10:
        raise UsageError(
            f"threshold is out of range: found {text!r}, expected a share such as 5% or 0.05"
        )
    return value


def _print(found: Comparison) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from latentsr.report.wording import plain

    def text(said: str) -> str:
        return escape(plain(said))

    console = Console(highlight=False)
    # The level that the intervals really have, which few launches make less than 95 %.
    levels = ", ".join(sorted({f"{100 * change.median.level:.0f} %" for change in found.changes}))
    table = Table("contender", "before ms", "after ms", "ratio", levels, "verdict", box=box.SIMPLE)
    for change in found.changes:
        verdict = "slower" if change.slower else "faster" if change.faster else "no change shown"
        if change.cause:
            verdict += f", in {change.cause}"
        table.add_row(
            text(change.name), f"{change.before_ms:.2f}", f"{change.after_ms:.2f}",
            f"{change.median.value:.3f}", f"{change.median.low:.3f}–{change.median.high:.3f}",
            text(verdict),
        )  # fmt: skip
    console.print(table)
    for change in found.changes:
        if change.slower or change.faster:
            for stage in change.stages[:3]:
                console.print(
                    f"  {text(change.name)}, {text(stage.name)}: {stage.before_ms:.3f} → "
                    f"{stage.after_ms:.3f} ms ({stage.change_ms:+.3f})"
                )
    for caution in found.cautions:
        console.print(f"caution: {text(caution)}")
