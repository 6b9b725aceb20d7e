"""Samples limited or converted on the device, one pass over its memory.

The kernels are those of `latentsr.cuda`; builds without them, and machines where they cannot run,
do it on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latentsr.backends.device_pool import DeviceArray, working
from latentsr.cuda import module, steps

_TYPES = (np.dtype(np.float32), np.dtype(np.float16))


def limited(array: DeviceArray) -> DeviceArray | None:
    """Float samples limited to 0..1, NaN kept; None where the kernels cannot do it."""
    if array.dtype not in _TYPES or not module.usable():
        return None
    made, stream = array.pools.array(array.shape, array.dtype), array.pools.device.stream()
    with working(stream, array.block, made.block):
        steps.limit_samples(
            array.address, made.address, array.size, array.dtype.itemsize, stream.handle
        )
    return made


def converted(array: DeviceArray, dtype: Any) -> DeviceArray | None:
    """Float samples as float32 or FP16, as NumPy has it; None where the kernels cannot do it."""
    wanted = np.dtype(dtype)
    if array.dtype not in _TYPES or wanted not in _TYPES or not module.usable():
        return None
    if array.dtype == wanted:
        return array
    made, stream = array.pools.array(array.shape, wanted), array.pools.device.stream()
    with working(stream, array.block, made.block):
        steps.convert_samples(
            array.address, made.address, array.size, array.dtype.itemsize, stream.handle
        )
    return made
