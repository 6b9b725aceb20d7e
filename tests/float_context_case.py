"""A small context model in float32, without torch, for the tests of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from entropy_cases import gaussian_tables
from latentsr.entropy import Coder, isa
from latentsr.entropy.float_context import FloatContext

TAPS = np.array(
    [(dy, dx) for dy in (-2, -1, 0) for dx in range(-2, 3) if dy < 0 or dx < 0], np.int32
)
SCALES = np.exp(np.linspace(np.log(0.11), np.log(256), 64)).astype(np.float32)


@cache
def gaussian_coder() -> Coder:
    return Coder(gaussian_tables())


@dataclass
class Case:
    """A small model without torch: channels M, widths of the layers, features and a latent."""

    channels: int
    widths: tuple[int, int, int]
    height: int
    width: int
    taps: np.ndarray
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        m, (c0, c1, c2) = self.channels, self.widths
        shapes = [(c0, len(self.taps), m), (c1, c0), (c2, c1), (2 * m, c2)]
        self.weights = [
            (rng.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
            for shape in shapes
        ]
        self.biases = [rng.normal(0, 0.1, c).astype(np.float32) for c in (c0, c2, 2 * m)]
        self.biases[2][:m] += np.exp(rng.uniform(np.log(0.1), np.log(8), m)).astype(np.float32)
        self.features = rng.normal(0, 1, (c1, self.height, self.width)).astype(np.float32)
        self.y = rng.normal(0, 3, (m, self.height, self.width)).astype(np.float32)

    @property
    def coder(self) -> Coder:
        return gaussian_coder()

    def model(self, name: str | None = None, **changes: Any) -> FloatContext:
        given = {
            "coder": self.coder, "taps": self.taps, "weights": self.weights,
            "biases": self.biases, "scale_table": SCALES,
        } | changes  # fmt: skip
        return FloatContext(**given, isa=None if name is None else isa.NAMES[name])
