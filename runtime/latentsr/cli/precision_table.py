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

    nodes = Table("graph", "precision", "FP16", "FP32", "casts", "weights", "PSNR to FP32 dB",
                  "rescaled", box=box.SIMPLE, title="nodes by precision")  # fmt: skip
    islands = Table("graph", "node", "kept in FP32 because", box=box.SIMPLE)
    for name, graph in manifest.graphs.items():
        raw = manifest.raw["graphs"][name]
        plain = str(sum(_object(raw, "nodes").values()) if not graph.variants else "")
        size = manifest.files[graph.file].size
        nodes.add_row(name, graph.precision, "", plain, "", f"{size:,} (file)", "", "")
        for precision in graph.variants:
            facts = raw["variants"][precision]
            nodes.add_row("", precision, *_cells(facts))
            for island in _objects(facts, "islands"):
                for node in island.get("nodes", []):
                    islands.add_row(name, str(node), str(island.get("reason")))
    made = [nodes, islands] if islands.row_count else [nodes]
    return [*made, _gate(_object(_object(manifest.raw, "fp16"), "routes"))]


def _cells(facts: Mapping[str, Any]) -> tuple[str, ...]:
    counts = _object(facts, "nodes")
    ports = _object(_object(facts, "parity"), "fp32").values()
    worst = min((port["psnr_db"] for port in ports), default=None)
    layers = [layer for layer in _objects(facts, "gdn") if layer.get("choice") == "rescaled"]
    bytes_ = facts.get("weights_bytes")
    return (
        *(str(counts.get(key, "")) for key in ("fp16", "fp32", "cast")),
        f"{bytes_:,}" if isinstance(bytes_, int) else "",
        "" if worst is None else f"{worst:.1f}",
        f"{len(layers)} GDN" if layers else "",
    )


def _gate(routes: Mapping[str, Any]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table("route", "PSNR FP32", "PSNR FP16", "change dB", "bytes %", box=box.SIMPLE,
                  title="whole routes on the calibration pictures")  # fmt: skip
    for name, row in routes.items():
        keys = ("psnr_fp32", "psnr_fp16", "change_db", "bytes_percent")
        table.add_row(name, *(str(row.get(key)) for key in keys))
    return table


def _object(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = facts.get(key)
    return found if isinstance(found, dict) else {}


def _objects(facts: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = facts.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
