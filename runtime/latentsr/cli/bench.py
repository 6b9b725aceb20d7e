"""`latentsr bench`: latency, throughput, quality and rate of routes and baselines, in turn."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from latentsr.cli.options import BackendOption, Precision, PrecisionOption, ThreadsOption
from latentsr.errors import UsageError
from latentsr.files import named_path

MANY = "several by commas"
MOST_IN_FLIGHT = 1024
MOST_SECONDS = 86400


def bench(
    bundle: Annotated[str, typer.Argument(help="Bundle folder NAME.lsr, or demo.")],
    inputs: Annotated[
        list[str] | None, typer.Argument(help="HR pictures or streams; default: the shipped one.")
    ] = None,
    routes: Annotated[str, typer.Option(help=f"Routes, {MANY}; default: all.")] = "",
    baseline: Annotated[str, typer.Option(help=f"Baselines, {MANY}; `list` prints them.")] = "",
    baseline_sr: Annotated[
        Path | None,
        typer.Option(help="Checkpoint of the baselines' pixel SR network.", parser=named_path),
    ] = None,
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    precision: PrecisionOption = Precision.fp32,
    warmup: Annotated[int, typer.Option(min=1, help="Rounds that are not counted.")] = 2,
    iterations: Annotated[int, typer.Option(min=1, help="Counted rounds of a launch.")] = 10,
    burst: Annotated[int, typer.Option(min=1, help="Counted calls of a contender's turn.")] = 3,
    duration: Annotated[
        float | None, typer.Option(help="Seconds of a launch instead of --iterations.")
    ] = None,
    launches: Annotated[int, typer.Option(min=1, help="Starts of all processes.")] = 3,
    batch: Annotated[str, typer.Option(help=f"Pictures in flight for throughput, {MANY}.")] = "1,2",
    sizes: Annotated[str, typer.Option(help="Sizes WxH for latency against size, by commas.")] = "",
    write: Annotated[str | None, typer.Option(help="Write pictures too: suffix, as .png.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Result as JSON.", parser=named_path)
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Stages as CSV.", parser=named_path)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Report, one HTML file.", parser=named_path)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Report as Markdown.", parser=named_path)
    ] = None,
) -> None:
    """Measure routes of a bundle side by side, from the same bytes."""
    if baseline == "list":
        from latentsr.bench.subject import baseline_names

        typer.echo("\n".join(baseline_names()))
        return
    if duration is not None and not 0 <= duration <= MOST_SECONDS:  # NaN is in no range
        raise UsageError(
            f"duration is out of range: found {duration}, expected seconds 0..{MOST_SECONDS}; pass "
            "another, or --iterations"
        )
    from latentsr.backends import split_device
    from latentsr.bench.rounds import Schedule
    from latentsr.bench.run import Settings
    from latentsr.bundle import DEMO

    backend, device = split_device(backend)
    settings = Settings(
        bundle=bundle,
        names=tuple(inputs or [str(DEMO.parent / "coffee.png")]),
        routes=_words(routes),
        baselines=_words(baseline),
        baseline_options={"sr": str(baseline_sr)} if baseline_sr else {},
        backend=backend,
        device=device,
        threads=threads,
        precision=precision.value,
        launches=launches,
        schedule=Schedule(warmup, iterations, burst, duration),
        in_flight=_numbers(batch),
        sizes=tuple(_size(word) for word in _words(sizes)),
        write=write,
    )
    from latentsr.bench.run import run_bench
    from latentsr.files import check_outputs
    from latentsr.report.publish import Targets, publish
    from latentsr.report.wording import plain

    targets = Targets(json_file, csv_file, report, markdown)
    check_outputs(targets.paths())
    console = Console(stderr=True)
    with console.status("starting") as status:
        found = run_bench(settings, lambda text: status.update(Text(plain(text))))
    found.result["command"] = ["latentsr", *sys.argv[1:]]
    publish(found, targets)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(word) for word in _words(text))
    except ValueError:
        found = (0,)
    if any(not 1 <= number <= MOST_IN_FLIGHT for number in found):
        raise UsageError(
            f"batch is out of range: found {text!r}, expected numbers of 1..{MOST_IN_FLIGHT}, "
            f"{MANY}"
        )
    return found


def _size(word: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", word)
    if match is None:
        raise UsageError(f"not a size: found {word!r}, expected WIDTHxHEIGHT, such as 768x512")
    return int(match[1]), int(match[2])
