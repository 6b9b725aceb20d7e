"""Warnings: what about a benchmark's conditions should make its reader careful."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

UNSTABLE_COV = 0.10
OTHER_LOAD = 0.05
CLOCK_CHANGE = 0.05
DRIFT = 0.05
FEW_SAMPLES = 20
COARSE_TIMER = 0.001
SUM_OF_STAGES = 0.97
MORE_BYTES = 0.05


def warnings(result: Mapping[str, Any]) -> list[str]:
    """All that apply to a result which lacks nothing but its warnings."""
    found = [*_load(result["load"]), *_clock(result)]
    for route in result["routes"]:
        texts = [*_route(route, result["machine"]), *_fairness(route, result)]
        found += [f"{route['name']}: {text}" for text in texts]
    rate = result["machine"]["sgemm"]["gmacs_per_s"]
    if rate["cov"] > UNSTABLE_COV:
        found.append(
            f"the machine's own speed varied: sgemm {rate['p50']:.0f} GMAC/s with a deviation of "
            f"{rate['cov']:.0%}"
        )
    if result["settings"]["launches"] < 6:
        found.append(
            f"only {result['settings']['launches']} launches: intervals hold what varies within a "
            "process, less of what varies between processes; --launches 6 or more has both"
        )
    if result["bundle"]["random_weights"]:
        found.append("the bundle has random weights: only its speed means something")
    return found


def _route(route: Mapping[str, Any], machine: Mapping[str, Any]) -> list[str]:
    found = []
    latency = route["latency_ms"]
    if latency["cov"] > UNSTABLE_COV and len(route["pictures"]) == 1:
        found.append(f"unstable, deviation {latency['cov']:.0%} of the mean")
    if route["samples"] < FEW_SAMPLES:
        found.append(f"only {route['samples']} calls: p95 and p99 are little more than the maximum")
    drift = _drift(route["launches"])
    if abs(drift) > DRIFT:
        found.append(f"drifted by {drift:+.0%} from the first to the second half of the rounds")
    if route["stage_share"] < SUM_OF_STAGES:
        found.append(f"stages add up to {route['stage_share']:.1%} of the call")
    if machine["timer"]["resolution_ns"] / 1e6 > COARSE_TIMER * latency["p50"]:
        found.append("the timer is too coarse for so short a call")
    if route["random_weights"]:
        found.append("random weights: only the speed means something")
    return found


def _fairness(route: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """What sets a contender apart from the others that it will be compared with."""
    found = []
    count, timed = len(route["pictures"]), [p for p in route["pictures"] if p["p50_ms"] is not None]
    if 0 < len(timed) < count:
        found.append(
            f"timed on {len(timed)} of {count} pictures only, as it is slow: the ratios hold, "
            "which are of the same pictures; its milliseconds are not those of all"
        )
    sizes = [picture["bytes"] for picture in result["pictures"]]
    if sizes and (more := route["bytes"] / float(np.mean(sizes)) - 1) > MORE_BYTES:
        found.append(
            f"reads {more:.0%} more bytes than the streams have: its quality is of a higher rate"
        )
    if route["kind"] == "baseline" and result["settings"]["write"] is not None:
        found.append("writes no files, but the routes do: its ratios to them hold their writing")
    return found


def _drift(launches: list[list[float]]) -> float:
    """Second half of the rounds over the first, minus 1; median over launches."""
    changes = [
        np.median(ms[len(ms) // 2 :]) / np.median(ms[: len(ms) // 2]) - 1
        for ms in launches
        if len(ms) >= 6
    ]
    return float(np.median(changes)) if changes else 0.0


def _load(launches: list[Mapping[str, Any]]) -> list[str]:
    found = []
    for key, words in (("other_share", "other processes used"), ("stolen_share", "the host took")):
        shares = [launch[key] for launch in launches if launch[key] is not None]
        if shares and max(shares) > OTHER_LOAD:
            found.append(f"{words} up to {max(shares):.0%} of the processors")
    return found


def _clock(result: Mapping[str, Any]) -> list[str]:
    speeds = [launch[key] for launch in result["load"] for key in ("mhz_before", "mhz_after")]
    known = [mhz for mhz in speeds if mhz]
    if known and max(known) / min(known) - 1 > CLOCK_CHANGE:
        return [f"the processor's clock was between {min(known):.0f} and {max(known):.0f} MHz"]
    return []
