"""The tables of `latentsr inspect` about FP16: nodes by precision, islands, what it costs in dB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from latentsr.bundle import Bundle


def precision_tables(bundle: Bundle) -> list[Table]:
    """Nothing for a bundle without variants. What was measured is shown as the manifest has it."""
    manifest = bundle.manifest
    if not any(graph.variants for graph in manifest.graphs.values()):
        return []
    from rich import box
    from rich.table import Table

    nodes = Table("graph", "precision", "FP16", "FP32", "casts", "weight bytes", "PSNR to FP32 dB",
                  "rescaled", box=box.SIMPLE, title="nodes by precision")  # fmt: skip
    islands = Table("graph", "node", "kept in FP32 because", box=box.SIMPLE)
    for name, graph in manifest.graphs.items():
        raw = manifest.raw["graphs"][name]
        counted = [n for n in _object(raw, "nodes").values() if isinstance(n, int)]
        size = _bytes(raw.get("weights_bytes"))
        nodes.add_row(name, graph.precision, "", str(sum(counted)), "", size, "", "")
        for precision in graph.variants:
            facts = raw["variants"][precision]
            nodes.add_row("", precision, *_cells(facts))
            for island in _objects(facts, "islands"):
                named = island.get("nodes")
                for node in named if isinstance(named, list) else []:
                    islands.add_row(name, str(node), str(island.get("reason")))
    made = [nodes, islands] if islands.row_count else [nodes]
    return [*made, _gate(_object(_object(manifest.raw, "fp16"), "routes"))]


def _cells(facts: Mapping[str, Any]) -> tuple[str, ...]:
    counts = _object(facts, "nodes")
    ports = _object(_object(facts, "parity"), "fp32").values()
    decibels = [_object({"": port}, "").get("psnr_db") for port in ports]
    found = [value for value in decibels if isinstance(value, (int, float))]
    layers = [layer for layer in _objects(facts, "gdn") if layer.get("choice") == "rescaled"]
    return (
        *(str(counts.get(key, "")) for key in ("fp16", "fp32", "cast")),
        _bytes(facts.get("weights_bytes")),
        f"{min(found):.1f}" if found else "",
        f"{len(layers)} GDN" if layers else "",
    )


def _bytes(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _gate(routes: Mapping[str, Any]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table("route", "PSNR FP32", "PSNR FP16", "change dB", "worst dB", "bytes %",
                  box=box.SIMPLE, title="whole routes on the calibration pictures")  # fmt: skip
    for name in routes:
        keys = ("psnr_fp32", "psnr_fp16", "change_db", "worst_db", "bytes_percent")
        facts = _object(routes, name)
        table.add_row(name, *(str(facts.get(key, "")) for key in keys))
    return table


def _object(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = facts.get(key)
    return found if isinstance(found, dict) else {}


def _objects(facts: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = facts.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
