"""Device arrays of one measurement, and the time of what is launched on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from latentsr.backends.device import Device, Memory

Call = Callable[[], None]


class DeviceClock:
    """Arrays by their addresses, and one stream for all launches; `stream` is its handle."""

    def __init__(self, device: Device) -> None:
        self._device, self._stream = device, device.stream()
        self.stream = self._stream.handle
        self._blocks: dict[int, Memory] = {}

    def room(self, size: int) -> int:
        """Address of so many bytes, at least."""
        memory = self._device.alloc(max(size, 1))
        self._blocks[memory.address] = memory
        return memory.address

    def put(self, array: np.ndarray) -> int:
        """Address of a copy."""
        address = self.room(array.nbytes)
        self._stream.upload(self._blocks[address], np.ascontiguousarray(array))
        self._stream.synchronize()
        return address

    def set(self, address: int, array: np.ndarray) -> None:
        """Write over what lies there."""
        self._stream.upload(self._blocks[address], array)
        self._stream.synchronize()

    def get(self, address: int, count: int, dtype: Any) -> np.ndarray:
        """What lies there after all work."""
        found = np.empty(count, dtype)
        self._stream.download(found, self._blocks[address])
        self._stream.synchronize()
        return found

    def seconds(self, call: Call, repeat: int) -> float:
        """Time of a call, from the first of `repeat` launches to the last result."""
        self._stream.synchronize()
        start = time.perf_counter()
        for _ in range(repeat):
            call()
        self._stream.synchronize()
        return (time.perf_counter() - start) / repeat

    def free(self) -> None:
        """Give all arrays back."""
        self._stream.synchronize()
        for memory in self._blocks.values():
            memory.free()
        self._blocks.clear()
