"""What encode, decode and upscale share: one job a file, progress, JSON, errors that go on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import track

from latentsr.cli import EXIT_BAD_INPUT
from latentsr.errors import LatentSRError

Job = Callable[[Path, Path], dict[str, Any]]


def run_jobs(inputs: Sequence[Path], outputs: Sequence[Path], job: Job, as_json: bool) -> None:
    """Run `job(input, output)` for each pair in order and print the results to stdout.

    A LatentSRError of one file is reported on stderr, the others go on, and the exit code is 2
    at the end. With `as_json`, stdout is one JSON list, failed files with a key `error`.
    """
    results: list[dict[str, Any]] = []
    console = Console(stderr=True)
    pairs = list(zip(inputs, outputs, strict=True))
    shown = len(pairs) > 1 and console.is_terminal
    for source, target in track(pairs, console=console, disable=not shown, transient=True):
        result: dict[str, Any] = {"input": str(source)}
        try:
            result |= {"output": str(target), **job(source, target)}
        except LatentSRError as error:
            result = {"input": str(source), "error": str(error)}
            print(f"error: {source}: {error}", file=sys.stderr)
        results.append(result)
        if not as_json and "error" not in result:
            typer.echo(_line(result))
    if as_json:
        typer.echo(json.dumps(results, indent=1))
    if any("error" in result for result in results):
        raise typer.Exit(EXIT_BAD_INPUT)


def _line(result: dict[str, Any]) -> str:
    size = Path(result["output"]).stat().st_size
    shown = {k: v for k, v in result.items() if k not in ("input", "output", "stages")}
    facts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()]
    return f"{result['output']}: {size} bytes ({', '.join(facts)})"
