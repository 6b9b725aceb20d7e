"""`latentsr profile`: what each stage of a route and each node of its engines takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr.cli.options import BackendOption, JsonOption, ThreadsOption
from latentsr.files import named_path

if TYPE_CHECKING:
    import numpy as np

    from latentsr.bundle import Bundle


def profile(
    bundle: Annotated[str, typer.Argument(help="Bundle folder NAME.lsr, or demo.")],
    source: Annotated[
        Path, typer.Argument(help="Stream, or picture (coded first).", parser=named_path)
    ],
    route: Annotated[
        str | None, typer.Option(help="Any route of the bundle; default: the one that enlarges.")
    ] = None,
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    warmup: Annotated[int, typer.Option(help="Runs before those measured.")] = 3,
    runs: Annotated[int, typer.Option(help="Measured runs.")] = 10,
    trace: Annotated[
        Path | None, typer.Option(help="Write a trace for Perfetto, FILE.json.", parser=named_path)
    ] = None,
    top: Annotated[int, typer.Option(help="Nodes to list.")] = 15,
    as_json: JsonOption = False,
) -> None:
    """Measure stages and engine nodes of a route, and list what takes longest."""
    from latentsr.codec import load
    from latentsr.errors import UsageError
    from latentsr.files import check_outputs
    from latentsr.report.profile import profile_route
    from latentsr.report.trace import write_trace

    if top < 1:
        raise UsageError(f"length of the list is out of range: found {top}, expected >= 1")
    check_outputs([] if trace is None else [trace])
    with load(bundle, backend=backend, threads=threads, profile=True) as codec:
        chosen = codec.bundle.manifest.upscale if route is None else route
        given = _source(codec.bundle, source, chosen, backend, threads)
        result = profile_route(codec, chosen, given, warmup, runs)
    if trace is not None:
        write_trace(result, trace)
    facts = {**result.as_dict(top), "bundle": codec.bundle.manifest.name, "input": str(source),
             "threads": threads, "warmup": warmup,
             "trace": None if trace is None else str(trace)}  # fmt: skip
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    _print(facts)
    if trace is not None:
        typer.echo(f"{trace}: {trace.stat().st_size} bytes")


def _source(
    bundle: Bundle, path: Path, route: str, backend: str, threads: int | None
) -> bytes | np.ndarray:
    """What the route starts from: a picture, or a stream, which a picture is made into."""
    from latentsr.codec import load
    from latentsr.errors import UsageError
    from latentsr.files import PICTURES, read_stream
    from latentsr.image import to_rgb8

    known = bundle.manifest.routes
    if route not in known:
        raise UsageError(
            f"bundle {bundle.manifest.name} has no such route: found {route!r}, expected one of "
            f"{', '.join(sorted(known))}; choose one of these"
        )
    if known[route].kind == "encode":
        return to_rgb8(path)
    if path.suffix.lower() not in PICTURES:
        return read_stream(path)
    picture = to_rgb8(path)
    with load(bundle.path, backend=backend, threads=threads) as codec:
        return codec.encode(picture)


def _print(facts: dict[str, Any]) -> None:
    from latentsr.cli.plain_console import PlainConsole

    console = PlainConsole(120)
    threads = "the library's" if facts["threads"] is None else facts["threads"]
    console.print(
        f"{facts['route']} on {facts['runs_on']}, threads: {threads}; {facts['runs']} runs after "
        f"{facts['warmup']} of warm-up: mean {facts['ms']:.2f} ms, median "
        f"{facts['median_ms']:.2f} ms; times below are means a run, with profiling on"
    )
    for table in (_stages(facts), _op_types(facts), _nodes(facts)):
        console.print(table)
    console.print(
        f"nodes {facts['node_ms']:.2f} of {facts['engine_ms']:.2f} ms in engines "
        f"(coverage {facts['coverage']:.1%}); the rest is (engine overhead)"
    )


def _stages(facts: dict[str, Any]) -> Any:
    table = _table("stage", "kind", "ms", "% route", "GMACs", "GMAC/s", "in nodes")
    for stage in facts["stages"]:
        covered = f"{stage['coverage']:.1%}" if "coverage" in stage else ""
        table.add_row(stage["name"], stage["kind"], f"{stage['ms']:.3f}", _percent(stage),
                      *_work(stage, 3), covered)  # fmt: skip
    between = facts["between_stages_ms"]
    share = between / facts["ms"]
    table.add_row("(between stages)", "", f"{between:.3f}", f"{share:.1%}", "", "", "")
    return table


def _op_types(facts: dict[str, Any]) -> Any:
    table = _table("op type", "nodes", "ms", "% engines", "% route", "calls")
    for row in facts["op_types"]:
        table.add_row(row["op_type"], str(row["nodes"]), f"{row['ms']:.3f}",
                      f"{row['share_of_engines']:.1%}", _percent(row),
                      str(row["calls"]))  # fmt: skip
    return table


def _nodes(facts: dict[str, Any]) -> Any:
    table = _table("node", "op type, ran by", "ms", "% engines", "% route", "calls", "GMACs",
                   "GMAC/s")  # fmt: skip
    for row in facts["nodes"]:
        provider = row["ran_by"].removesuffix("ExecutionProvider")
        what = f"{row['op_type']} {provider}" if row["calls"] else ""
        table.add_row(f"{row['graph']}: {row['node']}", what, f"{row['ms']:.3f}",
                      f"{row['share_of_engines']:.1%}", _percent(row), str(row["calls"] or ""),
                      *_work(row, 4))  # fmt: skip
    return table


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for column in columns:
        words = column in ("stage", "kind", "node", "op type", "op type, ran by")
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    return table


def _percent(row: dict[str, Any]) -> str:
    return f"{row['share_of_route']:.1%}"


def _work(row: dict[str, Any], digits: int) -> tuple[str, str]:
    """GMACs and GMAC/s, empty where unknown."""
    rate = row["gmacs_per_second"]
    return ("", "") if rate is None else (f"{row['macs'] / 1e9:.{digits}f}", f"{rate:.1f}")
