"""Where an evaluation goes: the terminal, JSON, CSV and the plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from latentsr.errors import UsageError
from latentsr.evaluate import schema
from latentsr.evaluate.lines import as_csv
from latentsr.evaluate.plot import as_svg
from latentsr.evaluate.table import print_result
from latentsr.files import check_outputs, write_bytes

WIDTH, METRIC_WIDTH = 110, 18  # columns of the terminal's tables, and of a further metric


@dataclass(frozen=True)
class Targets:
    """Files to write; None for none."""

    json: Path | None = None
    csv: Path | None = None
    plot: Path | None = None

    def paths(self) -> list[Path]:
        """Those that are wanted."""
        return [path for path in (self.json, self.csv, self.plot) if path is not None]


def check_targets(targets: Targets) -> None:
    """Raise UsageError where a file cannot be written, before minutes are spent on its content."""
    check_outputs(targets.paths())
    if targets.plot is not None and targets.plot.suffix.lower() != ".svg":
        raise UsageError(
            f"plot format is not known: found suffix {targets.plot.suffix!r} in {targets.plot}, "
            "expected .svg; rename the output"
        )


def publish(
    result: dict[str, Any], targets: Targets, earlier: Sequence[dict[str, Any]] = ()
) -> None:
    """Print the tables to stdout, write the files, and name each with its size.

    earlier: further results, for the plot. All files are made before the first is written, and
    each is written whole. Raises UsageError where a result does not fit or a file cannot be
    written.
    """
    schema.check(result, "the result to publish")
    texts = {}
    if targets.json:
        texts[targets.json] = json.dumps(result, indent=1, allow_nan=False) + "\n"
    if targets.csv:
        texts[targets.csv] = as_csv(result)
    if targets.plot:
        texts[targets.plot] = as_svg([result, *earlier])
    width = WIDTH + METRIC_WIDTH * len(result["settings"]["metrics"])
    print_result(result, Console(width=width, highlight=False, markup=False, emoji=False))
    for path, text in texts.items():
        # Names of files need not be UTF-8.
        write_bytes(path, text.encode(errors="backslashreplace"))
        print(f"{path}: {path.stat().st_size} bytes")
