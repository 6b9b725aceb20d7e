"""Arrays in device memory, each between guard zones that no kernel may write to.

Under compute-sanitizer LATENTSR_EXACT_BLOCKS=1 makes them blocks of their own size, so that it sees
reads beside them too, and leaves scratch uninitialised.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr.backends.device import Device, Memory

EXACT = os.environ.get("LATENTSR_EXACT_BLOCKS") == "1"
GUARD = 0 if EXACT else 512
FILL = 0xA5


class DeviceArrays:
    """What a test puts on the device; `check` and `free` look at all of it.

    stream: the handle of the stream that a test's kernels have to go into.
    """

    def __init__(self, device: Device) -> None:
        self._device, self._stream = device, device.stream()
        self.stream = self._stream.handle
        self._blocks: dict[int, tuple[Memory, int, int]] = {}

    def room(self, size: int, shift: int = 0, scratch: bool = False) -> int:
        """Address of `size` bytes, `shift` bytes behind a multiple of 256."""
        whole = max(size + shift + 2 * GUARD, 1)
        memory = self._device.alloc(whole)
        if not (EXACT and scratch):
            self._stream.upload(memory, np.full(whole, FILL, np.uint8))
        address = memory.address + GUARD + shift
        self._blocks[address] = (memory, GUARD + shift, size)
        return address

    def put(self, array: NDArray[Any], shift: int = 0) -> int:
        """Address of a copy."""
        flat = np.array(array, order="C")
        address = self.room(flat.nbytes, shift)
        self.set(address, flat)
        return address

    def set(self, address: int, array: NDArray[Any]) -> None:
        """Write over the beginning of what `room` or `put` gave."""
        memory, begin, _ = self._blocks[address]
        if array.nbytes:
            self._stream.upload(memory, array, begin)

    def get(self, address: int, shape: Any, dtype: Any) -> NDArray[Any]:
        """What is there once the device has done its work."""
        memory, begin, _ = self._blocks[address]
        found = np.zeros(shape, dtype)
        if found.nbytes:
            self._stream.download(found, memory, begin)
        self._stream.synchronize()
        return found

    def check(self) -> None:
        """Wait, and fail where a kernel wrote beside an array."""
        self._stream.synchronize()
        for memory, begin, size in self._blocks.values() if not EXACT else ():
            whole = np.zeros(begin + size + GUARD, np.uint8)
            self._stream.download(whole, memory)
            self._stream.synchronize()
            assert (whole[:begin] == FILL).all(), "written in front of an array"
            assert (whole[begin + size :] == FILL).all(), "written behind an array"

    def free(self) -> None:
        self._stream.synchronize()
        for memory, _, _ in self._blocks.values():
            memory.free()
        self._blocks.clear()


def with_dtype(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Float samples of 4 bytes or 2."""
    return array.astype(np.float32 if size == 4 else np.float16)
