"""A terminal on which what bundles and files say is text: no markup, nothing that steers it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from latentsr.report.wording import plain


class PlainConsole(Console):
    """Prints every text as it is, also in tables; unprintable characters become U+FFFD."""

    def __init__(self, width: int) -> None:
        super().__init__(width=width, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **given: Any) -> Text:
        """Text of one or several lines; a table asks this for every cell."""
        said = "\n".join(map(plain, text.split("\n")))
        return super().render_str(said, **{**given, "markup": False, "emoji": False})
