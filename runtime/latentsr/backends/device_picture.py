"""Pictures made planes and planes pictures on the device: a quarter of the bytes cross the bus.

The kernels are those of `latentsr.cuda`; builds without them, and machines where they cannot run,
do it on the host.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latentsr.backends.device import parse_index
from latentsr.backends.device_pool import DeviceArray, Pools, pools_of, working
from latentsr.cuda import module, steps
from latentsr.errors import BundleError
from latentsr.stream import Padding


def planes_on(device: str) -> Callable[[np.ndarray, Padding], DeviceArray | None] | None:
    """What makes planes on a device of that name; None for the processor.

    It gives None where the kernels cannot do it.
    """
    if device.partition(":")[0] != "cuda":
        return None
    index = parse_index(device, "pictures")

    def make(picture: np.ndarray, padding: Padding) -> DeviceArray | None:
        return planes_of(pools_of(index), picture, padding) if module.usable() else None

    return make


def planes_of(pools: Pools, picture: np.ndarray, padding: Padding) -> DeviceArray:
    """float32 planes (1, 3, H', W') of uint8 (H, W, 3), as `image_steps.pad` makes them.

    The picture must not change before the planes have been waited for. Raises BackendError where
    the launch fails.
    """
    given, stream = pools.resident(picture), pools.device.stream()
    left, top, right, bottom = padding
    height, width = picture.shape[:2]
    made = pools.array((1, 3, top + height + bottom, left + width + right), np.float32)
    planes = steps.DevicePlanes.dense(made.address, 1, *made.shape[2:])
    with working(stream, given.block, made.block):
        steps.planes_from_picture(given.address, height, width, planes, top, left, stream.handle)
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
