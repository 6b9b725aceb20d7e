"""Kinds of damage that the hostile tests of all stream forms do; `other` is another stream."""

from __future__ import annotations

import numpy as np


def truncated(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    return stream[: rng.integers(0, len(stream))]


def flipped(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    data = bytearray(stream)
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(0, len(data))] ^= 1 << int(rng.integers(0, 8))
    return bytes(data)


def spliced(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    return stream[: rng.integers(0, len(stream) + 1)] + other[rng.integers(0, len(other)) :]
