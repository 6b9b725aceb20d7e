"""A coder's tables on a GPU, and what else is copied there once; room for streams."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from latentsr.backends.device_pool import DeviceArray, Pools, pools_of
from latentsr.cuda import DeviceCoder
from latentsr.entropy.coder import Coder
from latentsr.errors import LatentSRError

_LEAST_ROOM = 1 << 12


class DeviceTables:
    """The tables of a coder on the GPU of that number; any number of threads may share it."""

    def __init__(self, coder: Coder, index: int) -> None:
        self._on_host, self._index = coder, index
        self._last = (0, 1)  # bytes and symbols of the last stream
        self._coder: DeviceCoder | None = None
        self._kept: dict[str, tuple[Any, DeviceArray]] = {}
        self._lock = threading.Lock()

    @cached_property
    def pools(self) -> Pools:
        """The memory that all engines of the GPU share."""
        return pools_of(self._index)

    @property
    def coder(self) -> DeviceCoder:
        """The tables' coder, made once: its copy on the device goes by what it is."""
        with self._lock:
            if self._coder is None:
                self._coder = DeviceCoder(self._on_host.tables, self._on_host.skip)
            return self._coder

    @property
    def tables(self) -> DeviceArray:
        """What the coder reads."""
        return self.kept("tables", self.coder.packed)

    def guess(self, symbols: int) -> int:
        """Bytes that the next stream will hardly need more than: by the last one's rate, 0 first.

        symbols: how many it will have.
        """
        size, before = self._last
        return size * symbols * 5 // (4 * before)

    def note(self, size: int, symbols: int) -> None:
        """Go by this stream's rate from now on."""
        if symbols:
            self._last = (size, symbols)

    def kept(self, name: str, value: np.ndarray) -> DeviceArray:
        """The array on the device, copied there the first time that this very array comes."""
        with self._lock:
            kept, array = self._kept.get(name, (None, None))
            if array is None or kept is not value:
                array = self.pools.resident(value)
                array.block.wait()  # whichever thread comes next may take it as it is
                self._kept[name] = value, array
            return array


def raise_fault(faults: Iterable[LatentSRError | None]) -> None:
    """Raise the first error, if any.

    Nothing here refers to it then: an error that its own traceback leads to would keep the memory
    of its call until the garbage collector comes by.
    """
    found = [fault for fault in faults if fault is not None]
    del faults
    if found:
        raise found.pop(0)


def power_of_two(size: int) -> int:
    """Room for so many bytes: streams have all sizes, and the pools keep memory of each size."""
    return max(_LEAST_ROOM, 1 << (size - 1).bit_length())
