"""The demo's synthesis graph on the TensorRT backend: inputs, and what is expected."""

from __future__ import annotations

import numpy as np

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle

CUDA = EngineOptions(device="cuda")


def engine_of(graph: bytes, options: EngineOptions = CUDA) -> Engine:
    return get_backend("tensorrt").load(graph, "synthesis", options)


def latent(seed: int = 0, shape: tuple[int, ...] | None = None) -> np.ndarray:
    bundle = Bundle("demo")
    channels = next(c.channels for c in bundle.manifest.chunks if c.name == "y")
    shape = shape or (1, channels, 4, 6)
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def expected(graph: bytes, value: np.ndarray) -> np.ndarray:
    engine = get_backend("ort").load(graph, "synthesis", EngineOptions(threads=1))
    return engine.run({"y_hat": value})["x_hat"]
