"""`latentsr presets`: the systems that `latentsr export --preset` builds, and what they cost."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr_export.cli import missing_library

if TYPE_CHECKING:
    from latentsr_export.presets.preset import Preset


def presets(
    name: Annotated[str | None, typer.Argument(help="One preset; default: all.")] = None,
    size: Annotated[str, typer.Option(help="Size of the networks: full or small.")] = "full",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")] = False,
) -> None:
    """List presets: paper, networks, parameters, MACs, options, and what the paper leaves open."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        from latentsr_export.presets import PRESETS, find_preset
    except ImportError as error:
        raise missing_library(error) from None
    chosen = PRESETS if name is None else (find_preset(name),)
    facts = [describe(preset, size) for preset in chosen]
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    for one in facts:
        _print(one)


def describe(preset: Preset, size: str) -> dict[str, Any]:
    """All facts of a preset, with the costs of its untrained networks of one size."""
    from latentsr_export.presets.cost import graph_costs, route_costs
    from latentsr_export.presets.export import make_system

    system = make_system(preset, {}, True, size, {})
    graphs = graph_costs(system)
    return {
        "name": preset.name, "paper": preset.paper, "about": preset.about,
        "roles": {n: {"about": r.about, "required": r.required, "untrained": r.make is not None}
                  for n, r in preset.roles.items()},
        "options": {n: {"about": o.about, "default": o.default, "untrained": o.untrained}
                    for n, o in preset.options.items()},
        "sizes": list(preset.sizes), "size": size,
        "graphs": {n: vars(cost) for n, cost in graphs.items()},
        "routes": {n: vars(cost) for n, cost in route_costs(system, graphs).items()},
        "assumptions": system.facts["assumptions"],
    }  # fmt: skip


def _print(facts: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=110, highlight=False)
    console.print(f"[bold]{facts['name']}[/bold]: {facts['about']}\n{escape(facts['paper'])}")
    graphs = Table("graph", "parameters", "kMACs/LR pixel", box=box.SIMPLE)
    for name, cost in facts["graphs"].items():
        macs = f"{cost['macs_per_lr_pixel'] / 1e3:,.2f}"
        graphs.add_row(name, f"{cost['parameters']:,}", macs)
    routes = Table("route", "scale", "kMACs/LR pixel", "kMACs/HR pixel", box=box.SIMPLE)
    for name, cost in facts["routes"].items():
        low, high = (f"{cost[f'macs_per_{p}_pixel'] / 1e3:,.2f}" for p in ("lr", "hr"))
        routes.add_row(name, f"x{cost['scale']}", low, high)
    roles = Table("checkpoint", "what it is", box=box.SIMPLE)
    for name, role in facts["roles"].items():
        roles.add_row(name, escape(role["about"]) + ("" if role["required"] else " (optional)"))
    options = Table("option", "default", "what it is", box=box.SIMPLE)
    for name, option in facts["options"].items():
        where = " (untrained networks)" if option["untrained"] else ""
        options.add_row(name, str(option["default"]), escape(option["about"]) + where)
    for table in (graphs, routes, roles, options):
        console.print(table)
    for line in facts["assumptions"]:
        console.print(f"assumes: {escape(line)}")
    console.print()
