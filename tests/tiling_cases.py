"""What tests of tiles share: streams of the demo bundle, and the difference that rounding makes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.bundle import DEMO

# One step of 8 bits where a sample lies on the border between two; see `latentsr.tiling`.
MOST = 1
OFTEN = 1e-4


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for rare samples that were rounded the other way."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.uint8
    moved = np.abs(found.astype(np.int16) - expected)
    assert moved.max() <= MOST
    assert (moved > 0).mean() <= OFTEN


def demo_with(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the demo bundle with another manifest."""
    shutil.copytree(DEMO, path)
    raw = json.loads((path / "manifest.json").read_text())
    change(raw)
    (path / "manifest.json").write_text(json.dumps(raw))
    return path


def without_windows(raw: dict[str, Any]) -> None:
    """As bundles were exported before there were windows."""
    for graph in raw["graphs"].values():
        graph.pop("window", None)
