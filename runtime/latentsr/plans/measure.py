"""Paired timing: candidates run in turn, so that what disturbs one disturbs all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Run = Callable[[], object]
ROUNDS_FIRST, ROUNDS_LAST = 2, 9
KEEP = 3
SGEMM_SIDE = 1024


def interleaved(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each run in each round; the order turns by one from round to round."""
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            begin = time.perf_counter()
            runs[name]()
            times[name].append((time.perf_counter() - begin) * 1e3)
    return times


def rank(runs: Mapping[str, Run], seconds: float) -> list[str]:
    """Names from the fastest on, by successive halving: the slow ones are measured less.

    seconds: roughly how long to measure in all. Ordered by the lower quartile: a processor that is
    lent to others for a moment makes a run slower, never faster.
    """
    for run in runs.values():
        run()  # the first run allocates
    left, deadline = list(runs), time.perf_counter() + seconds
    order: list[str] = []
    rounds = ROUNDS_FIRST
    while True:
        times = interleaved({name: runs[name] for name in left}, rounds)
        left.sort(key=lambda name: float(np.quantile(times[name], 0.25)))
        if len(left) <= KEEP or time.perf_counter() > deadline:
            return left + order
        half = max(KEEP, (len(left) + 1) // 2)
        order = left[half:] + order
        left, rounds = left[:half], min(2 * rounds, ROUNDS_LAST)


def compare(before: Run, after: Run, seconds: float) -> dict[str, float]:
    """Medians in milliseconds, and median and lower quartile of the ratios of neighbouring runs."""
    before(), after()
    begin = time.perf_counter()
    before(), after()
    cost = max(time.perf_counter() - begin, 1e-6)
    rounds = int(np.clip(seconds / cost, 5, 101))
    times = interleaved({"before": before, "after": after}, rounds)
    ratios = [b / a for b, a in zip(times["before"], times["after"], strict=True)]
    return {
        "before_ms": float(np.median(times["before"])),
        "after_ms": float(np.median(times["after"])), "ratio": float(np.median(ratios)),
        "ratio_low": float(np.quantile(ratios, 0.25)), "rounds": rounds,
    }  # fmt: skip


def share_of_sgemm(run: Run, macs: float, rounds: int) -> float:
    """MACs a second of a run over those of NumPy's 1024³ matrix product, run in turn."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((SGEMM_SIDE,) * 2, np.float32) for _ in range(2))
    out = np.empty_like(left)

    def product() -> Any:
        return np.matmul(left, right, out=out)

    product(), run()
    times = interleaved({"run": run, "sgemm": product}, rounds)
    rate = np.median([s / r for r, s in zip(times["run"], times["sgemm"], strict=True)])
    return float(rate * macs / SGEMM_SIDE**3)
