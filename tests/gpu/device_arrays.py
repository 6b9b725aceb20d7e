"""Arrays in device memory, each between guard zones that no kernel may write to.

Under compute-sanitizer LATENTSR_EXACT_BLOCKS=1 makes them blocks of their own size, so that it sees
reads beside them too, and leaves scratch uninitialised.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr.backends.device_memory import DeviceMemory

EXACT = os.environ.get("LATENTSR_EXACT_BLOCKS") == "1"
GUARD = 0 if EXACT else 512
FILL = 0xA5


class DeviceArrays:
    """What a test puts on the device; `check` and `free` look at all of it."""

    def __init__(self, memory: DeviceMemory) -> None:
        self.memory = memory
        self._blocks: dict[int, tuple[int, int]] = {}

    def room(self, size: int, shift: int = 0, scratch: bool = False) -> int:
        """Address of `size` bytes, `shift` bytes behind a multiple of 256."""
        whole = max(size + shift + 2 * GUARD, 1)
        base = self.memory.allocate(whole)
        if not (EXACT and scratch):
            self.memory.upload(base, np.full(whole, FILL, np.uint8))
        self._blocks[base + GUARD + shift] = (base, size)
        return base + GUARD + shift

    def put(self, array: NDArray[Any], shift: int = 0) -> int:
        """Address of a copy."""
        flat = np.ascontiguousarray(array)
        address = self.room(flat.nbytes, shift)
        if flat.nbytes:
            self.memory.upload(address, flat)
        return address

    def get(self, address: int, shape: Any, dtype: Any) -> NDArray[Any]:
        """What is there once the device has done its work."""
        self.memory.synchronize()
        found = np.zeros(shape, dtype)
        if found.nbytes:
            self.memory.download(found, address)
        return found

    def check(self) -> None:
        """Fail where a kernel wrote beside an array."""
        self.memory.synchronize()
        for address, (base, size) in self._blocks.items() if not EXACT else ():
            whole = np.zeros(address - base + size + GUARD, np.uint8)
            self.memory.download(whole, base)
            assert (whole[: address - base] == FILL).all(), "written in front of an array"
            assert (whole[address - base + size :] == FILL).all(), "written behind an array"

    def free(self) -> None:
        for base, _ in self._blocks.values():
            self.memory.free(base)
        self._blocks.clear()


def with_dtype(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Float samples of 4 bytes or 2."""
    return array.astype(np.float32 if size == 4 else np.float16)
