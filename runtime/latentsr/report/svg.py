"""Scales, axes and marks of SVG charts. Colours come from the page's classes, so both themes fit.

Lengths are CSS pixels at the width that a chart is drawn for; text is 12 high.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from latentsr.report.markup import Part, Safe, join, tag

TEXT = 12.0
LETTER = 6.7  # a generous mean width; a label is placed where this much room is
MARKS = ("circle", "square", "diamond", "triangle", "down")


@dataclass(frozen=True)
class Scale:
    """Values low..high onto pixels start..end; logarithmic or linear."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values inside, at most about so many."""
        return _log_ticks(self, most) if self.log else _linear_ticks(self.low, self.high, most)


def scale_for(
    values: Sequence[float], start: float, end: float, log: bool = False, margin: float = 0.06
) -> Scale:
    """A scale that holds all values with a margin on both sides; they must be > 0 for log."""
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** margin, 1.08)
        return Scale(low / room, high * room, start, end, True)
    room = (high - low) * margin or abs(high) * 0.05 or 1.0
    return Scale(low - room, high + room, start, end)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / max(most, 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Through the decimal form, so that 3 * 0.1 reads 0.3.
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def _log_ticks(scale: Scale, most: int) -> list[float]:
    """1, 2, 5 of each decade; only 1 of each (or each n-th) where that is too many."""
    first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [d * 10.0**e for e in range(first, last + 1) for d in digits]
        ticks = [t for t in ticks if scale.low <= t <= scale.high]
        if len(ticks) <= most or digits == (1,):
            break
    if len(ticks) < 2:
        return _linear_ticks(scale.low, scale.high, most)
    return ticks[:: math.ceil(len(ticks) / max(most, 1))]


def tick_texts(scale: Scale, ticks: Sequence[float]) -> list[str]:
    """Values without idle zeros; on a linear axis all with the same decimals."""
    said = [f"{t:,.10f}".rstrip("0").rstrip(".") if t < 1e15 else f"{t:.0e}" for t in ticks]
    if scale.log:
        return said
    decimals = max((len(one.partition(".")[2]) for one in said), default=0)
    return [f"{t:,.{decimals}f}" if abs(t) < 1e15 else one
            for t, one in zip(ticks, said, strict=True)]  # fmt: skip


def label(x: float, y: float, said: str, anchor: str = "start", class_: str = "") -> Safe:
    """Text whose baseline begins, centres or ends at (x, y)."""
    return tag("text", said, x=x, y=y, text_anchor=None if anchor == "start" else anchor,
               class_=class_ or None)  # fmt: skip


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Safe:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str, hint: Part = None) -> Safe:
    """A rectangle; `hint` is shown where the pointer rests."""
    inner = tag("title", hint) if hint else None
    return tag("rect", inner, x=x, y=y, width=max(width, 0), height=height, class_=class_)


def mark(x: float, y: float, shape: int, size: float, class_: str, hint: Part = None) -> Safe:
    """A point's mark: its shape differs as well as its colour."""
    inner = tag("title", hint) if hint else None
    corners: tuple[tuple[float, float], ...]
    match MARKS[shape % len(MARKS)]:
        case "circle":
            return tag("circle", inner, cx=x, cy=y, r=size, class_=class_)
        case "square":
            corners = ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88))
        case "diamond":
            corners = ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0))
        case "triangle":
            corners = ((0, -1.2), (1.1, 0.8), (-1.1, 0.8))
        case _:
            corners = ((0, 1.2), (1.1, -0.8), (-1.1, -0.8))
    path = "M" + "L".join(f"{x + dx * size:.1f} {y + dy * size:.1f}" for dx, dy in corners) + "Z"
    return tag("path", inner, d=path, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> Safe:
    """Points joined by lines."""
    return tag("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)


def x_axis(scale: Scale, y: float, top: float, title: str) -> Safe:
    """Grid lines from `top` to `y`, tick texts below, title at the right end below them."""
    ticks = scale.ticks(max(int((scale.end - scale.start) / 62), 2))
    lines = [line(scale(t), top, scale(t), y, "grid") for t in ticks]
    # A text at the left edge begins there, or half of it would be cut off.
    said = [label(scale(t), y + 16, one, "start" if scale(t) < LETTER else "middle", "tick")
            for t, one in zip(ticks, tick_texts(scale, ticks), strict=True)]  # fmt: skip
    return join(*lines, *said, label(scale.end, y + 33, title, "end", "axis"))


def y_axis(scale: Scale, x: float, right: float, title: str) -> Safe:
    """Grid lines from `x` to `right`, tick texts left of `x`, title above the axis."""
    ticks = scale.ticks(max(int(abs(scale.end - scale.start) / 38), 2))
    lines = [line(x, scale(t), right, scale(t), "grid") for t in ticks]
    said = [label(x - 8, scale(t) + 4, one, "end", "tick")
            for t, one in zip(ticks, tick_texts(scale, ticks), strict=True)]  # fmt: skip
    return join(*lines, *said, label(0, min(scale.start, scale.end) - 12, title, class_="axis"))


def chart(width: float, height: float, title: str, *parts: Part) -> Safe:
    """A whole drawing; `title` says what it shows to those who cannot see it."""
    box = f"0 0 {width:.0f} {height:.0f}"
    return tag("svg", *parts, viewBox=box, width=width, height=height, role="img",
               aria_label=title, class_="chart")  # fmt: skip


def clip(said: str, room: float) -> str:
    """A text cut with an ellipsis to fit so many pixels; empty where not even a few letters do."""
    most = int(room / LETTER)
    if len(said) <= most:
        return said
    return said[: most - 1].rstrip() + "…" if most >= 4 else ""


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near those wanted, in their order, at least `gap` apart, kept in low..high."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    placed: list[float] = []
    for n in order:
        placed.append(max(wanted[n], placed[-1] + gap if placed else low))
    bottom = high
    for n in reversed(range(len(placed))):
        placed[n] = min(placed[n], bottom)
        bottom = placed[n] - gap
    found = dict(zip(order, placed, strict=True))
    return [found[n] for n in range(len(wanted))]
