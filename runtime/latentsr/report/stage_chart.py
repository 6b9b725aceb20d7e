"""Where the time of a call goes: one bar of stacked stages for each contender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentsr.report.markup import Part, Safe, join
from latentsr.report.svg import Scale, chart, clip, label, rect, x_axis
from latentsr.report.wording import milliseconds, number, percent

# The order is the legend's; the class of a kind never changes, so its colour does not either.
KINDS = ("read", "entropy", "parameters", "engine", "image", "write", "copy", "start", "other")
ROW, BAR = 52.0, 24.0
Segment = tuple[float, str, str, str]


def kind_class(kind: str) -> str:
    """CSS class of a stage's kind; kinds that nobody knows share one."""
    return f"k-{kind}" if kind in KINDS else "k-other"


def kinds_used(routes: Sequence[dict[str, Any]]) -> list[str]:
    """Kinds that occur, in the legend's order; ``other`` is what lies between stages."""
    found = {stage["kind"] for route in routes for stage in route["stages"]}
    return [kind for kind in KINDS if kind in found or kind == "other"]


def stage_bars(routes: Sequence[dict[str, Any]], width: float, relative: bool) -> Safe:
    """Bars of medians in ms on one axis, or each as long as the whole call."""
    bars = [_segments(route, relative) for route in routes]
    longest = 1.0 if relative else max(sum(s[0] for s in bar) for bar in bars)
    scale = Scale(0.0, longest, 0.0, width - 1)
    bottom = len(routes) * ROW + 4
    parts: list[Part] = []
    if relative:
        title, height = "Share of each stage of a call", bottom
    else:
        title, height = "Median time of each stage in milliseconds", bottom + 40
        parts.append(x_axis(Scale(0, longest, 0, width - 14), bottom, 0, "ms, median"))
        scale = Scale(0, longest, 0, width - 14)
    for number_, (route, bar) in enumerate(zip(routes, bars, strict=True)):
        top = number_ * ROW
        parts.append(_caption(route, top + 16, relative))
        parts.append(_bar(bar, scale, top + 22, relative))
    return chart(width, height, title, *parts)


def _caption(route: dict[str, Any], y: float, relative: bool) -> Safe:
    name = clip(route["name"], 230)
    time = label(len(name) * 7.6 + 12, y, milliseconds(route["latency_ms"]["p50"]), class_="tick")
    return join(label(0, y, name, class_="name"), None if relative else time)


def _segments(route: dict[str, Any], relative: bool) -> list[Segment]:
    """(length, kind, name, hint) of each stage, and of what lies between the stages."""
    found: list[Segment] = []
    whole = route["latency_ms"]["p50"]
    for stage in route["stages"]:
        length = stage["share"] if relative else stage["ms"]["p50"]
        hint = (f"{route['name']}: {stage['name']} ({stage['kind']}), "
                f"{milliseconds(stage['ms']['p50'])}, {percent(stage['share'], 1)}")  # fmt: skip
        found.append((length, stage["kind"], stage["name"], hint))
    rest = max((1.0 if relative else whole) - sum(s[0] for s in found), 0.0)
    found.append((rest, "other", "", f"{route['name']}: between stages"))
    if not relative:
        return found
    total = sum(s[0] for s in found)
    return [(length / total, kind, name, hint) for length, kind, name, hint in found]


def _bar(bar: list[Segment], scale: Scale, top: float, relative: bool) -> Safe:
    parts: list[Part] = []
    at = 0.0
    for length, kind, name, hint in bar:
        left, right = scale(at), scale(at + length)
        gap = 1.0 if right - left > 6 else 0.0
        parts.append(rect(left, top, right - left - gap, BAR, kind_class(kind), hint))
        said = f"{name} {percent(length)}" if relative else f"{name} {number(length)}"
        room = right - left - 12
        fitting = [one for one in (said, name) if name and clip(one, room) == one]
        if fitting:
            parts.append(label(left + 6, top + 16.5, fitting[0], class_="on-kind"))
        at += length
    return join(*parts)
