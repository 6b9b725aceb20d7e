"""The rate-distortion plot of an evaluation: one SVG file with a panel for each figure.

A file of its own, so it brings its style along, plain enough for converters: the palette of Okabe
and Ito, which colour-blind readers tell apart, and a mark of its own for each route.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from latentsr.evaluate.anchors import ORIGINAL
from latentsr.evaluate.curves import Curve, Spot, curves, same_protocol
from latentsr.evaluate.table import cautions, protocol_words
from latentsr.report.charts import FAR_APART
from latentsr.report.markup import Part, Safe, join, tag
from latentsr.report.points import UNITS
from latentsr.report.svg import (
    LETTER,
    Scale,
    clip,
    label,
    line,
    mark,
    path,
    rect,
    scale_for,
    x_axis,
    y_axis,
)
from latentsr.report.wording import fixed, plain

WIDTH, PANEL, GAP, EDGE = 920.0, 424.0, 40.0, 16.0
LEFT, HEIGHT = 48.0, 300.0  # inside a panel: where the axis stands, where it ends
ROW = 20.0
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
FIGURES = ("psnr", "ms_ssim")
_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  fill: #16191d; font-variant-numeric: tabular-nums; }
.title { font-size: 15px; font-weight: 600; } .tick, .axis, .note { fill: #59616b; }
.tick, .axis { font-size: 11.5px; } .caution { fill: #a33b00; font-weight: 600; }
.paper { fill: #ffffff; } .grid { stroke: #e3e7ea; } .line { fill: none; stroke-width: 2; }
.original { stroke-width: 1.6; stroke-dasharray: 7 4; }
.hollow { fill: #ffffff; stroke-width: 1.6; }
"""


def as_svg(results: Sequence[dict[str, Any]]) -> str:
    """PSNR and MS-SSIM against bpp of HR: a line a route, a point a bundle.

    The original anchor has no rate and is a dashed horizontal. results: of
    `latentsr.evaluate.schema`, checked. Raises UsageError where they cannot share a plot.
    """
    same_protocol(results)
    shown = [plain(result) for result in results]
    drawn = {figure: curves(shown, figure) for figure in FIGURES}
    listed = max(drawn.values(), key=len)
    legend, top = _legend(listed, 46.0)
    panels = [
        tag("g", _panel(drawn[figure], figure),
            transform=f"translate({EDGE + n * (PANEL + GAP):.0f} {top:.0f})")
        for n, figure in enumerate(FIGURES)
    ]  # fmt: skip
    notes, bottom = _notes(shown, top + HEIGHT + 62)
    said = _title(shown)
    head = tag("text", clip(said, WIDTH * 0.85), x=EDGE, y=27, class_="title")
    drawing = tag(
        "svg", tag("title", said), tag("style", Safe(_STYLE + _series_style())),
        tag("rect", x=0, y=0, width=WIDTH, height=bottom, class_="paper"), head, legend, *panels,
        notes, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH:.0f} {bottom:.0f}",
        width=WIDTH, height=bottom, role="img",
    )  # fmt: skip
    return f"{drawing}\n"


def _series_style() -> str:
    return "".join(
        f".s{n} {{ stroke: {colour}; }} .dot.s{n} {{ fill: {colour}; stroke: none; }}\n"
        for n, colour in enumerate(COLOURS)
    )


def _colour(curve: Curve) -> str:
    return f"s{curve.series % len(COLOURS)}"


def _title(results: Sequence[dict[str, Any]]) -> str:
    bundles = [bundle for result in results for bundle in result["bundles"]]
    names = ", ".join(dict.fromkeys(bundle["label"] for bundle in bundles))
    scales = ", ".join(f"×{s}" for s in sorted({bundle["scale"] for bundle in bundles}))
    return f"Rate and quality, {scales}: {names}"


def _notes(results: Sequence[dict[str, Any]], top: float) -> tuple[Safe, float]:
    """Protocol and cautions below the panels, and where they end."""
    counts = sorted({one["pictures"] for result in results for one in result["summary"]})
    said = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    *rules, anchor = protocol_words(results[0])
    means = f"means over {said} {'picture' if counts == [1] else 'pictures'}"
    alarms = dict.fromkeys(text for result in results for text in cautions(result))
    lines = [("; ".join((means, *rules)), "note"), (anchor, "note")]
    lines += [(text, "caution") for text in alarms]
    parts = [label(EDGE, top + ROW * n, clip(text, WIDTH - 2 * EDGE), class_=class_)
             for n, (text, class_) in enumerate(lines)]  # fmt: skip
    return join(*parts), top + ROW * len(lines)


