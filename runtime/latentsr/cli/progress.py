"""Progress of a run over many files on stderr: how many are done, how fast, how long still."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")


class RateColumn(ProgressColumn):
    """Files a second over the last stretch."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s", style="progress.data.speed")


def tracked(items: Iterable[Item], total: int, console: Console | None = None) -> Iterator[Item]:
    """The items, with a line of progress where stderr is a terminal and there are several."""
    console = Console(stderr=True) if console is None else console
    columns = (
        BarColumn(), MofNCompleteColumn(), RateColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    progress = Progress(
        *columns, console=console, transient=True, disable=total < 2 or not console.is_terminal,
        # Results that go to a file must not be drawn on the terminal in its place.
        # There is no stdout where whoever began the command closed it.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
    )  # fmt: skip
    with progress:
        task = progress.add_task("", total=total)
        for item in items:
            progress.advance(task)
            yield item
