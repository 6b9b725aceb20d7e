"""The charts of a report: distributions, ratios, latency against size, and scatters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from latentsr.report.markup import Part, Safe, join
from latentsr.report.svg import (
    LETTER,
    chart,
    clip,
    label,
    line,
    mark,
    path,
    rect,
    scale_for,
    spread,
    x_axis,
    y_axis,
)
from latentsr.report.wording import milliseconds, ratio_figures

SERIES = 8  # colours that the page has
MOST_DOTS = 400  # of a contender; beyond that evenly chosen ranks tell the same
FAR_APART = 6.0  # times between smallest and largest value from where an axis is logarithmic


@dataclass(frozen=True)
class Point:
    """A point of a scatter.

    series: colour and mark. label: beside the mark, "" for none. hint: under the pointer.
    strong: larger, as a mean is. guest: from a further result, drawn hollow. track: points of one
    track are joined by a line, "" for none.
    """

    x: float
    y: float
    series: int
    label: str
    hint: str
    strong: bool = False
    guest: bool = False
    track: str = ""


def series_class(series: int) -> str:
    """CSS class that colours a series."""
    return f"s{series % SERIES}"


def distributions(routes: Sequence[dict[str, Any]], width: float) -> Safe:
    """Each round's latency as a dot, one line of dots a launch; band: the middle half; bar: p50."""
    values = [[ms for launch in route["launches"] for ms in launch] for route in routes]
    every = [ms for one in values for ms in one] or [1.0]
    log = max(every) / min(every) > FAR_APART
    scale = scale_for(every, 4, width - 12, log, 0.03)
    row, top = 62.0, 4.0
    bottom = top + row * len(routes)
    parts: list[Part] = [x_axis(scale, bottom, top, f"ms a call{', logarithmic' if log else ''}")]
    for number, (route, own) in enumerate(zip(routes, values, strict=True)):
        y, class_ = top + row * number, series_class(number)
        parts.append(label(4, y + 15, clip(route["name"], width - 20), class_="name"))
        if len(own) > 1:
            low, middle, high = (scale(ms) for ms in quantiles(own, n=4, method="inclusive"))
            parts.append(rect(low, y + 22, high - low, 34, f"band {class_}"))
            parts.append(line(middle, y + 20, middle, y + 58, f"median {class_}"))
        for place, launch in enumerate(route["launches"]):
            lane = y + 39 + 28 * ((place + 0.5) / len(route["launches"]) - 0.5)
            parts += [mark(scale(ms), lane, 0, 2.1, f"dot {class_}",
                           f"{route['name']}, launch {place + 1}: {milliseconds(ms)}")
                      for ms in _thinned(launch, MOST_DOTS // len(route["launches"]))]  # fmt: skip
    return chart(width, bottom + 40, "Latency of every round, by contender and launch", *parts)


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """Evenly chosen ranks, smallest and largest among them."""
    ordered, most = sorted(values), max(most, 2)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(n * (len(ordered) - 1) / (most - 1))] for n in range(most)]


def ratio_intervals(ratios: Sequence[dict[str, Any]], width: float) -> Safe:
    """Each ratio with its interval on one logarithmic axis; 1 is no difference."""
    ratios = sorted(ratios, key=lambda r: -r["ratio"])
    ends = [r[key] for r in ratios for key in ("low", "ratio", "high")]
    scale = scale_for([*ends, 1.0], 4, width - 16, True, 0.04)
    row, top = 44.0, 4.0
    bottom = top + row * len(ratios)
    parts: list[Part] = [x_axis(scale, bottom, top, "times as long, logarithmic")]
    parts.append(line(scale(1), top, scale(1), bottom, "zero"))
    for number, ratio in enumerate(ratios):
        figure, interval = ratio_figures(ratio)
        y = top + row * number
        said = clip(f"{ratio['slow']} / {ratio['fast']}", width - 120)
        hint = f"{ratio['slow']} takes {figure} as long as {ratio['fast']} ({interval})"
        parts += [
            label(4, y + 15, said, class_="name"),
            label(width - 6, y + 15, f"{figure} ({interval})", "end", "tick"),
            line(scale(ratio["low"]), y + 29, scale(ratio["high"]), y + 29, "interval"),
            mark(scale(ratio["ratio"]), y + 29, 0, 4.5, "estimate", hint),
        ]
    return chart(width, bottom + 40, "Paired ratios of latency with their intervals", *parts)


