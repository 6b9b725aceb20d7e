"""The device's place taken by the processor: memory is memory, and nothing is asynchronous.

LATENTSR_CUDA_EMULATED names a `_cuda_kernels` whose kernels run on the processor
(kernels/tests/host_launches.cpp), and has the tests of this folder run on it. They then show that
arrays, plans, errors and the kernels' source are right, and nothing about a device.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import latentsr
from latentsr.backends.device_memory import DeviceMemory

VARIABLE = "LATENTSR_CUDA_EMULATED"
ALIGNMENT = 256


def load_kernels(path: str) -> None:
    """Put the module at `path` in the place of the compiled kernels."""
    name = "latentsr._cuda_kernels"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    latentsr._cuda_kernels = module  # type: ignore[attr-defined]


class HostMemory(DeviceMemory):
    name = "host"

    def __init__(self) -> None:
        self._blocks: dict[int, NDArray[np.uint8]] = {}

    def allocate(self, size: int) -> int:
        block = np.zeros(size + ALIGNMENT, np.uint8)
        address = -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT
        self._blocks[address] = block
        return address

    def free(self, address: int) -> None:
        del self._blocks[address]

    def upload(self, address: int, array: NDArray[Any]) -> None:
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, array: NDArray[Any], address: int) -> None:
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def synchronize(self) -> None:
        pass
