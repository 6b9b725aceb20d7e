"""The TensorRT backend as a whole: the same checks on the stand-in and on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.require import gpu_or_skip
from engines.tensorrt_checks import CHECKS, half_precision_costs_little
from latentsr.backends.tensorrt_api import library
from latentsr.bundle import Bundle


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, small_picture: Path) -> Bundle:
    """The shipped bundle with FP16 variants."""
    variants = pytest.importorskip("latentsr_export.fp16.variants", reason="the exporter is needed")
    place = tmp_path_factory.mktemp("half") / "half.lsr"
    found: Bundle = variants.add_fp16(Bundle("demo"), place, [small_picture])
    return found


@pytest.fixture(scope="module")
def plans_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_the_stand_in(
    trt: Any, check: Callable[[np.ndarray], None], picture: np.ndarray
) -> None:
    check(picture)


def test_fp16_on_the_stand_in(trt: Any, picture: np.ndarray, half: Bundle) -> None:
    half_precision_costs_little(picture, half)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_a_gpu(
    check: Callable[[np.ndarray], None],
    picture: np.ndarray,
    plans_of_this_run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu_or_skip(library)
    monkeypatch.setenv("LATENTSR_CACHE", str(plans_of_this_run))
    check(picture)


def test_fp16_on_a_gpu(
    picture: np.ndarray, half: Bundle, plans_of_this_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu_or_skip(library)
    monkeypatch.setenv("LATENTSR_CACHE", str(plans_of_this_run))
    half_precision_costs_little(picture, half)
