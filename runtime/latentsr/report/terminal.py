"""The report on the terminal: tables as wide as it allows, ratios, warnings."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latentsr.report import tables
from latentsr.report.headlines import headlines, subject_name
from latentsr.report.wording import conditions, plain, warning_lines

GAP = 2  # columns between two cells, one of them the box's own


def print_report(result: dict[str, Any], console: Console) -> None:
    """Contenders, their stages, ratios with conditions, warnings.

    result: of `latentsr.bench.schema`, checked. A table that is too wide is split into several,
    each with the first column.
    """
    shown = plain(result)
    name, family = shown["bundle"]["name"], shown["bundle"]["family"]
    console.print(Text(f"{name} ({family})", style="bold"))
    for table in (tables.contenders(shown), *map(tables.stages, shown["routes"])):
        _print(table, console, subject_name(shown))
    for one in headlines(shown):
        console.print(Text.assemble(
            (one.sentence, "bold"),
            f": {one.level} interval {one.interval}; {one.times}; {one.quality}",
        ))  # fmt: skip
    console.print(Text(f"conditions: {'; '.join(conditions(shown))}", style="dim"))
    for warning in warning_lines(shown):
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print()


def _print(shown: tables.Table, console: Console, subject: str) -> None:
    # A head is broken between its words, which leaves room for one column more.
    heads = [head.replace(" ", "\n") for head in shown.heads]
    widths = [max(len(part) for row in (heads, *shown.rows) for part in row[n].split("\n"))
              for n in range(len(heads))]  # fmt: skip
    widths[: shown.words] = [min(width, console.width // 3) for width in widths[: shown.words]]
    console.print(Text(shown.title, style="bold"))
    for columns in split(widths, console.width):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0),
                      pad_edge=False)  # fmt: skip
        for n in columns:
            words = n < shown.words
            table.add_column(Text(heads[n]), justify="left" if words else "right",
                             max_width=widths[n] if words else None, no_wrap=not words,
                             vertical="bottom", overflow="fold")  # fmt: skip
        for row in shown.rows:
            table.add_row(*(Text(row[n]) for n in columns),
                          style="green" if row[0] == subject else None)  # fmt: skip
        console.print(table, *(() if columns[-1] == len(heads) - 1 else ("",)))
    for note in shown.notes:
        console.print(Text(note, style="dim"))
    console.print()


def split(widths: list[int], most: int) -> list[list[int]]:
    """Columns of each part so that it is at most `most` wide; the first column is in all."""
    parts, used = [[0]], widths[0]
    for n, width in enumerate(widths[1:], start=1):
        if used + GAP + width > most and len(parts[-1]) > 1:
            parts.append([0])
            used = widths[0]
        parts[-1].append(n)
        used += GAP + width
    return parts
