"""A GPU as the engines see it: memory, copies, streams, events and graphs, whatever library serves.

cuda-python (`cuda.bindings`) and pycuda can, and where neither is installed the driver's own
library by ctypes; `open_device` takes the first that works. A new one is one file with a class like
theirs and one line in `LIBRARIES`. The public methods here
check sizes and bounds; the hooks that begin with an underscore call the library.
Addresses are plain integers, sizes are bytes. All work runs in the device's primary context, which
torch, ONNX Runtime and TensorRT use as well.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any

import numpy as np

from latentsr.backends.base import tells_of_memory
from latentsr.errors import BackendError, EngineMemoryError

LIBRARIES = {
    "cuda-python": "latentsr.backends.device_cuda_python:CudaPythonDevice",
    "pycuda": "latentsr.backends.device_pycuda:PycudaDevice",
    "ctypes": "latentsr.backends.device_ctypes:CtypesDevice",
}


class Memory:
    """Bytes on the device, freed with the object or by `free`.

    owner: what holds them where another library allocated them; freeing them only lets go of it.
    """

    def __init__(self, device: Device, address: int, nbytes: int, owner: object = None) -> None:
        self.device, self.address, self.nbytes = device, address, nbytes
        self._owner = owner

    def free(self) -> None:
        """Give the memory back; all work on it must have ended."""
        address, self.address = self.address, 0
        owner, self._owner = self._owner, None
        if address and owner is None:
            self.device._free(address)

    def __del__(self) -> None:
        self.free()

    def check(self, offset: int, nbytes: int) -> int:
        """Address of a range; BackendError where it leaves the memory, or that was freed."""
        if not self.address or offset < 0 or nbytes < 0 or offset + nbytes > self.nbytes:
            expected = f"at most {self.nbytes}" if self.address else "none, as it was freed"
            raise BackendError(
                f"device copy leaves its buffer: found bytes {offset}..{offset + nbytes}, expected "
                f"{expected}; report this as a fault"
            )
        return self.address + offset


Rows = tuple[Memory, int, int]
"""Memory, the offset of the first row in it, and bytes from row to row."""


class Event(ABC):
    """A point in a stream's work."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait on the host until the work up to the last `Stream.record` has ended."""

    @abstractmethod
    def milliseconds_until(self, end: Event) -> float:
        """Time between two recorded events that have both passed."""


class Graph(ABC):
    """Captured work, with the addresses it had, for one launch in place of many."""

    @abstractmethod
    def launch(self, stream: Stream) -> None:
        """Put the work into a stream."""


class Stream(ABC):
    """A queue of device work; `handle` is its CUstream as an integer."""

    handle: int

    def upload(self, target: Memory, source: np.ndarray, offset: int = 0) -> None:
        """Copy a C-ordered array to the device; page-locked arrays must not change before."""
        check_contiguous(source)
        self._upload(target.check(offset, source.nbytes), source)

    def download(self, target: np.ndarray, source: Memory, offset: int = 0) -> None:
        """Copy to a C-ordered array, which is valid after `synchronize`."""
        check_contiguous(target)
        self._download(target, source.check(offset, target.nbytes))

    def copy(self, target: Memory, source: Memory, nbytes: int) -> None:
        """Copy within the device."""
        self._copy(target.check(0, nbytes), source.check(0, nbytes), nbytes)

    def copy_rows(self, target: Rows, source: Rows, width: int, rows: int) -> None:
        """Copy rows of `width` bytes within the device, such as parts of wider ones."""
        if not rows or not width:
            return
        addresses = []
        for memory, offset, pitch in (target, source):
            if pitch < width:
                raise BackendError(
                    f"device copy is wrong: found rows of {width} bytes, {pitch} apart"
                )
            addresses.append(memory.check(offset, pitch * (rows - 1) + width))
        self._copy_rows(addresses[0], target[2], addresses[1], source[2], width, rows)

    @abstractmethod
    def synchronize(self) -> None:
        """Wait on the host until all work has ended."""

    @abstractmethod
    def record(self, event: Event) -> None:
        """Let the event stand for the work so far."""

    @abstractmethod
    def wait(self, event: Event) -> None:
        """Let later work begin after the event; the host goes on."""

    @abstractmethod
    def begin_capture(self) -> None:
        """Collect the following work instead of running it."""

    @abstractmethod
    def end_capture(self) -> Graph:
        """What was collected; BackendError where some of it cannot be captured."""

    def abandon_capture(self) -> None:
        """End a capture whose work failed, so that the stream can be used again."""
        with contextlib.suppress(BackendError):
            self.end_capture()

    @abstractmethod
    def _upload(self, target: int, source: np.ndarray) -> None: ...

    @abstractmethod
    def _download(self, target: np.ndarray, source: int) -> None: ...

    @abstractmethod
    def _copy(self, target: int, source: int, nbytes: int) -> None: ...

    @abstractmethod
    def _copy_rows(
        self, target: int, pitch: int, source: int, source_pitch: int, width: int, rows: int
    ) -> None: ...


