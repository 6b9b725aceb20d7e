"""Charts and pictures of the report: numbers in range, lengths in proportion, ticks, exactness."""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

import report_case
from latentsr.report import embed, svg
from latentsr.report.form import check
from latentsr.report.html import render_html
from latentsr.report.markdown import render_markdown
from report_views import Page, terminal


def _svg_numbers(page: Page) -> list[float]:
    keys = ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "r")
    return [float(a[key] or "nan") for tag, a in page.tags
            if tag in ("rect", "line", "circle", "text") for key in keys if key in a]  # fmt: skip


@pytest.mark.parametrize("case", ["one route", "no extras", "infinite", "equal", "huge range"])
def test_charts_of_unusual_results(case: str) -> None:
    given = report_case.result()
    if case == "one route":
        given |= {"routes": given["routes"][2:3], "ratios": [], "warnings": []}
    elif case == "no extras":
        for route in given["routes"]:
            route |= {"stages": [], "throughput": [], "sizes": [], "pictures": [],
                      "launches": [[4.0]], "quality": None}  # fmt: skip
        given |= {"pictures": [], "load": [], "command": None}
    elif case == "infinite":
        for route in given["routes"]:
            route["quality"]["psnr"] = route["pictures"][0]["psnr"] = math.inf
    elif case == "equal":
        for route in given["routes"]:
            route |= {"launches": [[5.0, 5.0]], "latency_ms": report_case.figures(5.0)}
        for ratio in given["ratios"]:
            ratio |= {"ratio": 1.0, "low": 1.0, "high": 1.0}
    else:
        given["routes"][0]["launches"] = [[1e-4, 1e7]]
    check(given, case)
    page = Page(render_html(given, {}))
    numbers = _svg_numbers(page)
    assert numbers and all(math.isfinite(x) for x in numbers)
    assert all(float(a["width"] or 0) >= 0 for tag, a in page.tags if tag == "rect")
    render_markdown(given)
    terminal(given, 80)


def test_stage_bars_are_as_long_as_their_times() -> None:
    given = report_case.result()
    text = render_html(given, {})
    chart = text[text.index("Median time of each stage") :]
    chart = chart[: chart.index("</svg>")]
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*class="k-engine"', chart)
    lengths = [float(width) + 1 for _, width in bars]
    assert lengths[3] / lengths[2] == pytest.approx(297 / 41.3, rel=0.02)


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0.0, 1.0, False), (23.7, 24.2, False), (-3.0, 50.0, False), (3.2, 410.0, True),
     (20.0, 21.0, True), (1e-3, 1e6, True)],
)  # fmt: skip
def test_ticks_are_round_ordered_and_inside(low: float, high: float, log: bool) -> None:
    scale = svg.Scale(low, high, 0, 500, log)
    ticks = scale.ticks(8)
    assert 2 <= len(ticks) <= 9 and ticks == sorted(set(ticks))
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    said = svg.tick_texts(scale, ticks)
    assert [float(one.replace(",", "")) for one in said] == pytest.approx(ticks)


def test_spread_keeps_order_and_distance() -> None:
    placed = svg.spread([50.0, 10.0, 12.0, 11.0], 15, 0, 60)
    assert placed[0] == max(placed) <= 60
    assert sorted(np.diff(sorted(placed)))[0] >= 15 - 1e-9
    assert placed[1] < placed[3] < placed[2]


def test_pictures_are_embedded_exactly() -> None:
    for picture in report_case.pictures().values():
        one = embed.embed(picture)
        head, data = one.uri.split(",", 1)
        assert head in ("data:image/png;base64", "data:image/webp;base64") and not one.cropped
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), picture)


def test_large_pictures_are_cut_to_their_centre() -> None:
    picture = np.zeros((40, 2000, 3), np.uint8)
    picture[:, 200:1800] = 255
    one = embed.embed(picture)
    assert (one.width, one.height, one.full_width) == (1600, 40, 2000)
    with Image.open(io.BytesIO(base64.b64decode(one.uri.split(",", 1)[1]))) as image:
        assert np.asarray(image.convert("RGB")).min() == 255
    shown = render_html(report_case.result(), {"original": picture, "latent_x4": picture})
    assert "Shown is its centre, 1600 × 40" in shown
