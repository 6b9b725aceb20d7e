"""The GPU by ctypes: the driver's own library, where no package for it is installed.

Every machine with an NVIDIA driver has libcuda, and its functions have not changed since CUDA 11.4
under the names that stand here. Signatures and numbers are those of cuda.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from types import SimpleNamespace
from typing import Any

from latentsr.backends.device_driver import DriverDevice
from latentsr.errors import BackendError

NAMES = ("libcuda.so.1", "nvcuda.dll")


class Out:
    """A parameter by which a function returns a value."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


class Copy2D(ctypes.Structure):
    """CUDA_MEMCPY2D_v2."""

    _fields_ = (
        ("srcXInBytes", c_size_t), ("srcY", c_size_t), ("srcMemoryType", c_uint),
        ("srcHost", c_void_p), ("srcDevice", c_uint64), ("srcArray", c_void_p),
        ("srcPitch", c_size_t), ("dstXInBytes", c_size_t), ("dstY", c_size_t),
        ("dstMemoryType", c_uint), ("dstHost", c_void_p), ("dstDevice", c_uint64),
        ("dstArray", c_void_p), ("dstPitch", c_size_t), ("WidthInBytes", c_size_t),
        ("Height", c_size_t),
    )  # fmt: skip


# Our name, the library's name, parameters.
FUNCTIONS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("cuInit", "cuInit", (c_uint,)),
    ("cuDriverGetVersion", "cuDriverGetVersion", (Out(c_int),)),
    ("cuDeviceGet", "cuDeviceGet", (Out(c_int), c_int)),
    ("cuDeviceGetAttribute", "cuDeviceGetAttribute", (Out(c_int), c_int, c_int)),
    ("cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRetain", (Out(c_void_p), c_int)),
    ("cuCtxSetCurrent", "cuCtxSetCurrent", (c_void_p,)),
    ("cuMemAlloc", "cuMemAlloc_v2", (Out(c_uint64), c_size_t)),
    ("cuMemFree", "cuMemFree_v2", (c_uint64,)),
    ("cuMemHostAlloc", "cuMemHostAlloc", (Out(c_void_p), c_size_t, c_uint)),
    ("cuMemFreeHost", "cuMemFreeHost", (c_void_p,)),
    ("cuMemcpyHtoDAsync", "cuMemcpyHtoDAsync_v2", (c_uint64, c_void_p, c_size_t, c_void_p)),
    ("cuMemcpyDtoHAsync", "cuMemcpyDtoHAsync_v2", (c_void_p, c_uint64, c_size_t, c_void_p)),
    ("cuMemcpyDtoDAsync", "cuMemcpyDtoDAsync_v2", (c_uint64, c_uint64, c_size_t, c_void_p)),
    ("cuMemcpy2DAsync", "cuMemcpy2DAsync_v2", (ctypes.POINTER(Copy2D), c_void_p)),
    ("cuStreamCreate", "cuStreamCreate", (Out(c_void_p), c_uint)),
    ("cuStreamDestroy", "cuStreamDestroy_v2", (c_void_p,)),
    ("cuStreamSynchronize", "cuStreamSynchronize", (c_void_p,)),
    ("cuStreamWaitEvent", "cuStreamWaitEvent", (c_void_p, c_void_p, c_uint)),
    ("cuStreamBeginCapture", "cuStreamBeginCapture_v2", (c_void_p, c_int)),
    ("cuStreamEndCapture", "cuStreamEndCapture", (c_void_p, Out(c_void_p))),
    ("cuGraphInstantiate", "cuGraphInstantiateWithFlags", (Out(c_void_p), c_void_p, c_uint64)),
    ("cuGraphLaunch", "cuGraphLaunch", (c_void_p, c_void_p)),
    ("cuGraphDestroy", "cuGraphDestroy", (c_void_p,)),
    ("cuGraphExecDestroy", "cuGraphExecDestroy", (c_void_p,)),
    ("cuEventCreate", "cuEventCreate", (Out(c_void_p), c_uint)),
    ("cuEventDestroy", "cuEventDestroy_v2", (c_void_p,)),
    ("cuEventRecord", "cuEventRecord", (c_void_p, c_void_p)),
    ("cuEventSynchronize", "cuEventSynchronize", (c_void_p,)),
    ("cuEventElapsedTime", "cuEventElapsedTime", (Out(c_float), c_void_p, c_void_p)),
)


class Status(int):
    """A CUresult with its name."""

    name: str


def load_driver() -> Any:
    """The driver's functions and numbers; BackendError where there is no driver."""
    library = None
    for name in NAMES:
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    if library is None:
        raise BackendError(f"CUDA has no driver here: found none of {', '.join(NAMES)}")
    driver: Any = SimpleNamespace(
        CUDA_MEMCPY2D=Copy2D,
        CUdeviceptr=int,
        CUstream_flags=SimpleNamespace(CU_STREAM_NON_BLOCKING=SimpleNamespace(value=1)),
        CUstreamCaptureMode=SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1),
        CUmemorytype=SimpleNamespace(CU_MEMORYTYPE_DEVICE=2),
        CUdevice_attribute=SimpleNamespace(
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76,
        ),
        cuDeviceGetName=_get_name(library),
    )
    for name, symbol, parameters in FUNCTIONS:
        try:
            setattr(driver, name, _function(library, name, symbol, parameters))
        except AttributeError:
            raise BackendError(f"CUDA's driver is too old: found no {symbol}") from None
    return driver


def _function(library: Any, name: str, symbol: str, parameters: tuple[Any, ...]) -> Any:
    function = getattr(library, symbol)
    function.restype = c_int
    function.argtypes = [
        ctypes.POINTER(p.kind) if isinstance(p, Out) else p for p in parameters
    ]  # fmt: skip

    def call(*given: Any) -> tuple[Any, ...]:
        values, results, passed = iter(given), [], []
        for parameter in parameters:
            if isinstance(parameter, Out):
                results.append(parameter.kind())
                passed.append(ctypes.byref(results[-1]))
            else:
                passed.append(next(values))
        status = Status(function(*passed))
        status.name = _error_name(library, status)
        return (status, *(result.value for result in results))

    call.__name__ = name
    return call


def _get_name(library: Any) -> Callable[[int, int], tuple[Status, bytes]]:
    def get_name(length: int, device: int) -> tuple[Status, bytes]:
        room = ctypes.create_string_buffer(length)
        return Status(library.cuDeviceGetName(room, c_int(length), c_int(device))), room.raw

    return get_name


def _error_name(library: Any, status: int) -> str:
    if status == 0:
        return "CUDA_SUCCESS"
    text = c_char_p()
    library.cuGetErrorName(c_int(status), ctypes.byref(text))
    return text.value.decode() if text.value else f"error {status}"


class CtypesDevice(DriverDevice):
    """Raises BackendError without a driver."""

    def __init__(self, index: int) -> None:
        super().__init__(load_driver(), "libcuda by ctypes", index)
