"""Fixtures shared by all tests: where test data lies, and small pictures made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of test pictures and public weights; the tests that want it skip without it."""
    folder = Path(os.environ.get("LATENTSR_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; set LATENTSR_TEST_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A smooth RGB test picture of odd size, uint8 (101, 75, 3)."""
    row, column = np.mgrid[0:101, 0:75].astype(np.float64)
    waves = [np.sin(row / 9 + k) * np.cos(column / (7 + k)) for k in range(3)]
    return np.round(np.stack(waves, axis=-1) * 100 + 127).astype(np.uint8)


@pytest.fixture(scope="session")
def small_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped picture at 150x110, for calibration and parity: it saves seconds."""
    from PIL import Image

    from latentsr.bundle import DEMO

    path = tmp_path_factory.mktemp("calibration") / "small.png"
    with Image.open(DEMO.parent / "coffee.png") as image:
        image.resize((150, 110), Image.Resampling.BICUBIC).save(path)
    return path
