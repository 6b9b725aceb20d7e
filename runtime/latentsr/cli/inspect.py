"""`latentsr inspect`: what a bundle or a stream holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr.cli.options import JsonOption

if TYPE_CHECKING:
    from latentsr.bundle import Bundle
    from latentsr.chunks import Chunk


def inspect(
    path: Annotated[str, typer.Argument(help="Bundle folder, demo, or a stream file.")],
    engine: Annotated[
        bool, typer.Option("--engine", help="The TensorRT plans built for this bundle.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a bundle's codec, graphs, parity and routes, or the header of a stream or JPEG file."""
    from latentsr.bundle import Bundle
    from latentsr.files import read_stream

    if Path(path).name != "manifest.json" and os.path.isfile(path):  # noqa: PTH113 - of any name
        facts = _stream_facts(read_stream(Path(path)))
        typer.echo(json.dumps(facts, indent=1) if as_json else _lines(facts))
        return
    folder = Path(path).parent if Path(path).name == "manifest.json" else path
    bundle = Bundle(folder)
    if engine:
        from latentsr.cli.engine_table import print_plans

        print_plans(bundle, as_json)
        return
    for name in bundle.manifest.files:
        bundle.read(name)
    if as_json:
        raw = {**bundle.manifest.raw, "fingerprint": bundle.fingerprint.hex()}
        typer.echo(json.dumps(raw, indent=1))
    else:
        _print_bundle(bundle)


def _stream_facts(data: bytes) -> dict[str, Any]:
    from latentsr import jpeg
    from latentsr.stream import unpack

    if jpeg.is_jpeg(data):
        width, height = jpeg.size(data)
        facts = {"size": f"{width}x{height}", "form": "jpeg", **jpeg.read_frame(data).as_dict()}
        return {**facts, "bytes": len(data), "bpp": round(8 * len(data) / (width * height), 5)}
    stream = unpack(data)
    return {
        "size": f"{stream.width}x{stream.height}",
        "padding": list(stream.padding),
        "form": stream.form,
        "fingerprint": stream.fingerprint.hex(),
        "chunk_bytes": [len(chunk) for chunk in stream.chunks],
        "bytes": len(data),
        "bpp": round(8 * len(data) / (stream.width * stream.height), 5),
        "symbol_crc": None if stream.symbol_crc is None else f"{stream.symbol_crc:08x}",
    }


def _lines(facts: dict[str, Any]) -> str:
    return "\n".join(f"{key:<12} {value}" for key, value in facts.items())


def _origin(raw: Mapping[str, Any]) -> dict[str, str]:
    """Whether weights are random, and what a preset assumes, a line each."""
    found = {"weights": "random: only speed means something"} if raw.get("random_weights") else {}
    preset, assumptions = raw.get("preset"), raw.get("assumptions")
    if isinstance(preset, dict):
        found["preset"] = f"{preset.get('name')} ({preset.get('paper')})"
    if isinstance(assumptions, list):
        found |= {f"assumes {i}": str(line) for i, line in enumerate(assumptions, 1)}
    return found


def _stride(chunk: Chunk) -> str:
    return str(chunk.stride) if chunk.columns == chunk.stride else f"{chunk.stride}x{chunk.columns}"


def _print_bundle(bundle: Bundle) -> None:
    from rich import box
    from rich.table import Table

    from latentsr.cli.plain_console import PlainConsole
    from latentsr.cli.plan_table import plan_tables
    from latentsr.cli.precision_table import precision_tables

    manifest = bundle.manifest
    codec = manifest.raw["codec"]
    size = sum(file.size for file in manifest.files.values())
    console = PlainConsole(110)
    console.print(_lines({
        "bundle": f"{manifest.name} ({size / 2**20:.2f} MiB in {len(manifest.files)} files)",
        "codec": f"{manifest.family}, channels {codec.get('channels')}",
        "padded to": f"multiples of {manifest.multiple}",
        "chunks": ", ".join(f"{c.name}: {c.model}, {c.channels} channels at stride {_stride(c)}"
                            + (f", context model ({c.context.order})" if c.context else "")
                            for c in manifest.chunks),
        "streams": "in the container" if manifest.file_model is None
                   else f"{manifest.file_model} files",
        "fingerprint": bundle.fingerprint.hex(),
        **_origin(manifest.raw),
    }))  # fmt: skip
    graphs = Table("graph", "precision", "parameters", "MACs/position", box=box.SIMPLE)
    parity = Table("graph", "output", "against", "max abs", "mean abs", "peak", box=box.SIMPLE,
                   title="parity on pictures")  # fmt: skip
    for name, graph in manifest.graphs.items():
        raw = manifest.raw["graphs"][name]
        graphs.add_row(
            name, graph.precision, str(raw.get("parameters")), f"{graph.macs_per_position:,.0f}"
        )
        for against, ports in graph.parity.items():
            for port, e in ports.items():
                cells = (str(e.get(key)) for key in ("max_abs", "mean_abs", "peak"))
                parity.add_row(name, port, f"{against} vs ort", *cells)
    routes = Table("route", "kind", "scale", "steps", box=box.SIMPLE)
    for name, route in manifest.routes.items():
        steps = " → ".join(str(s.get("graph") or s.get("op")) for s in route.steps)
        routes.add_row(name, route.kind, f"x{route.scale}", steps)
    for table in (graphs, *precision_tables(bundle), *plan_tables(bundle), parity, routes):
        console.print(table)
