"""`latentsr demo`: the whole chain on one picture, with a table of rate, quality and time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr.cli.options import BackendOption, BundleOption, JsonOption, ThreadsOption
from latentsr.files import named_path

if TYPE_CHECKING:
    from latentsr.report.demo import Demo


def demo(
    image: Annotated[
        Path | None,
        typer.Option(help="HR original; default: the shipped picture.", parser=named_path),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for stream and pictures.", parser=named_path)
    ] = Path("demo-out"),
    bundle: BundleOption = "demo",
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reduce a picture by 4, code it, and enlarge it by all routes of that scale."""
    from latentsr.bundle import DEMO
    from latentsr.codec import load
    from latentsr.image import to_rgb8
    from latentsr.report.demo import enlarging, run_demo

    picture = to_rgb8(image if image is not None else DEMO.parent / "coffee.png")
    with load(bundle, backend=backend, threads=threads) as codec:
        results = run_demo(codec, picture, enlarging(codec))
        runs_on = codec.runs_on()
        random = bool(codec.bundle.manifest.raw.get("random_weights", False))
    sheet = _save(results, out)
    if as_json:
        facts = {**results.as_dict(), "runs_on": runs_on, "random_weights": random, "out": str(out)}
        typer.echo(json.dumps(facts, indent=1))
        return
    _print(results, runs_on)
    if random:
        typer.echo("the bundle has random weights: only its speed means something")
    typer.echo(f"{sheet}: {sheet.stat().st_size} bytes")


def _save(results: Demo, out: Path) -> Path:
    """Write stream and pictures; returns the side-by-side picture's path."""
    from latentsr.errors import UsageError
    from latentsr.files import write_bytes
    from latentsr.image import save_rgb8
    from latentsr.report.demo import side_by_side

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"output folder cannot be made: found {error.strerror} at {out}, expected a folder; "
            "choose another place"
        ) from None
    write_bytes(out / f"stream{results.suffix}", results.stream)
    pictures = {"original": results.original, "low": results.low, "decoded": results.decoded}
    pictures |= {name: outcome.picture for name, outcome in results.routes.items()}
    for name, picture in pictures.items():
        save_rgb8(picture, out / f"{name}.png")
    save_rgb8(side_by_side(results), out / "side_by_side.png")
    return out / "side_by_side.png"


def _print(results: Demo, runs_on: str) -> None:
    from rich import box
    from rich.table import Table

    from latentsr.cli.plain_console import PlainConsole

    high, low = results.original.shape, results.low.shape
    console = PlainConsole(110)
    console.print(
        f"original {high[1]}x{high[0]}, coded at {low[1]}x{low[0]}: {len(results.stream)} bytes, "
        f"{results.bpp:.3f} bpp ({results.bpp_output:.4f} per output pixel); "
        f"encode {results.encode_ms:.1f} ms"
    )
    console.print(f"engines on {runs_on}, times of a warm run")
    table = Table("route", "PSNR dB", "MS-SSIM", "ms", "GMACs", box=box.SIMPLE)
    stages = Table("route", "stage", "kind", "ms", "GMACs", box=box.SIMPLE)
    for name, outcome in results.routes.items():
        similarity = "–" if outcome.ms_ssim is None else f"{outcome.ms_ssim:.4f}"
        table.add_row(
            name, f"{outcome.psnr:.2f}", similarity, f"{outcome.ms:.1f}", _giga(outcome.macs)
        )
        for stage in outcome.stages:
            stages.add_row(name, *_cells(stage))
    console.print(table)
    console.print(stages)


def _cells(stage: dict[str, Any]) -> tuple[str, str, str, str]:
    macs = _giga(stage["macs"]) if stage["macs"] else ""
    return stage["name"], stage["kind"], f"{stage['ms']:.2f}", macs


def _giga(macs: int) -> str:
    return f"{macs / 1e9:.2f}"
