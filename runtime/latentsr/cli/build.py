"""`latentsr build`: engines chosen, rewritten and quantised on the machine that will run them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr.cli.options import JsonOption

if TYPE_CHECKING:
    from latentsr.plans.builders import Report


def build(
    bundle: Annotated[str, typer.Argument(help="Bundle folder NAME.lsr, or demo.")] = "demo",
    backend: Annotated[str, typer.Option(help="Backend to build for.")] = "cpu",
    int8: Annotated[
        bool, typer.Option("--int8", help="INT8 engines as well, used with --precision int8.")
    ] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="The FP16 variants of graphs, for --precision fp16.")
    ] = False,
    shapes: Annotated[
        str | None,
        typer.Option(help="Coded sizes for TensorRT: WxH,..., each also SMALLEST:USUAL:GREATEST."),
    ] = None,
    device: Annotated[str, typer.Option(help="For TensorRT: cuda, or cuda:N.")] = "cuda",
    size: Annotated[
        list[str] | None,
        typer.Option(help="Coded size WxH to build for, repeatable; others run, too."),
    ] = None,
    route: Annotated[
        list[str] | None, typer.Option(help="Decode route whose graphs to build; default: all.")
    ] = None,
    picture: Annotated[
        list[str] | None,
        typer.Option(help="Pictures for calibration and measuring; default: the shipped one."),
    ] = None,
    gate: Annotated[float, typer.Option(help="PSNR in dB that INT8 may cost a route.")] = 0.1,
    seconds: Annotated[float, typer.Option(help="To spend on measuring each graph.")] = 3.0,
    force: Annotated[bool, typer.Option("--force", help="Build again what is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure on this machine how each graph runs fastest, and keep the plan in the cache."""
    from latentsr.backends.profiles import parse_sizes
    from latentsr.bundle import DEMO, Bundle
    from latentsr.files import PICTURES, expand
    from latentsr.image import to_rgb8
    from latentsr.plans.builders import Wanted, check_wanted, get_builder

    files = expand(picture or [DEMO.parent / "coffee.png"], PICTURES)
    pictures = [to_rgb8(path) for path in files]
    precision = "int8" if int8 else "fp16" if fp16 else "fp32"
    wanted = Wanted(
        precision, [_size(text) for text in size or ()], route or (), pictures,
        gate, seconds, force, parse_sizes(shapes) if shapes else (), device,
    )  # fmt: skip
    builder = get_builder(backend)
    check_wanted(builder, wanted)
    report = builder.build(Bundle(bundle), wanted, lambda line: typer.echo(line, err=True))
    if as_json:
        facts = {**vars(report), "places": [str(path) for path in report.places]}
        typer.echo(json.dumps(facts, indent=1))
        return
    _print(report)
    for path in dict.fromkeys(report.places):
        typer.echo(f"{path}: {path.stat().st_size} bytes")


def _size(text: str) -> tuple[int, int]:
    from latentsr.errors import UsageError
    from latentsr.stream import check_size

    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise UsageError(f"size is malformed: found {text!r}, expected WIDTHxHEIGHT, as 192x128")
    width, height = int(match[1]), int(match[2])
    check_size(width, height)
    return width, height


def _print(report: Report) -> None:

    from latentsr.cli.engine_table import built_table
    from latentsr.cli.plain_console import PlainConsole
    from latentsr.cli.plan_table import engines_table

    console = PlainConsole(120)
    table = engines_table if report.backend == "cpu" else built_table
    console.print(table(report.rows))
    if report.quality:
        console.print(_quality(report.quality))
    for note in report.notes:
        console.print(note)


def _quality(lines: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    from latentsr.cli.plan_table import number

    table = Table("route", "PSNR FP32", "PSNR INT8", "loss dB", "INT8 to FP32 dB", box=box.SIMPLE,
                  title=f"quality of INT8 on {lines[0]['pictures']} pictures")  # fmt: skip
    for line in lines:
        cells = (line[key] for key in ("psnr_fp32", "psnr_int8", "loss_db", "against_fp32_db"))
        table.add_row(line["route"], *(number(cell, ".3f") for cell in cells))
    return table
