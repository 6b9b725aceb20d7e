"""What a report says first: the ratios of the latent route, with times and quality beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentsr.report.wording import (
    milliseconds,
    percent,
    quality_of,
    ratio_figures,
    signed,
    speed_only,
)

MOST_HEADLINES = 4
FASTER, LONGER = "faster than", "as long as"


@dataclass(frozen=True)
class Headline:
    """One ratio told in words.

    figure: as ``7.2×``. subject, relation, other: as ``latent_x4``, ``faster than``,
    ``pixel_x4``. level, interval: of the figure. times: of both, p50. quality: subject less
    other, or why there is none. doubt: why no difference is shown, empty where one is.
    """

    figure: str
    subject: str
    relation: str
    other: str
    level: str
    interval: str
    times: str
    quality: str
    doubt: str

    @property
    def verb(self) -> str:
        """What stands before the figure."""
        return "is" if self.relation == FASTER else "takes"

    @property
    def sentence(self) -> str:
        """As ``latent_x4 is 7.2× faster than pixel_x4``."""
        doubt = f" (no difference shown: {self.doubt})" if self.doubt else ""
        return f"{self.subject} {self.verb} {self.figure} {self.relation} {self.other}{doubt}"


def subject_name(result: dict[str, Any]) -> str:
    """The contender that the report is about: the first latent route of the largest scale.

    Where no route of the largest scale has "latent" in its name, the fastest contender there.
    """
    largest = max(route["scale"] for route in result["routes"])
    racing = [route for route in result["routes"] if route["scale"] == largest]
    latent = [r for r in racing if r["kind"] == "route" and "latent" in r["name"].lower()]
    chosen = latent[0] if latent else min(racing, key=lambda r: r["latency_ms"]["p50"])
    return str(chosen["name"])


def headlines(result: dict[str, Any]) -> list[Headline]:
    """The subject's ratios, four at most: first those that it wins, the largest first.

    What it wins against routes of the same bundle leads: there all else is equal.
    """
    subject = subject_name(result)
    routes = {route["name"] for route in result["routes"] if route["kind"] == "route"}
    own = [r for r in result["ratios"] if subject in (r["slow"], r["fast"])]
    own.sort(key=lambda r: (r["fast"] != subject, r["slow"] not in routes, -r["ratio"]))
    return [_headline(result, ratio, subject) for ratio in own[:MOST_HEADLINES]]


def quality_difference(result: dict[str, Any], one: str, other: str) -> tuple[str, str]:
    """PSNR and MS-SSIM of `one` less those of `other`, with signs; empty where there is none."""
    routes = {route["name"]: route for route in result["routes"]}
    if one not in routes or other not in routes:
        return "", ""
    a, b = (quality_of(result, routes[name]) for name in (one, other))
    found = []
    for key, decimals, unit in (("psnr", 2, "\u00a0dB"), ("ms_ssim", 4, "")):
        first, second = a.get(key), b.get(key)
        known = first is not None and second is not None and abs(first - second) < float("inf")
        found.append(signed(first - second, decimals) + unit if known else "")  # type: ignore[operator]
    return found[0], found[1]


def _headline(result: dict[str, Any], ratio: dict[str, Any], subject: str) -> Headline:
    gain = ratio["fast"] == subject
    other = ratio["slow"] if gain else ratio["fast"]
    p50 = {route["name"]: route["latency_ms"]["p50"] for route in result["routes"]}
    times = " against ".join(milliseconds(p50[n]) for n in (subject, other) if n in p50)
    return Headline(
        ratio_figures(ratio)[0], subject, FASTER if gain else LONGER, other,
        percent(ratio["level"]), ratio_figures(ratio)[1], times,
        _quality_words(result, subject, other), _doubt(ratio),
    )  # fmt: skip


def _doubt(ratio: dict[str, Any]) -> str:
    if not ratio["level"]:
        return "a single value has no interval"
    return "the interval holds 1" if ratio["low"] <= 1 <= ratio["high"] else ""


def _quality_words(result: dict[str, Any], subject: str, other: str) -> str:
    routes = [route for route in result["routes"] if route["name"] in (subject, other)]
    if any(speed_only(result, route) for route in routes):
        return "speed only: random weights"
    psnr, ms_ssim = quality_difference(result, subject, other)
    if not psnr:
        return "quality not measured"
    return f"PSNR {psnr}" + (f", MS-SSIM {ms_ssim}" if ms_ssim else "")
