"""Fixtures shared by all tests: where test data lies, and small pictures made on the spot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latentsr.plans.cache import FOLDER_VARIABLE

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own, so that no plan of this machine changes what they see."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        yield folder


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
