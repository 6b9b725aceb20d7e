"""Points of the rate-distortion and quality-latency scatters, of one result or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from latentsr.report.charts import Point
from latentsr.report.wording import fixed, milliseconds, speed_only

UNITS = {"psnr": ("PSNR", "dB", 2), "ms_ssim": ("MS-SSIM", "", 4)}


def shown_routes(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Contenders whose quality is against the original: trained, of the largest scale."""
    largest = max(route["scale"] for route in result["routes"])
    return [r for r in result["routes"] if r["scale"] == largest and not speed_only(result, r)]


def series_of(results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Number of each contender's name: the main result's first, then new ones of the others."""
    names = [route["name"] for result in results for route in result["routes"]]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def rate_distortion(results: Sequence[dict[str, Any]], key: str) -> list[Point]:
    """bpp of the output against a quality figure: every picture, and means where several."""
    series = series_of(results)
    # A single picture's points are few enough to be named one by one.
    alone = all(len(result["pictures"]) == 1 for result in results)
    found: list[Point] = []
    for number, result in enumerate(results):
        for route in shown_routes(result):
            own = _pictures(result, route, key)
            about = f"{_owner(result, number)}{route['name']}"
            found += [
                Point(bpp, value, series[route["name"]], about if alone else "",
                      _hint(about, name, bpp, value, key), guest=number > 0,
                      track=f"{number}: {place}")
                for place, name, bpp, value in own
            ]  # fmt: skip
            if len(own) > 1:
                bpp = sum(one[2] for one in own) / len(own)
                value = sum(one[3] for one in own) / len(own)
                found.append(Point(
                    bpp, value, series[route["name"]], "", _hint(about, "mean", bpp, value, key),
                    strong=True, guest=number > 0,
                    track=f"mean: {result['bundle']['family']} {route['scale']} {route['name']}",
                ))  # fmt: skip
    return found


def quality_latency(results: Sequence[dict[str, Any]]) -> list[Point]:
    """p50 in ms against mean PSNR, a point for each contender."""
    series = series_of(results)
    found = []
    for number, result in enumerate(results):
        for route in shown_routes(result):
            psnr, p50 = (route["quality"] or {}).get("psnr"), route["latency_ms"]["p50"]
            if psnr is None or not math.isfinite(psnr):
                continue
            owner = _owner(result, number)
            said = f"{owner}{route['name']}"
            hint = f"{said}: {fixed(psnr, 2)} dB in {milliseconds(p50)}"
            found.append(Point(p50, psnr, series[route["name"]], said, hint, True, number > 0))
    return found


def _owner(result: dict[str, Any], number: int) -> str:
    return f"{result['bundle']['name']}: " if number else ""


def _pictures(
    result: dict[str, Any], route: dict[str, Any], key: str
) -> list[tuple[int, str, float, float]]:
    """(place, name, bpp of the output, figure) of each picture that has the figure."""
    found = []
    for place, (shape, own) in enumerate(zip(result["pictures"], route["pictures"], strict=False)):
        value = own[key]
        if value is not None and math.isfinite(value):
            bpp = 8 * own["bytes"] / (shape["width"] * shape["height"])
            found.append((place, own["name"], bpp, value))
    return found


def _hint(about: str, name: str, bpp: float, value: float, key: str) -> str:
    title, unit, decimals = UNITS[key]
    return f"{about}, {name}: {fixed(bpp, 3)} bpp, {title} {fixed(value, decimals)} {unit}".rstrip()
