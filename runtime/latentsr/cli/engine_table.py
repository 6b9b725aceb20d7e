"""Tables of TensorRT plans: of `latentsr build`, and of `latentsr inspect --engine`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from latentsr.bundle import Bundle


def print_plans(bundle: Bundle, as_json: bool) -> None:
    """Print the TensorRT plans that were built for a bundle."""
    from latentsr.plans.listing import list_plans

    plans = list_plans(bundle)
    if as_json:
        typer.echo(json.dumps(plans, indent=1))
    elif not plans:
        typer.echo(
            f"no TensorRT plans for {bundle.manifest.name} yet; they are built on first use, or by "
            "latentsr build BUNDLE --backend tensorrt --shapes WIDTHxHEIGHT"
        )
    else:
        _print(plans)


def _print(plans: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    from latentsr.cli.plain_console import PlainConsole

    console = PlainConsole(120)
    columns = ("graph", "precision", "inputs", "TensorRT", "GPU", "MiB", "built in s", "layers")
    table = Table(*columns, box=box.SIMPLE, title="TensorRT plans")
    for plan in plans:
        size = f"{plan['bytes'] / 2**20:.1f}" if isinstance(plan["bytes"], int) else ""
        cells = (plan["precision"], plan["profile"], plan["tensorrt"], plan["gpu"], size,
                 plan["seconds"], len(plan["layers"]))  # fmt: skip
        table.add_row(plan["graph"], *(str(cell) for cell in cells))
    console.print(table)
    for plan in plans:
        title = f"{plan['graph']}, {plan['precision']}, {plan['profile']}"
        # TensorRT for RTX chooses tactics where the plan runs; before that samples have a type.
        layers = Table("layer", "type", "tactic or samples", box=box.SIMPLE, title=title)
        for layer in plan["layers"]:
            named = layer if isinstance(layer, dict) else {}
            last = named.get("TacticName", named.get("Precision", ""))
            layers.add_row(*map(str, (named.get("Name", ""), named.get("LayerType", ""), last)))
        console.print(layers)


def built_table(rows: list[dict[str, Any]]) -> Any:
    """Each plan that `latentsr build` made or found: what it is for, and what building it took."""
    from rich import box
    from rich.table import Table

    # A bundle may have no graphs at all: a JPEG codec that is enlarged by a filter.
    names = rows[0] if rows else ("no graphs to build",)
    table = Table(*(name.replace("_", " ") for name in names), box=box.SIMPLE)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
