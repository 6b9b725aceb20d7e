"""What a report shows, taken apart for tests: the page's tags and text, the terminal's lines."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any

from rich.console import Console

from latentsr.report.terminal import print_report

VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Tags, attributes and visible text; fails where tags are not balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.said)


def terminal(result: dict[str, Any], width: int) -> str:
    out = io.StringIO()
    print_report(result, Console(file=out, width=width, highlight=False))
    return out.getvalue()
