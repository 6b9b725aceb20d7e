"""Percentiles and the intervals of paired and unpaired shifts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from latentsr.bench.statistics import one_sample, summary, two_sample


def test_summary() -> None:
    figures = summary([4.0, 1.0, float("nan"), 3.0, 2.0])
    assert figures["min"] == 1 and figures["max"] == 4 and figures["mean"] == 2.5
    assert figures["p50"] == 2.5 and figures["p90"] == pytest.approx(3.7)
    assert figures["cov"] == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2.5)
    with pytest.raises(ValueError):
        summary([float("nan")])


def test_summary_of_what_does_not_vary() -> None:
    for values in ([2.0], [2.0, 2.0], [0.0, 0.0]):
        figures = summary(values)
        assert figures["cov"] == 0
        assert figures["min"] == figures["p50"] == figures["p99"] == figures["max"] == values[0]


# Confidence of the interval for each count, from the tables of the signed-rank statistic.
@pytest.mark.parametrize(
    ("count", "left_out", "level"),
    [(5, 0, 0.9375), (6, 0, 0.96875), (8, 3, 0.9609375), (10, 8, 0.951171875)],
)
def test_signed_rank_interval(count: int, left_out: int, level: float) -> None:
    values = np.random.default_rng(count).normal(size=count)
    means = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))
    found = one_sample(values)
    assert found.level == pytest.approx(level)
    assert found.low == pytest.approx(means[left_out])
    assert found.high == pytest.approx(means[-1 - left_out])
    assert found.value == pytest.approx(np.median(means))


# Critical values of the Mann-Whitney statistic: m = n = 4: 0, 5: 2, 6: 5, 8: 13.
@pytest.mark.parametrize(("count", "left_out"), [(4, 0), (5, 2), (6, 5), (8, 13)])
def test_rank_sum_interval(count: int, left_out: int) -> None:
    random = np.random.default_rng(count)
    a, b = random.normal(size=count), random.normal(size=count) + 1
    shifts = sorted(y - x for x in a for y in b)
    found = two_sample(a, b)
    assert found.level >= 0.95
    assert (found.low, found.high) == (shifts[left_out], shifts[-1 - left_out])


def test_the_smaller_sample_is_what_stands_behind_a_shift() -> None:
    a, b = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0, 14.0, 15.0]
    assert two_sample(a, b).count == two_sample(b, a).count == 3
    assert (two_sample(a, b).value, two_sample(b, a).value) == (11, -11)


def test_intervals_cover_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(600):
        found = one_sample(random.standard_t(2, size=8) + 3)
        covered += found.low <= 3 <= found.high
    assert 0.94 < covered / 600 < 0.985


def test_one_value_is_worth_nothing() -> None:
    assert one_sample([2.0]).level == 0 and two_sample([1.0], [2.0]).value == 1
