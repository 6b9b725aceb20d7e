"""Where a benchmark's result goes: the terminal, JSON, CSV, Markdown and the HTML report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from latentsr.files import write_bytes
from latentsr.report.form import check
from latentsr.report.html import render_html
from latentsr.report.markdown import render_markdown
from latentsr.report.terminal import print_report

if TYPE_CHECKING:
    from latentsr.bench.run import Bench

_FIGURES = ("min", "mean", "p50", "p90", "p95", "p99", "max", "cov")


@dataclass(frozen=True)
class Targets:
    """Files to write; None for none."""

    json: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    markdown: Path | None = None

    def paths(self) -> list[Path]:
        """Those that are wanted."""
        every = (self.json, self.csv, self.html, self.markdown)
        return [path for path in every if path is not None]


def publish(bench: Bench, targets: Targets, others: Sequence[dict[str, Any]] = ()) -> None:
    """Print the tables to stdout, write the files, and name each with its size.

    others: further results, for the HTML and Markdown reports. Raises UsageError where a result
    lacks something that is shown, or a file cannot be written.
    """
    for result in (bench.result, *others):
        check(result, "the result to publish")
    print_report(bench.result, Console(highlight=False, markup=False, emoji=False))
    texts = {}
    if targets.json:
        texts[targets.json] = json.dumps(bench.result, indent=1) + "\n"
    if targets.csv:
        texts[targets.csv] = as_csv(bench.result)
    if targets.html:
        texts[targets.html] = render_html(bench.result, bench.pictures, others)
    if targets.markdown:
        texts[targets.markdown] = render_markdown(bench.result, others)
    for path, text in texts.items():
        write_bytes(path, text.encode(errors="backslashreplace"))
        print(f"{path}: {path.stat().st_size} bytes")


def as_csv(result: dict[str, Any]) -> str:
    """One row for each contender's calls as a whole (stage empty) and for each of its stages."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["contender", "stage", "kind", *(f"{name}_ms" for name in _FIGURES[:-1]),
                     "cov", "share", "macs", "gmacs_per_s", "sgemm_share"])  # fmt: skip
    for route in result["routes"]:
        whole = [route["latency_ms"][name] for name in _FIGURES]
        writer.writerow([route["name"], "", route["kind"], *whole, 1.0, route["macs"], "", ""])
        for stage in route["stages"]:
            figures = [stage["ms"][name] for name in _FIGURES]
            last = [stage[key] for key in ("share", "macs", "gmacs_per_s", "sgemm_share")]
            writer.writerow([route["name"], stage["name"], stage["kind"], *figures, *last])
    return out.getvalue()
