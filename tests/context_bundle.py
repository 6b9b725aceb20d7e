"""Seeded context models on integers, and a bundle with one that needs no exporter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from latentsr.bundle import DEMO
from latentsr.entropy.context_tensors import ContextTensors
from spoiled_bundles import put

TAPS = [(dy, dx) for dy in (-2, -1, 0) for dx in range(-2, 3) if (dy, dx) < (0, 0)]
"""Of CompressAI's 5x5 masked convolution."""
MEAN_BITS, INPUT_TOP, TOP, FEATURE_TOP = 6, 4095, 1023, 1 << 16


def random_context(
    rng: np.random.Generator,
    channels: int,
    widths: Sequence[int] = (10, 14, 12),
    taps: Sequence[tuple[int, int]] = TAPS,
) -> ContextTensors:
    """A model whose scales lie about 1, with outputs of layers 0 .. L-1 as `widths` says."""
    inputs = [len(taps) * channels, *widths]
    outputs = [*widths, 2 * channels]
    weights, biases, shifts = [], [], []
    for k, (count, size) in enumerate(zip(inputs, outputs, strict=True)):
        top = INPUT_TOP if k == 0 else TOP
        # A quarter of the bound for the worst input, and outputs of some hundreds for usual ones.
        most = max(1, min(200, (1 << 29) // (top * count)))
        weight = rng.integers(-most, most + 1, (size, count)).astype(np.int16)
        usual = most / 2 * np.sqrt(count) * (100 if k == 0 else 250)
        wanted = np.full(size, 300.0)
        if k == len(widths):
            wanted = np.repeat([1000.0, 40.0], channels)
        shift = np.clip(np.round(np.log2(usual / wanted)), 1, 20).astype(np.uint8)
        weights.append(weight.reshape(size, len(taps), channels) if k == 0 else weight)
        bias = rng.integers(0, 1 << 8, size).astype(np.int32) << shift
        biases.append(None if k == 1 else bias)
        shifts.append(shift)
    lift = np.maximum(shifts[1].astype(int) - 3, 0).astype(np.uint8)
    settings = [MEAN_BITS, 655, INPUT_TOP, FEATURE_TOP, *[TOP] * len(widths)]
    return ContextTensors(
        np.array(taps, np.int32), np.array(settings, np.int32), tuple(weights), tuple(biases),
        tuple(shifts), lift,
    )  # fmt: skip


def thresholds(rows: int = 64) -> NDArray[np.float32]:
    """Integer thresholds of the usual scale table, in units of 2^-10."""
    table = np.exp(np.linspace(np.log(0.11), np.log(256), rows))
    return np.floor(table * 1024).astype(np.float32)


def float_tensors(rng: np.random.Generator, channels: int, model: ContextTensors) -> dict[str, Any]:
    """A float model of the same shapes under the names that bundles use."""
    found = {}
    for k, weight in enumerate(model.weights):
        scale = 1 / np.sqrt(weight[0].size)
        found[f"y.context.float.{k}.weight"] = rng.normal(0, scale, weight.shape)
        if k != 1:
            found[f"y.context.float.{k}.bias"] = rng.normal(0.5, 0.3, len(weight))
    return {name: np.ascontiguousarray(a.astype(np.float32)) for name, a in found.items()}


def context_bundle(path: Path) -> Path:
    """The shipped bundle with a context model for y; its scale graph makes the features."""
    shutil.copytree(DEMO, path)
    raw = json.loads((path / "manifest.json").read_text())
    chunk = next(c for c in raw["entropy"]["chunks"] if c["name"] == "y")
    chunk["context"] = {"tensors": "y.context", "order": "wavefront"}
    chunk.pop("skip", None)
    for route in raw["routes"].values():
        for step in route["steps"]:
            if step.pop("scales", None) is not None:
                step["features"] = "features"
            if step.get("out") == ["scales"]:
                step["out"] = ["features"]
    rng = np.random.default_rng(5)
    channels = chunk["channels"]
    model = random_context(rng, channels, (10, channels, 12))
    tensors = load((path / "tables.safetensors").read_bytes())
    tensors.pop("y.neighbours", None)
    tensors |= model.named("y.context") | float_tensors(rng, channels, model)
    (path / "manifest.json").write_text(json.dumps(raw))
    put(path, "tables.safetensors", save(tensors))
    return path
