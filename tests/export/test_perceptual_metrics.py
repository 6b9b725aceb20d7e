"""LPIPS and DISTS: found by name, missing weights, and with a random backbone the plumbing.

Trained backbones are not at hand, so that figures of real networks are not tested here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")

import torch

from latentsr.errors import BackendError
from latentsr.evaluate.metrics import GROUP, find_metrics, metric_names
from latentsr_export.metrics import backbone
from latentsr_export.metrics.backbone import ALEXNET, VGG16

NEEDS = {"lpips": ("lpips", "Lpips", ALEXNET), "dists": ("DISTS_pytorch", "Dists", VGG16)}


def metric_class(name: str) -> Any:
    package, attribute, _ = NEEDS[name]
    pytest.importorskip(package)
    return getattr(import_module(f"latentsr_export.metrics.{name}"), attribute)


@pytest.fixture()
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torchvision's weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    first = rng.integers(0, 256, (64, 80, 3), np.uint8)
    near = np.clip(first + rng.normal(0, 8, first.shape), 0, 255).astype(np.uint8)
    far = np.clip(first + rng.normal(0, 60, first.shape), 0, 255).astype(np.uint8)
    return [first, near, far]


def test_they_are_registered() -> None:
    assert {entry.name for entry in entry_points(group=GROUP)} >= set(NEEDS)
    assert set(metric_names()) >= set(NEEDS)


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_missing_weights_are_said(name: str, cache: Path) -> None:
    metric_class(name)
    file = NEEDS[name][2].file
    with pytest.raises(BackendError, match=f"backbone are missing: found no .*{file}"):
        find_metrics([name])
    (cache / file).write_bytes(b"no weights")
    with pytest.raises(BackendError, match="cannot be used"):
        find_metrics([name])
    torch.save({"features.0.weight": torch.zeros(2, 2)}, cache / file)
    with pytest.raises(BackendError, match=r"found no proper features\.0\.weight"):
        find_metrics([name])


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_missing_library_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = NEEDS[name][0]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"latentsr_export.metrics.{name}", raising=False)
    with pytest.raises(BackendError, match=f"found no {package}, expected it for {name}"):
        find_metrics([name])


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_random_backbones_tell_pictures_apart(name: str, pictures: list[np.ndarray]) -> None:
    torch.manual_seed(5)
    metric = metric_class(name)(random=True)
    assert metric.random_weights and "smaller is better" in metric.about
    first, near, far = pictures
    assert metric(first, first) == pytest.approx(0.0, abs=1e-6)
    assert 0 < metric(near, first) < metric(far, first)
    assert metric(first[:31], first[:31]) is None


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_the_files_weights_are_those_used(
    name: str, cache: Path, pictures: list[np.ndarray]
) -> None:
    # The network's own random weights, stored as torchvision stores trained ones, give its figure.
    torch.manual_seed(6)
    random = metric_class(name)(random=True)
    kept = {}
    for key, value in random._network.named_parameters():
        if key.count(".") >= 2 and not key.startswith("lin"):
            kept["features." + ".".join(key.split(".")[-2:])] = value.detach().clone()
    assert len(kept) == {"lpips": 10, "dists": 26}[name]
    torch.save(kept, cache / NEEDS[name][2].file)
    again = find_metrics([name])[name]
    assert not again.random_weights
    first, near, _ = pictures
    assert again(near, first) == pytest.approx(random(near, first), rel=1e-6)


def test_the_package_is_as_it_was(pictures: list[np.ndarray]) -> None:
    dists = metric_class("dists")
    from DISTS_pytorch import DISTS_pt
    from torchvision import models

    dists(random=True)
    assert DISTS_pt.models is models


def test_lpips_takes_values_as_its_authors_mean_them(pictures: list[np.ndarray]) -> None:
    # Their example scales 0..255 to -1..1 itself; the linear weights are those of the package.
    torch.manual_seed(5)
    metric = metric_class("lpips")(random=True)
    first, near, _ = pictures
    scaled = [torch.from_numpy(x.transpose(2, 0, 1)[None] / 127.5 - 1).float()
              for x in (first, near)]  # fmt: skip
    with torch.no_grad():
        expected = float(metric._network(*scaled))
    assert metric(first, near) == pytest.approx(expected, rel=1e-4)
    assert backbone.to_planes(first).shape == (1, 3, 64, 80)
