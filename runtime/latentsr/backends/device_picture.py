"""Planes limited and made a picture on the device, so that only a quarter of the bytes come down.

The kernels are those of `latentsr.cuda`; builds without them, and machines where they cannot run,
do it on the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from latentsr.backends.device_pool import working
from latentsr.cuda import module, steps
from latentsr.errors import BundleError

if TYPE_CHECKING:
    from latentsr.backends.device_pool import DeviceArray


def limited(array: DeviceArray) -> DeviceArray | None:
    """Float samples limited to 0..1, NaN kept; None where the kernels cannot do it."""
    if array.dtype not in (np.float32, np.float16) or not module.usable():
        return None
    made, stream = array.pools.array(array.shape, array.dtype), array.pools.device.stream()
    with working(stream, array.block, made.block):
        steps.limit_samples(
            array.address, made.address, array.size, array.dtype.itemsize, stream.handle
        )
    return made


def picture_of(array: DeviceArray) -> np.ndarray | None:
    """uint8 (H, W, 3) of planes (1, 3, H, W) in 0..1; None where the kernels cannot make it.

    Raises BundleError for samples that are not finite, BackendError where the launch fails.
    """
    if (
        array.shape[:2] != (1, 3)
        or array.dtype.kind != "f"
        or not array.size
        or not module.usable()
    ):
        return None
    height, width = array.shape[2:]
    pools, stream = array.pools, array.pools.device.stream()
    made, fault = pools.array((height, width, 3), np.uint8), pools.array((1,), np.uint64)
    planes = steps.DevicePlanes.dense(array.address, 1, height, width, array.dtype.itemsize)
    with working(stream, array.block, made.block, fault.block):
        steps.picture_from_planes(planes, made.address, fault.address, stream.handle)
        found, position = (pools.pinned(each.shape, each.dtype) for each in (made, fault))
        stream.download(found, made.block.memory)
        stream.download(position, fault.block.memory)
    stream.synchronize()
    if steps.fault_at(int(position[0])) is not None:
        raise BundleError(
            "engine made samples that are not finite: found NaN or infinity, expected 0..1; "
            "export the bundle with a higher precision"
        )
    return found
