"""The FP16 gate's numbers: what is compared with what, and the worst picture of a route."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("onnx", reason="the exporter needs onnx")

from latentsr_export.fp16 import gate


def _off(by: int) -> np.ndarray:
    """A grey picture that is off by so much."""
    return np.full((4, 6, 3), 100 + by, np.uint8)


def _db(error: float) -> float:
    return 10 * math.log10(255**2 / error**2)


def test_changes_of_routes() -> None:
    original = _off(0)
    given = [gate.Case("encode", route, original, original) for route in ("lr", "x2", "lr")]
    full = [(_off(2), 100), (_off(5), 300), (_off(4), 300)]
    half = [(_off(1), 100), (_off(5), 300), (_off(8), 304)]
    table = gate.changes(given, full, half)
    assert list(table) == ["lr", "x2"]
    row = table["lr"]
    assert row["psnr_fp32"] == pytest.approx((_db(2) + _db(4)) / 2)
    assert row["psnr_fp16"] == pytest.approx((_db(1) + _db(8)) / 2)
    # The first picture gains 6 dB, the second loses them: the gate is for each.
    assert row["worst_db"] == pytest.approx(_db(8) - _db(4))
    assert row["change_db"] == pytest.approx(10 * math.log10((4 + 16) / (1 + 64)))
    assert row["against_fp32_db"] == pytest.approx(_db(4))
    assert row["bytes_percent"] == pytest.approx(1)
    same = table["x2"]
    assert same["worst_db"] == same["change_db"] == same["bytes_percent"] == 0
    assert same["against_fp32_db"] == 999


def test_routes_that_enlarge_are_measured_at_their_size() -> None:
    small, large = np.full((4, 6, 3), 100, np.uint8), np.full((8, 12, 3), 103, np.uint8)
    case = gate.Case("encode", "x2", small, small)
    row = gate.changes([case], [(large, 9)], [(large, 9)])["x2"]
    assert row["psnr_fp32"] == pytest.approx(_db(3))


def test_differences_of_values() -> None:
    full = [np.array([0.0, -10.0], np.float32), np.array([[4.0]], np.float32)]
    half = [np.array([1.0, -10.0], np.float32), np.array([[2.0]], np.float32)]
    assert gate.difference(full, half) == {
        "max_abs": 2, "mean_abs": 1, "peak": 10,
        "psnr_db": float(f"{10 * math.log10(100 / (5 / 3)):.4g}"),
    }  # fmt: skip
    assert gate.difference(full, full)["psnr_db"] == 999


def test_crops_fit_the_scale() -> None:
    rng = np.random.default_rng(1)
    wide, small = (rng.integers(0, 256, (*size, 3)).astype(np.uint8)
                   for size in ((301, 500), (41, 67)))  # fmt: skip
    one, other, last = gate.crops([wide, small], 2)
    assert np.array_equal(one, wide[-256:, -384:])
    # Less than twice 32 rows are mirrored at the border; columns become a multiple of the scale.
    mirrored = np.concatenate([small, small[:-24:-1]])
    assert np.array_equal(other, mirrored[:, :66]) and np.array_equal(last, other)
    assert gate.reduced(one, 2).shape == (128, 192, 3) and gate.reduced(one, 1) is one
