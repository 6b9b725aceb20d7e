"""Planes to a picture on the device, so that a quarter of the bytes come down.

The kernels are those of `latentsr.cuda`; builds without them, and machines where they cannot run,
make the picture on the host.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

import numpy as np

from latentsr.errors import BundleError

if TYPE_CHECKING:
    from latentsr.backends.device_pool import DeviceArray

_log = logging.getLogger("latentsr")
_FAULT_BYTES = 8


def picture_of(array: DeviceArray) -> np.ndarray | None:
    """uint8 (H, W, 3) of planes (1, 3, H, W) in 0..1; None where the kernels cannot make it.

    Raises BundleError for samples that are not finite, BackendError where the launch fails.
    """
    if array.shape[:2] != (1, 3) or array.dtype.kind != "f" or not array.size or not _kernels():
        return None
    from latentsr.cuda.steps import DevicePlanes, fault_at, picture_from_planes

    height, width = array.shape[2:]
    pools, stream = array.pools, array.pools.device.stream()
    lease, fault_lease = (pools.blocks.take(n) for n in (3 * height * width, _FAULT_BYTES))
    made, fault = lease.held, fault_lease.held
    blocks = (array.block, made, fault)
    for block in blocks:
        block.use(stream)
    planes = DevicePlanes.dense(
        array.block.memory.address, 1, height, width, array.dtype.itemsize
    )  # fmt: skip
    picture_from_planes(planes, made.memory.address, fault.memory.address, stream.handle)
    for block in blocks:
        block.mark(stream)
    found, position = array.pinned((height, width, 3), np.uint8), array.pinned((1,), np.uint64)
    stream.download(found, made.memory)
    stream.download(position, fault.memory)
    stream.synchronize()
    if fault_at(int(position[0])) is not None:
        raise BundleError(
            "engine made samples that are not finite: found NaN or infinity, expected 0..1; "
            "export the bundle with a higher precision"
        )
    return found


@functools.cache
def _kernels() -> bool:
    from latentsr import cuda

    reason = cuda.why_not()
    if reason is not None:
        _log.info("pictures are made on the host: %s", reason)
    return reason is None
