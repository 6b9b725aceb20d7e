"""The report as Markdown: GitHub's tables, and no text of the result that acts as markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from latentsr.report import tables
from latentsr.report.environment import command_words, environment
from latentsr.report.headlines import headlines
from latentsr.report.wording import conditions, plain, warning_lines, when

# Whatever means something to Markdown or HTML; the underscore does not inside a word.
_ACTING = re.compile(r"([\\`*\[\]<>|~&#!$])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|"
                     r":(?=//)|(?<=www)\.|@|^[-+=]")  # fmt: skip


def render_markdown(result: dict[str, Any], others: Sequence[dict[str, Any]] = ()) -> str:
    """Ratios with conditions, warnings, tables, environment, command; then further results.

    result, others: of `latentsr.bench.schema`, checked.
    """
    shown = plain(result)
    blocks = [
        f"# latentsr benchmark: {text(shown['bundle']['name'])}",
        f"{text(shown['bundle']['family'])}, fingerprint {text(shown['bundle']['fingerprint'])}, "
        f"{text(when(shown['created']))}",
        *_warnings(shown),
        *_result(shown),
        *_tables(shown),
        *_environment(shown),
    ]
    for other in (plain(one) for one in others):
        blocks += [f"## Further result: {text(other['bundle']['name'])}",
                   text(when(other["created"])), *_warnings(other), *_result(other),
                   *_table(tables.contenders(other))]  # fmt: skip
    return "\n\n".join(blocks) + "\n"


def text(said: str) -> str:
    """Text that stays text."""
    return _ACTING.sub(lambda found: "\\" + found[0], said)


def _warnings(result: dict[str, Any]) -> list[str]:
    found = warning_lines(result)
    if not found:
        return []
    return ["\n".join(["> **Read with care**", ">", *(f"> - {text(one)}" for one in found)])]


def _result(result: dict[str, Any]) -> list[str]:
    lines = [
        f"- **{text(one.sentence)}**, {one.level} interval {one.interval}; medians "
        f"{one.times}; {text(one.quality)}"
        for one in headlines(result)
    ]
    found = ["\n".join(lines)] if lines else []
    return [*found, f"Conditions: {text('; '.join(conditions(result)))}."]


def _tables(result: dict[str, Any]) -> list[str]:
    shown = [tables.contenders(result), tables.ratios(result),
             *(tables.stages(route) for route in result["routes"]),
             tables.quality(result), tables.pictures(result), tables.sizes(result),
             tables.throughput(result), tables.memory(result)]  # fmt: skip
    return [block for one in shown for block in _table(one)]


def _table(shown: tables.Table) -> list[str]:
    """Title, table with columns of even width, notes; nothing where there are no rows."""
    if not shown.rows:
        return []
    grid = [[text(cell) for cell in row] for row in (shown.heads, *shown.rows)]
    widths = [max(3, *(len(row[n]) for row in grid)) for n in range(len(shown.heads))]
    rules = ["-" * w if n < shown.words else "-" * (w - 1) + ":" for n, w in enumerate(widths)]
    lines = []
    for row in (grid[0], rules, *grid[1:]):
        cells = [cell.ljust(w) if n < shown.words else cell.rjust(w)
                 for n, (cell, w) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return [f"## {text(shown.title)}", "\n".join(lines), *(text(note) for note in shown.notes)]


def _environment(result: dict[str, Any]) -> list[str]:
    blocks = ["## Environment"]
    for name, pairs in environment(result).items():
        lines = [f"- {text(key)}: {text(value)}" for key, value in pairs]
        blocks.append("\n".join([f"**{name}**", "", *lines]))
    words = command_words(result)
    if words:
        # Indented code has no fence that a word of the command could close.
        blocks += ["Measure again:", f"    {words}"]
    return blocks
