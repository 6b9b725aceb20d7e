"""The tables of a report as plain text, for HTML, Markdown and the terminal alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentsr.report.headlines import quality_difference
from latentsr.report.wording import (
    MISSING,
    fixed,
    mebibytes,
    number,
    percent,
    quality_of,
    ratio_figures,
    speed_only,
)

# Figures that a picture may lack: their names, and why.
PARTIAL = {
    "psnr": ("PSNR", "the others are equal to theirs"),
    "ssim": ("SSIM", "the others are too small"),
    "ms_ssim": ("MS-SSIM", "the others are too small"),
}


@dataclass(frozen=True)
class Table:
    """Heads and rows of one length; the first `words` columns are text, the rest numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    notes: Sequence[str] = ()


def contenders(result: dict[str, Any]) -> Table:
    """One line for each contender: time, throughput, quality, cost."""
    heads = ("contender", "p50 ms", "p90 ms", "p99 ms", "CoV", "after a pause", "pictures/s",
             "PSNR dB", "MS-SSIM", "GMACs", "peak MiB")  # fmt: skip
    rows = []
    for route in result["routes"]:
        ms, quality = route["latency_ms"], quality_of(result, route)
        rested = route["after_pause_ms"]
        best = max((t["pictures_per_s"] for t in route["throughput"]), default=None)
        rows.append((
            route["name"], number(ms["p50"]), number(ms["p90"]), number(ms["p99"]),
            percent(ms["cov"]), number(rested["p50"] if rested else None), number(best),
            fixed(quality.get("psnr"), 2),
            fixed(quality.get("ms_ssim"), 4), number(route["macs"] / 1e9 or None),
            mebibytes(route["memory"]["peak_bytes"]),
        ))  # fmt: skip
    return Table("Contenders", heads, rows, notes=_quality_notes(result))


def _quality_notes(result: dict[str, Any]) -> list[str]:
    notes = []
    largest = max(route["scale"] for route in result["routes"])
    apart = [r["name"] for r in result["routes"] if r["scale"] != largest and r["quality"]]
    if apart:
        notes.append(f"{', '.join(apart)}: compared with the reduced picture, not with the "
                     "original; not to be set beside the others' quality")  # fmt: skip
    random = [r["name"] for r in result["routes"] if speed_only(result, r)]
    if random:
        notes.append(f"{', '.join(random)}: random weights, speed only")
    return [*notes, *_partial_notes(result)]


def _partial_notes(result: dict[str, Any]) -> list[str]:
    """Which means are not over all pictures, as some are too small for a figure or equal."""
    owners: dict[str, list[str]] = {}
    for key, (title, why) in PARTIAL.items():
        for route in result["routes"]:
            known = sum(picture[key] is not None for picture in route["pictures"])
            count = len(route["pictures"])
            if quality_of(result, route) and 0 < known < count:
                said = f"{title} of {known} of {count} pictures, {why}"
                owners.setdefault(said, []).append(route["name"])
    return [f"{', '.join(names)}: {said}" for said, names in owners.items()]


def ratios(result: dict[str, Any]) -> Table:
    """All pairs; quality differences are of the faster one to the slower."""
    heads = ("faster", "than", "times", "interval", "level", "batches", "PSNR", "MS-SSIM")
    rows = []
    for ratio in sorted(result["ratios"], key=lambda r: -r["ratio"]):
        figure, interval = ratio_figures(ratio)
        psnr, ms_ssim = quality_difference(result, ratio["fast"], ratio["slow"])
        rows.append((ratio["fast"], ratio["slow"], figure, interval, percent(ratio["level"]),
                     str(ratio["count"]), psnr or MISSING, ms_ssim or MISSING))  # fmt: skip
    return Table("Ratios", heads, rows, words=2)


def stages(route: dict[str, Any]) -> Table:
    """The stages of one contender in the order of a call."""
    heads = ("stage", "kind", "p50 ms", "p99 ms", "share", "GMACs", "GMAC/s", "of sgemm")
    rows = [
        (s["name"], s["kind"], number(s["ms"]["p50"]), number(s["ms"]["p99"]),
         percent(s["share"], 1), number(s["macs"] / 1e9 or None), number(s["gmacs_per_s"]),
         percent(s["sgemm_share"]))
        for s in route["stages"]
    ]  # fmt: skip
    return Table(f"Stages of {route['name']}", heads, rows, words=2)


def throughput(result: dict[str, Any]) -> Table:
    """Pictures a second with so many in flight."""
    heads = ("contender", "in flight", "pictures/s", "output MP/s", "busy cores", "pictures")
    rows = [
        (route["name"], str(t["in_flight"]), number(t["pictures_per_s"]),
         number(t["output_mp_per_s"]), number(t["busy_cores"]), str(t["pictures"]))
        for route in result["routes"] for t in route["throughput"]
    ]  # fmt: skip
    return Table("Throughput", heads, rows)


def memory(result: dict[str, Any]) -> Table:
    """Peak memory of each contender's process, and its cold start."""
    heads = ("contender", "peak MiB", "process ms", "load ms", "first call ms", "then p50 ms")
    rows = [
        (route["name"], mebibytes(route["memory"]["peak_bytes"]),
         *(number(route["cold_start"][key]["p50"]) for key in ("process_ms", "load_ms")),
         number(route["cold_start"]["first_ms"]["p50"]), number(route["latency_ms"]["p50"]))
        for route in result["routes"]
    ]  # fmt: skip
    return Table("Memory and cold start", heads, rows)


def sizes(result: dict[str, Any]) -> Table:
    """Latency of each contender at each size."""
    every = sorted({(s["width"], s["height"]) for r in result["routes"] for s in r["sizes"]},
                   key=lambda size: (size[0] * size[1], size))  # fmt: skip
    rows = []
    for route in result["routes"]:
        known = {(s["width"], s["height"]): s["p50_ms"] for s in route["sizes"]}
        if known:
            rows.append((route["name"], *(number(known.get(size)) for size in every)))
    heads = ("p50 ms at", *(f"{w} × {h}" for w, h in every))
    return Table("Latency against size", heads, rows)


def quality(result: dict[str, Any]) -> Table:
    """Means over the pictures, for each contender that has them."""
    heads = ("contender", "scale", "PSNR dB", "PSNR-Y dB", "SSIM", "MS-SSIM", "compared with")
    largest = max(route["scale"] for route in result["routes"])
    rows = []
    for route in result["routes"]:
        found = quality_of(result, route)
        if found:
            rows.append((
                route["name"], f"×{route['scale']}", fixed(found["psnr"], 2),
                fixed(found["psnr_y"], 2), fixed(found["ssim"], 4), fixed(found["ms_ssim"], 4),
                "original" if route["scale"] == largest else "reduced picture",
            ))  # fmt: skip
    return Table("Quality", heads, rows, notes=_quality_notes(result))


def pictures(result: dict[str, Any]) -> Table:
    """What was measured on; bpp of the coded picture and of the enlarged one."""
    heads = ("picture", "output", "coded", "bytes", "bpp coded", "bpp output")
    rows = [
        (p["name"], f"{p['width']} × {p['height']}", f"{p['coded_width']} × {p['coded_height']}",
         f"{p['bytes']:,}", fixed(p["bpp"], 3), fixed(p["bpp_output"], 4))
        for p in result["pictures"]
    ]  # fmt: skip
    return Table("Pictures", heads, rows)
