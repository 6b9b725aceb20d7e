"""Figures from samples: percentiles, and paired ratios with intervals that outliers do not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

PERCENTILES = (50, 90, 95, 99)
LEVEL = 0.95
Values = NDArray[np.float64]


def summary(values: ArrayLike) -> dict[str, float]:
    """min, mean, p50, p90, p95, p99, max and cov (deviation over mean) of the finite values."""
    array = np.asarray(values, np.float64).ravel()
    array = array[np.isfinite(array)]
    if array.size == 0:
        raise ValueError("no finite value to summarise")
    mean = float(array.mean())
    figures = {"min": float(array.min()), "mean": mean, "max": float(array.max())}
    for p in PERCENTILES:
        figures[f"p{p}"] = float(np.percentile(array, p))
    deviation = float(array.std(ddof=1)) if array.size > 1 else 0.0
    return figures | {"cov": deviation / mean if mean > 0 else 0.0}


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, the confidence that this really has, and the count behind it."""

    value: float
    low: float
    high: float
    level: float
    count: int

    def as_dict(self, name: str) -> dict[str, Any]:
        """For JSON, the value under `name`."""
        return {name: self.value, "low": self.low, "high": self.high, "level": self.level,
                "count": self.count}  # fmt: skip


def one_sample(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Hodges-Lehmann estimate of the centre and Wilcoxon's signed-rank interval.

    The median of all pair means, and the pair means at the ranks that the exact distribution of
    the signed-rank statistic gives (Hollander & Wolfe, section 3.2). With few values the level
    asked for cannot be had: then the interval is the whole range and `level` says what it is
    worth (5 values: 0.9375).
    """
    x = np.asarray(values, np.float64)
    count = x.size
    first, second = np.triu_indices(count)
    means = np.sort((x[first] + x[second]) / 2)
    cut, real = _cut(_signed_rank_counts(count), level)
    return Estimate(float(np.median(means)), float(means[cut]), float(means[-1 - cut]), real, count)


def two_sample(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Estimate:
    """How far `b` lies above `a`: Hodges-Lehmann shift and the Mann-Whitney interval.

    The median of all differences b - a, and the differences at the ranks of the exact
    distribution of the rank-sum statistic (Hollander & Wolfe, section 4.2).
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    shifts = np.sort(np.subtract.outer(second, first).ravel())
    cut, real = _cut(_rank_sum_counts(first.size, second.size), level)
    count = min(first.size, second.size)
    return Estimate(
        float(np.median(shifts)), float(shifts[cut]), float(shifts[-1 - cut]), real, count
    )


def _cut(counts: Values, level: float) -> tuple[int, float]:
    """How many ordered values to leave out at each end, and the confidence that results."""
    tails = np.cumsum(counts) / counts.sum()
    cut = max(int(np.searchsorted(tails, (1 - level) / 2, side="right")) - 1, 0)
    return cut, float(max(1 - 2 * tails[cut], 0.0))


def _signed_rank_counts(count: int) -> Values:
    """In how many of the 2^count sign patterns the statistic has each value."""
    counts = np.ones(1)
    for rank in range(1, count + 1):
        longer = np.zeros(counts.size + rank)
        longer[: counts.size] += counts
        longer[rank:] += counts
        counts = longer
    return counts


def _rank_sum_counts(first: int, second: int) -> Values:
    """In how many arrangements the Mann-Whitney statistic has each value: Gauss's binomial."""
    counts = np.ones(1)
    for step in range(1, second + 1):
        numerator = np.zeros(first + step + 1)
        numerator[0], numerator[-1] = 1.0, -1.0
        counts = np.convolve(counts, numerator)
        # Division by 1 - q^step is a running sum with that stride.
        for place in range(step, counts.size):
            counts[place] += counts[place - step]
        counts = counts[: first * step + 1]
    return counts
