"""The row of every scale, on every instruction set, is the count of the thresholds below it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from guarded import EXTREMES, Guarded, shifted
from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.entropy import isa

ISAS = [isa.NAMES[name] for name in isa.supported()]


def thresholds_of(rng: np.random.Generator, count: int, kind: str) -> NDArray:
    if kind == "integers":
        return np.sort(rng.choice(np.arange(-20, 2000), count, replace=False)).astype(np.float32)
    if kind == "extremes":
        bits = rng.integers(0, 2**32, 4 * count + 8, dtype=np.uint32).view(np.float32)
        values = np.concatenate([bits[~np.isnan(bits)], EXTREMES])
        return np.sort(rng.choice(np.unique(values), count, replace=False))
    return np.exp(np.linspace(np.log(0.11), np.log(256), count)).astype(np.float32)


def scales_about(rng: np.random.Generator, thresholds: NDArray, count: int) -> NDArray:
    """Thresholds themselves, their neighbours, and what lies far from them."""
    with np.errstate(over="ignore"):
        near = np.concatenate([
            thresholds,
            np.nextafter(thresholds, np.float32(np.inf)),
            np.nextafter(thresholds, np.float32(-np.inf)),
            EXTREMES,
            rng.normal(0, 30, 20).astype(np.float32),
        ])  # fmt: skip
    return rng.choice(near, count).astype(np.float32)


def indexes_by(kind: Isa, scales: NDArray, thresholds: NDArray) -> tuple[tuple, NDArray]:
    out = Guarded(scales.size, np.uint8)
    outcome = _kernels.scale_indexes(scales, thresholds, out.array, kind)
    return outcome, out.check()


@pytest.mark.parametrize("kind", ["logarithmic", "integers", "extremes"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 62, 63, 64, 65, 127, 128, 200, 254, 255])
def test_scale_indexes_count_the_thresholds_below(count: int, kind: str) -> None:
    rng = np.random.default_rng(count)
    thresholds = thresholds_of(rng, count, kind)
    for length in (*range(0, 140, 3), 64, 96, 1001):
        scales = shifted(scales_about(rng, thresholds, length), length % 7)
        expected = (thresholds[None] < scales[:, None]).sum(axis=1)
        for each in ISAS:
            outcome, found = indexes_by(each, scales, thresholds)
            assert outcome[0] == Status.OK
            assert np.array_equal(found, expected), each


@pytest.mark.parametrize("count", [63, 255])
def test_scale_indexes_over_all_exponents_and_signs(count: int) -> None:
    thresholds = thresholds_of(np.random.default_rng(5), count, "extremes")
    scales = np.arange(0, 2**32, 4099, dtype=np.uint64).astype(np.uint32).view(np.float32)
    scales = scales[~np.isnan(scales)]
    expected = np.searchsorted(thresholds, scales, side="left")
    for each in ISAS:
        assert np.array_equal(indexes_by(each, scales, thresholds)[1], expected), each


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800001, 0xFFC00000, 0xFF800001, 0x7FFFFFFF])
def test_the_first_nan_is_found_wherever_it_is(bits: int) -> None:
    thresholds = thresholds_of(np.random.default_rng(0), 63, "logarithmic")
    for length in (1, 15, 63, 64, 65, 97, 130):
        for position in range(length):
            scales = np.ones(length, np.float32)
            scales.view(np.uint32)[position] = bits
            scales[position + 1 :: 5] = np.nan
            for each in ISAS:
                outcome, _ = indexes_by(each, scales, thresholds)
                assert outcome == (Status.NOT_A_NUMBER, position, 0), each
