"""Outputs between guard zones, and inputs and values that kernels could trip over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GUARD = 37  # elements, so that what lies behind it is aligned to no register
TINY = np.float32(1e-45)
EXTREMES = np.array(
    [0.0, -0.0, TINY, -TINY, 1.17e-38, -1.17e-38, 3.4e38, -3.4e38, np.inf, -np.inf, 1, -1],
    np.float32,
)


class Guarded:
    """An output with a zone on both sides that nobody may write to."""

    def __init__(self, count: int, dtype: type) -> None:
        self.whole = np.full(count + 2 * GUARD, 77, dtype)
        self.array = self.whole[GUARD : GUARD + count]

    def check(self) -> NDArray:
        assert (self.whole[:GUARD] == 77).all()
        assert (self.whole[GUARD + self.array.size :] == 77).all()
        return self.array


def shifted(array: NDArray, by: int) -> NDArray:
    """A copy that starts `by` elements behind a fresh array's start."""
    whole = np.empty(array.size + by, array.dtype)
    whole[by:] = array
    return whole[by:]


def same_bits(one: NDArray, other: NDArray) -> bool:
    """Tells -0.0 from 0.0."""
    assert one.dtype == other.dtype
    return one.shape == other.shape and one.tobytes() == other.tobytes()
