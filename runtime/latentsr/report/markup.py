"""Markup that text cannot break: tags are built from parts, and what is no markup is escaped."""

from __future__ import annotations

from html import escape


class Safe(str):
    """Text that already is markup; everything else is escaped where it enters a tag."""

    __slots__ = ()


Part = str | Safe | None
VOID = frozenset({"br", "img", "input", "link", "meta"})


def text(part: Part) -> Safe:
    """`part` as markup: itself where it is, else escaped; None is nothing."""
    if isinstance(part, Safe):
        return part
    return Safe(escape(part, quote=True)) if part else Safe("")


def join(*parts: Part) -> Safe:
    """Parts one after another."""
    return Safe("".join(text(part) for part in parts))


def tag(name: str, /, *parts: Part, **attributes: str | float | bool | None) -> Safe:
    """One element. Attributes: ``class_`` is class, ``aria_label`` aria-label; None is left out.

    Numbers are written with at most two decimals, which is a hundredth of a pixel.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Safe(f"<{name}{said}>")
    return Safe(f"<{name}{said}>{join(*parts)}</{name}>")


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    key = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {key}"
    said = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {key}="{escape(said, quote=True)}"'