class Device(ABC):
    """One GPU.

    name: as the driver says; capability: SM version, (9, 0); driver: the newest CUDA version that
    the driver runs, 13000 for 13.0; library: what serves, with version; supports_graphs: whether
    streams can capture.
    """

    name: str
    capability: tuple[int, int]
    driver: int
    library: str
    supports_graphs: bool

    def __init__(self) -> None:
        self._local = threading.local()

    def alloc(self, nbytes: int) -> Memory:
        """New memory, not cleared; EngineMemoryError where there is none left."""
        if nbytes < 1:
            raise BackendError(f"device memory of no size: found {nbytes} bytes, expected >= 1")
        self.activate()
        return Memory(self, self._alloc(nbytes), nbytes)

    def adopt(self, address: int, nbytes: int, owner: object) -> Memory:
        """Memory that another library allocated in the same context; see `Memory`."""
        return Memory(self, address, nbytes, owner)

    def stream(self) -> Stream:
        """The calling thread's own stream; its context becomes this device's."""
        self.activate()
        found: Stream | None = getattr(self._local, "stream", None)
        if found is None:
            found = self._local.stream = self.new_stream()
        return found

    @abstractmethod
    def activate(self) -> None:
        """Make the primary context current on the calling thread."""

    @abstractmethod
    def pinned(self, nbytes: int) -> np.ndarray:
        """Page-locked host memory, uint8, freed with the array and its views."""

    @abstractmethod
    def new_stream(self) -> Stream:
        """A stream that does not wait for the default one."""

    @abstractmethod
    def event(self) -> Event:
        """A new event."""

    @abstractmethod
    def _alloc(self, nbytes: int) -> int: ...

    @abstractmethod
    def _free(self, address: int) -> None: ...


def check_contiguous(array: np.ndarray) -> None:
    """Raise BackendError for arrays with gaps or in another order."""
    if not array.flags.c_contiguous:
        raise BackendError(
            f"array has gaps: found strides {array.strides} and shape {array.shape}, expected C "
            "order; copy it first"
        )


def open_device(index: int = 0) -> Device:
    """The GPU of that number, by the first library that is installed.

    Raises BackendError where no library is installed, or none finds a driver and a GPU.
    """
    faults = []
    for name, place in LIBRARIES.items():
        module, attribute = place.split(":")
        try:
            device: Device = getattr(import_module(module), attribute)(index)
        except ImportError:
            faults.append(f"{name} is not installed")
        except BackendError as error:
            faults.append(f"{name} says {error}")
        else:
            return device
    raise BackendError(
        f"no CUDA device can be used: found that {'; '.join(faults)}; expected a GPU and its "
        "driver; look at what nvidia-smi says"
    )


def refusal(call: str, found: str) -> BackendError:
    """The error for a call that CUDA refused, to be raised; EngineMemoryError for memory."""
    kind = EngineMemoryError if tells_of_memory(found) else BackendError
    return kind(
        f"CUDA refuses {call}: found {found}, expected success; see the CUDA driver API for that "
        "name"
    )


def parse_index(device: str, backend: str) -> int:
    """GPU number of a device name: ``cuda`` is 0, ``cuda:1`` is 1; BackendError for others."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not (number.isascii() and number.isdigit())):
        raise BackendError(
            f"device is not available on backend {backend}: found {device!r}, expected 'cuda' or "
            "'cuda:N'; choose one of these"
        )
    return int(number or 0)


def memory_of(value: Any) -> int:
    """Address of an array in host memory."""
    return int(value.ctypes.data)
