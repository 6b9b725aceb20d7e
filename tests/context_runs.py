"""Integer context models run by their kernels: inputs, and calls by one instruction set."""

from __future__ import annotations

import numpy as np

from context_cases import (
    Coded,
    Model,
)
from latentsr._kernels import Status
from latentsr.entropy import isa

ISAS = [isa.NAMES[name] for name in isa.supported()]
OK = (Status.OK, 0, 0)


def inputs(model: Model, rng: np.random.Generator, height: int, width: int, wild: float = 0.01):
    """Features and a latent, some of it far out."""
    top = int(model.settings[3])
    features = rng.integers(-top - top // 4, top + top // 4 + 1, (len(model.lift), height, width))
    y = rng.normal(0, 3, (model.channels, height, width))
    y += (rng.random(y.shape) < wild) * rng.normal(0, 2.0**25, y.shape)
    return features.astype(np.float32), y.astype(np.float32)


def run_encode(kernel, features, y, one, threads=1):
    coded = Coded(np.full(y.shape, 7, np.int32), np.full(y.shape, 7, np.float32), None)
    symbols, indexes = np.full(y.size, 7, np.int32), np.full(y.size, 7, np.uint8)
    outcome = kernel.encode(
        features, y, coded.symbols, coded.values, symbols, indexes, one, threads
    )
    return outcome, coded, symbols, indexes


def run_decode(kernel, features, data, tables, channels, one, threads=1):
    shape = (channels, *features.shape[1:])
    coded = Coded(np.full(shape, 7, np.int32), np.full(shape, 7, np.float32), None)
    stream = np.frombuffer(data, np.uint8)
    outcome = kernel.decode(features, stream, tables, coded.symbols, coded.values, one, threads)
    return outcome, coded


def same_bits(a, b) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))
