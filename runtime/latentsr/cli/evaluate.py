"""`latentsr evaluate`: rate and quality of bundles on a folder of HR pictures, by the protocol."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from latentsr.cli.options import BackendOption, ThreadsOption
from latentsr.files import named_path

MANY = "several by commas"


def evaluate(
    bundles: Annotated[list[str], typer.Argument(help="Bundle folders NAME.lsr, or demo.")],
    pictures: Annotated[str, typer.Argument(help="HR originals: folder, file or quoted glob.")],
    routes: Annotated[str, typer.Option(help=f"Routes, {MANY}; default: all that enlarge.")] = "",
    scale: Annotated[
        int | None, typer.Option(min=2, max=64, help="Of the routes; default: the largest.")
    ] = None,
    reduction: Annotated[
        str,
        typer.Option(
            help="HR to LR: bicubic as matlab (the papers) or pillow; bundle: by its encode_hr."
        ),
    ] = "matlab",
    border: Annotated[
        int, typer.Option(min=0, help="Pixels left out at every side before metrics.")
    ] = 0,
    metric: Annotated[
        str, typer.Option(help=f"Further metrics of installed packages, {MANY}: lpips, dists.")
    ] = "",
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Result as JSON.", parser=named_path)
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", help="A line for each picture, route and anchor.", parser=named_path),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Rate-distortion plot, FILE.svg.", parser=named_path)
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Earlier --json file, plotted as well.", parser=named_path),
    ] = None,
) -> None:
    """Rate and quality on HR pictures: reduced, coded, enlarged; against both anchors."""
    from rich.console import Console
    from rich.text import Text

    from latentsr.backends import split_device
    from latentsr.cli import EXIT_BAD_INPUT
    from latentsr.evaluate.plan import Settings
    from latentsr.evaluate.protocol import run_evaluation
    from latentsr.evaluate.publish import Targets, check_targets, publish
    from latentsr.evaluate.schema import read_result
    from latentsr.files import check_apart
    from latentsr.report.wording import plain

    targets = Targets(json_file, csv_file, plot)
    check_targets(targets)
    for source, target in itertools.product(also or [], targets.paths()):
        check_apart(source, target)
    earlier = [read_result(path) for path in also or []]
    settings = Settings(
        tuple(bundles), pictures, _words(routes), scale, reduction, border, _words(metric),
        *split_device(backend), threads=threads,
    )  # fmt: skip
    with Console(stderr=True).status("starting") as status:
        result = run_evaluation(settings, lambda text: status.update(Text(plain(text))), earlier)
    result["command"] = ["latentsr", *sys.argv[1:]]
    # A picture that cannot be read fails with every bundle: once is enough.
    for name, error in dict.fromkeys((f["picture"], f["error"]) for f in result["failures"]):
        print(f"error: {name}: {error}", file=sys.stderr)
    publish(result, targets, earlier)
    if result["failures"]:
        raise typer.Exit(EXIT_BAD_INPUT)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
