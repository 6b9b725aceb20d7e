"""What the coders are measured on: latents of two picture sizes, drawn from 64 Gaussian tables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np

from latentsr.entropy import Coder, Tables

SCALES = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
LATENTS = {"1920x1080": 192 * 68 * 120, "768x512": 192 * 32 * 48}
"""Symbols of a latent of 192 channels and stride 16."""

RATES = {"0.1": 0.085, "0.75": 0.275, "1.5": 0.56}
"""Bits a symbol, about, and the median of the scales that give them."""


def gaussian_tables() -> Tables:
    rows, offset = [], []
    for scale in SCALES:
        centre = math.ceil(6.1 * scale)
        edges = (np.arange(-centre, centre + 2) - 0.5) / (scale * math.sqrt(2))
        mass = np.diff([math.erf(edge) for edge in edges]) / 2
        sizes = np.floor(np.append(mass, 1e-9) * (65535 - mass.size)).astype(np.int64) + 1
        sizes[centre] += 65536 - sizes.sum()
        rows.append(np.concatenate([[0], np.cumsum(sizes)]))
        offset.append(-centre)
    cdf = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, entries in zip(cdf, rows, strict=True):
        row[: len(entries)] = entries
    lengths = np.array([len(entries) for entries in rows], np.int32)
    return Tables(cdf, lengths, np.array(offset, np.int32))


def draw(rng: np.random.Generator, count: int, median: float) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and table rows; the scales' logarithms are spread as trained codecs' are."""
    scales = np.clip(median * np.exp(rng.normal(0, 0.8, count)), SCALES[0], SCALES[-1])
    rows = np.minimum(np.searchsorted(SCALES, scales), SCALES.size - 1).astype(np.uint8)
    return np.rint(rng.normal(0, 1, count) * SCALES[rows]).astype(np.int32), rows


@dataclass(frozen=True)
class Case:
    """Streams of one batch with what they hold."""

    coder: Coder
    symbols: list[np.ndarray]
    rows: list[np.ndarray]
    streams: list[bytes]

    @property
    def count(self) -> int:
        return sum(one.size for one in self.symbols)


def make_case(tables: Tables, size: int, batch: int, median: float, parts: int) -> Case:
    rng = np.random.default_rng(1)
    coder = Coder(tables)
    drawn = [draw(rng, size, median) for _ in range(min(batch, 4))]  # some of them again and again
    streams = [coder.encode(s, r, threads=os.cpu_count() or 1, parts=parts or None)
               for s, r in drawn]  # fmt: skip
    order = [i % len(drawn) for i in range(batch)]
    return Case(coder, [drawn[i][0] for i in order], [drawn[i][1] for i in order],
                [streams[i] for i in order])  # fmt: skip
