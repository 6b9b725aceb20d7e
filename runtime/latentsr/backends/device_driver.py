"""The GPU by the CUDA driver API, for whatever offers its functions in the form of cuda-python.

That form: a function takes what the C function takes, without pointers to results, and returns the
status and the results. `device_cuda_python` brings NVIDIA's bindings, `device_ctypes` our own.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np

from latentsr.backends.device import Device, Event, Graph, Stream, memory_of, refusal

SUCCESS = 0


def call(function: Any, *given: Any) -> Any:
    """Result of a driver function, or BackendError with the driver's name of the fault."""
    status, *results = function(*given)
    if int(status) != SUCCESS:
        raise refusal(function.__name__, str(getattr(status, "name", status)))
    return results[0] if len(results) == 1 else tuple(results)


class DriverEvent(Event):
    """A CUevent."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.raw = call(driver.cuEventCreate, 0)
        weakref.finalize(self, driver.cuEventDestroy, self.raw).atexit = False

    def synchronize(self) -> None:
        """Wait on the host."""
        call(self._driver.cuEventSynchronize, self.raw)

    def milliseconds_until(self, end: Event) -> float:
        """Time between two recorded events."""
        assert isinstance(end, DriverEvent)
        return float(call(self._driver.cuEventElapsedTime, self.raw, end.raw))


class DriverGraph(Graph):
    """A CUgraphExec."""

    def __init__(self, driver: Any, graph: Any) -> None:
        self._driver = driver
        try:
            self._raw = call(driver.cuGraphInstantiate, graph, 0)
        finally:
            driver.cuGraphDestroy(graph)
        weakref.finalize(self, driver.cuGraphExecDestroy, self._raw).atexit = False

    def launch(self, stream: Stream) -> None:
        """Put the graph into a stream."""
        assert isinstance(stream, DriverStream)
        call(self._driver.cuGraphLaunch, self._raw, stream.raw)


class DriverStream(Stream):
    """A CUstream."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        flag = driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        self.raw = call(driver.cuStreamCreate, flag.value)
        self.handle = int(self.raw)
        weakref.finalize(self, driver.cuStreamDestroy, self.raw).atexit = False

    def synchronize(self) -> None:
        """Wait on the host."""
        call(self._driver.cuStreamSynchronize, self.raw)

    def record(self, event: Event) -> None:
        """Record the event."""
        assert isinstance(event, DriverEvent)
        call(self._driver.cuEventRecord, event.raw, self.raw)

    def wait(self, event: Event) -> None:
        """Wait for the event on the device."""
        assert isinstance(event, DriverEvent)
        call(self._driver.cuStreamWaitEvent, self.raw, event.raw, 0)

    def begin_capture(self) -> None:
        """Begin; other threads may go on allocating."""
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        call(self._driver.cuStreamBeginCapture, self.raw, mode)

    def end_capture(self) -> Graph:
        """End and instantiate."""
        return DriverGraph(self._driver, call(self._driver.cuStreamEndCapture, self.raw))

    def _upload(self, target: int, source: np.ndarray) -> None:
        driver = self._driver
        call(driver.cuMemcpyHtoDAsync, target, memory_of(source), source.nbytes, self.raw)

    def _download(self, target: np.ndarray, source: int) -> None:
        driver = self._driver
        call(driver.cuMemcpyDtoHAsync, memory_of(target), source, target.nbytes, self.raw)

    def _copy(self, target: int, source: int, nbytes: int) -> None:
        call(self._driver.cuMemcpyDtoDAsync, target, source, nbytes, self.raw)

    def _copy_rows(
        self, target: int, pitch: int, source: int, source_pitch: int, width: int, rows: int
    ) -> None:
        what = self._driver.CUDA_MEMCPY2D()
        kind = self._driver.CUmemorytype.CU_MEMORYTYPE_DEVICE
        what.srcMemoryType = what.dstMemoryType = kind
        what.srcDevice, what.srcPitch = self._driver.CUdeviceptr(source), source_pitch
        what.dstDevice, what.dstPitch = self._driver.CUdeviceptr(target), pitch
        what.WidthInBytes, what.Height = width, rows
        call(self._driver.cuMemcpy2DAsync, what, self.raw)


class DriverDevice(Device):
    """A CUdevice and its primary context, which stays retained to the end of the process."""

    supports_graphs = True

    def __init__(self, driver: Any, library: str, index: int) -> None:
        super().__init__()
        self._driver, self.library = driver, library
        call(driver.cuInit, 0)
        device = call(driver.cuDeviceGet, index)
        self.name = call(driver.cuDeviceGetName, 256, device).split(b"\0")[0].decode()
        kinds = driver.CUdevice_attribute
        self.capability = (
            int(call(driver.cuDeviceGetAttribute,
                     kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device)),
            int(call(driver.cuDeviceGetAttribute,
                     kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)),
        )  # fmt: skip
        self.driver = int(call(driver.cuDriverGetVersion))
        self._context = call(driver.cuDevicePrimaryCtxRetain, device)

    def activate(self) -> None:
        """Make the primary context current."""
        call(self._driver.cuCtxSetCurrent, self._context)

    def pinned(self, nbytes: int) -> np.ndarray:
        """Page-locked host memory."""
        self.activate()
        address = int(call(self._driver.cuMemHostAlloc, nbytes, 0))
        block = (ctypes.c_uint8 * nbytes).from_address(address)
        # The array keeps `block` as its base, so the memory lives as long as any view of it.
        weakref.finalize(block, self._free_host, address).atexit = False
        return np.ctypeslib.as_array(block)

    def new_stream(self) -> Stream:
        """A stream."""
        self.activate()
        return DriverStream(self._driver)

    def event(self) -> Event:
        """An event."""
        self.activate()
        return DriverEvent(self._driver)

    def _alloc(self, nbytes: int) -> int:
        return int(call(self._driver.cuMemAlloc, nbytes))

    def _free_host(self, address: int) -> None:
        # On any thread, as arrays go from thread to thread; without a context it would be kept.
        self._driver.cuCtxSetCurrent(self._context)
        self._driver.cuMemFreeHost(address)

    def _free(self, address: int) -> None:
        # Also called while the interpreter ends, when the context may be gone: nothing to check.
        self._driver.cuCtxSetCurrent(self._context)
        self._driver.cuMemFree(address)
