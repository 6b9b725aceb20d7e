"""Device memory from whichever library is installed: PyCUDA, CuPy or cuda-python.

All three use the device's primary context, which the CUDA kernels of this project then share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr.errors import BackendError


class DeviceMemory(ABC):
    """Plain allocations on device 0; copies wait until they are done."""

    name: str

    @abstractmethod
    def allocate(self, size: int) -> int:
        """Address of `size` bytes, a multiple of 256; `size` is at least 1."""

    @abstractmethod
    def free(self, address: int) -> None:
        """Give back what `allocate` gave."""

    @abstractmethod
    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy a C-ordered array to the device."""

    @abstractmethod
    def download(self, array: NDArray[Any], address: int) -> None:
        """Fill a C-ordered array from the device."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait for all work on the device; raises what the library raises for faults of kernels."""


class CupyMemory(DeviceMemory):
    """CuPy's runtime calls."""

    name = "cupy"

    def __init__(self) -> None:
        from cupy.cuda import runtime

        self._runtime = runtime
        runtime.setDevice(0)

    def allocate(self, size: int) -> int:
        """As in the base class."""
        return int(self._runtime.malloc(size))

    def free(self, address: int) -> None:
        """As in the base class."""
        self._runtime.free(address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """As in the base class."""
        kind = self._runtime.memcpyHostToDevice
        self._runtime.memcpy(address, array.ctypes.data, array.nbytes, kind)

    def download(self, array: NDArray[Any], address: int) -> None:
        """As in the base class."""
        kind = self._runtime.memcpyDeviceToHost
        self._runtime.memcpy(array.ctypes.data, address, array.nbytes, kind)

    def synchronize(self) -> None:
        """As in the base class."""
        self._runtime.deviceSynchronize()


class CudaPythonMemory(DeviceMemory):
    """NVIDIA's own bindings."""

    name = "cuda-python"

    def __init__(self) -> None:
        from cuda.bindings import runtime

        self._runtime = runtime
        self._call(runtime.cudaSetDevice, 0)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        error, *found = function(*arguments)
        if error != self._runtime.cudaError_t.cudaSuccess:
            raise BackendError(f"{function.__name__}: found {error.name}, expected success")
        return found[0] if found else None

    def allocate(self, size: int) -> int:
        """As in the base class."""
        return int(self._call(self._runtime.cudaMalloc, size))

    def free(self, address: int) -> None:
        """As in the base class."""
        self._call(self._runtime.cudaFree, address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """As in the base class."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._runtime.cudaMemcpy, address, array.ctypes.data, array.nbytes, kind)

    def download(self, array: NDArray[Any], address: int) -> None:
        """As in the base class."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self._runtime.cudaMemcpy, array.ctypes.data, address, array.nbytes, kind)

    def synchronize(self) -> None:
        """As in the base class."""
        self._call(self._runtime.cudaDeviceSynchronize)


class PycudaMemory(DeviceMemory):
    """PyCUDA in the primary context, which stays current on the thread that made this object."""

    name = "pycuda"

    def __init__(self) -> None:
        from pycuda import driver

        driver.init()
        self._driver = driver
        self._context = driver.Device(0).retain_primary_context()
        self._context.push()
        self._blocks: dict[int, Any] = {}

    def allocate(self, size: int) -> int:
        """As in the base class."""
        block = self._driver.mem_alloc(size)
        self._blocks[int(block)] = block
        return int(block)

    def free(self, address: int) -> None:
        """As in the base class."""
        self._blocks.pop(address).free()

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """As in the base class."""
        if array.nbytes:
            self._driver.memcpy_htod(address, np.ascontiguousarray(array))

    def download(self, array: NDArray[Any], address: int) -> None:
        """As in the base class."""
        if array.nbytes:
            self._driver.memcpy_dtoh(array, address)

    def synchronize(self) -> None:
        """As in the base class."""
        self._context.synchronize()


LIBRARIES: tuple[type[DeviceMemory], ...] = (PycudaMemory, CupyMemory, CudaPythonMemory)


def device_memory() -> DeviceMemory:
    """Memory from the first of these libraries that is installed and finds a device.

    Raises:
        BackendError: none does; says what each of them answered.
    """
    answers = []
    for library in LIBRARIES:
        try:
            return library()
        except Exception as error:  # each library has its own, and some have several
            answers.append(f"{library.name}: {' '.join(str(error).split()) or repr(error)}")
    raise BackendError(
        f"no device memory: found {'; '.join(answers)}; expected PyCUDA, CuPy or cuda-python and a "
        "CUDA device; install one of them"
    )
