"""Arrays as the kernels take them: one dimension, contiguous, of the right kind, never wrapped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentsr.errors import UsageError


def check_out(
    out: NDArray[np.generic], shape: tuple[int, ...], dtype: type[np.generic] = np.int32
) -> None:
    """Raise UsageError unless a kernel may fill `out` in place."""
    flags = out.flags
    if out.dtype != dtype or out.shape != shape or not flags.carray:
        raise UsageError(
            f"out: found {out.dtype} {out.shape}, contiguous: {flags.c_contiguous}, writeable: "
            f"{flags.writeable}, aligned: {flags.aligned}; expected a contiguous writeable "
            f"{dtype.__name__} array {shape}"
        )


def flat_indexes(indexes: NDArray[np.integer]) -> NDArray[np.integer]:
    """The indexes in C order as uint8 or int32, the kinds that the kernels take."""
    array = np.asarray(indexes)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array).reshape(-1)
    return flat_int32("indexes", array)


def flat_int32(name: str, values: NDArray[np.integer]) -> NDArray[np.int32]:
    """The values in C order as int32; refuses what does not fit instead of wrapping it."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise UsageError(f"{name}: found {array.dtype}, expected integers")
    limits = np.iinfo(np.int32)
    if array.size and not np.can_cast(array.dtype, np.int32):
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise UsageError(f"{name}: found values {low} to {high}, expected 32-bit integers")
    return np.ascontiguousarray(array, dtype=np.int32).reshape(-1)