def _said(curve: Curve) -> str:
    return f"{curve.name}, {curve.anchor} anchor" if curve.anchor else curve.name


def _legend(listed: Sequence[Curve], top: float) -> tuple[Safe, float]:
    """A sample and the name of each curve, in rows, and where the panels begin.

    What depends on the rate comes first; the original anchors have rows of their own.
    """
    parts: list[Part] = []
    x, y, before = EDGE, top, False
    for curve in sorted(listed, key=lambda curve: curve.anchor == ORIGINAL):
        said = clip(_said(curve), WIDTH / 2)
        long = 44 + len(said) * LETTER + 12
        begins = (curve.anchor == ORIGINAL) != before
        if x > EDGE and (begins or x + long > WIDTH - EDGE):
            x, y = EDGE, y + ROW
        before = curve.anchor == ORIGINAL
        parts.append(_sample(curve, x, y))
        parts.append(label(x + 42, y + 4, said))
        x += long
    return join(*parts), y + 22


def _sample(curve: Curve, x: float, y: float) -> Safe:
    original = curve.anchor == ORIGINAL
    return join(
        line(x, y, x + 34, y, f"line {'original ' if original else ''}{_colour(curve)}"),
        mark(x + 17, y, curve.series, 4, f"{'hollow' if original else 'dot'} {_colour(curve)}"),
    )


def _panel(drawn: Sequence[Curve], figure: str) -> Safe:
    title, unit, _ = UNITS[figure]
    named = f"{title}, {unit}" if unit else title
    rates = [s.bpp for curve in drawn for s in curve.spots if s.bpp is not None]
    if not rates:
        return label(LEFT, HEIGHT / 2, f"no {title}: pictures are too small or equal to HR",
                     class_="note")  # fmt: skip
    far = min(rates) > 0 and max(rates) / min(rates) > FAR_APART
    x = scale_for(rates, LEFT, PANEL, far, 0.08)
    y = scale_for([s.value for curve in drawn for s in curve.spots], HEIGHT, 28, margin=0.08)
    axis = f"bpp, per pixel of HR{', logarithmic' if far else ''}"
    parts: list[Part] = [x_axis(x, HEIGHT, 28, axis), y_axis(y, LEFT, PANEL, named)]
    # Lines first, so that no line runs over a mark.
    for curve in drawn:
        parts.append(_line(curve, x, y))
    for curve in drawn:
        parts += [_mark(curve, spot, x, y, figure) for spot in curve.spots]
    return join(*parts)


def _line(curve: Curve, x: Scale, y: Scale) -> Safe:
    if curve.anchor == ORIGINAL:
        class_ = f"line original {_colour(curve)}"
        drawn = [line(LEFT, y(s.value), PANEL, y(s.value), class_) for s in curve.spots]
        return join(*drawn, *_owners(curve, y))
    if len(curve.spots) < 2:
        return Safe("")
    points = [(x(s.bpp), y(s.value)) for s in curve.spots if s.bpp is not None]
    return path(points, f"line {_colour(curve)}")


def _owners(curve: Curve, y: Scale) -> Iterator[Safe]:
    """Names on lines of the original anchor where bundles have networks of their own."""
    end = PANEL - 12
    for spot in curve.spots if len(curve.spots) > 1 else ():
        said = clip(spot.label, PANEL / (len(curve.spots) + 1))
        long = len(said) * LETTER
        # Side by side, as the lines may lie close; each interrupts its own.
        yield rect(end - long - 3, y(spot.value) - 6, long + 6, 12, "paper")
        yield label(end - long / 2, y(spot.value) + 4, said, "middle", "tick")
        end -= long + 12


def _mark(curve: Curve, spot: Spot, x: Scale, y: Scale, figure: str) -> Safe:
    title, unit, decimals = UNITS[figure]
    value = f"{title} {fixed(spot.value, decimals)} ± {fixed(spot.std, decimals)} {unit}".rstrip()
    rate = "" if spot.bpp is None else f"{fixed(spot.bpp, 4)} bpp, "
    hint = f"{_said(curve)}, {spot.label}: {rate}{value}"
    if spot.bpp is None:
        return mark(PANEL, y(spot.value), curve.series, 4, f"hollow {_colour(curve)}", hint)
    # Those drawn first are larger, so that marks at one place are all seen.
    size = max(6.4 - 0.9 * curve.series, 3.6)
    return mark(x(spot.bpp), y(spot.value), curve.series, size, f"dot {_colour(curve)}", hint)