def latency_by_size(routes: Sequence[dict[str, Any]], width: float) -> Safe:
    """Latency against pixels, both logarithmic; a slope of one to one is proportional time."""
    shown = [(n, route) for n, route in enumerate(routes) if route["sizes"]]
    points = {
        n: sorted((s["width"] * s["height"] / 1e6, s["p50_ms"]) for s in route["sizes"])
        for n, route in shown
    }
    every = [point for one in points.values() for point in one]
    names = max(len(route["name"]) for _, route in shown) * LETTER + 16
    right = width - min(names, width * 0.3)
    x = scale_for([p[0] for p in every], 52, right, True, 0.06)
    y = scale_for([p[1] for p in every], 300, 28, True, 0.04)
    parts: list[Part] = [
        x_axis(x, 300, 28, "output megapixels, logarithmic"),
        y_axis(y, 52, right, "p50 ms, logarithmic"),
    ]
    ends = spread([y(points[n][-1][1]) for n, _ in shown], 15, 34, 298)
    for (n, route), end in zip(shown, ends, strict=True):
        class_ = series_class(n)
        places = [(x(a), y(b)) for a, b in points[n]]
        parts.append(path(places, f"line {class_}"))
        for (at, ms), (mp, p50) in zip(places, points[n], strict=True):
            hint = f"{route['name']}: {milliseconds(p50)} at {mp:.3g} MP"
            parts.append(mark(at, ms, n, 4, f"dot {class_}", hint))
        said = clip(route["name"], width - right - 6)
        parts.append(label(right + 8, end + 4, said, class_=f"said {class_}"))
    return chart(width, 340, "Median latency against the picture's size", *parts)


def scatter(
    points: Sequence[Point], width: float, x_title: str, y_title: str, log_x: bool = False
) -> Safe:
    """Points with two axes; labels avoid marks and each other."""
    height, left, right = 300.0, 56.0, width - 12
    x = scale_for([p.x for p in points], left, right, log_x, 0.12 if log_x else 0.08)
    y = scale_for([p.y for p in points], height, 28, margin=0.1)
    parts: list[Part] = [x_axis(x, height, 28, x_title), y_axis(y, left, right, y_title)]
    tracks: dict[str, list[Point]] = {}
    for p in points:
        if p.track:
            tracks.setdefault(p.track, []).append(p)
    for track in tracks.values():
        if len(track) > 1:
            joined = [(x(p.x), y(p.y)) for p in sorted(track, key=lambda p: (p.x, p.y))]
            parts.append(path(joined, "track"))
    placed = [(x(p.x), y(p.y), p) for p in points]
    for at, up, p in placed:
        class_ = f"{'guest' if p.guest else 'dot'} {series_class(p.series)}"
        parts.append(mark(at, up, p.series, 6 if p.strong else 3.6, class_, p.hint))
    parts.append(_labels([one for one in placed if one[2].label], placed, right))
    return chart(width, height + 40, f"{y_title} against {x_title}", *parts)


Box = tuple[float, float, float, float]


def _labels(
    wanted: Sequence[tuple[float, float, Point]],
    marks: Sequence[tuple[float, float, Point]],
    right: float,
) -> Safe:
    """Each label at the first of six places round its mark where it covers nothing."""
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in marks]
    parts: list[Part] = []
    for x, y, point in wanted:
        long = len(point.label) * LETTER
        places = [(x + 11, y + 4), (x - 11 - long, y + 4), (x - long / 2, y - 12),
                  (x - long / 2, y + 21), (x + 9, y - 10), (x + 9, y + 19)]  # fmt: skip
        boxes = [(a, b - 11, a + long, b + 3) for a, b in places]
        free = [box for box in boxes if box[0] > 58 and box[2] <= right + 8]
        best = next((b for b in free if not any(_overlap(b, t) for t in taken)), None)
        box = best or (free or boxes)[0]
        taken.append(box)
        parts.append(label(box[0], box[1] + 11, point.label,
                           class_=f"said {series_class(point.series)}"))  # fmt: skip
    return join(*parts)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
