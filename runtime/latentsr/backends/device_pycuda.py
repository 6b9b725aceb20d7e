"""The GPU by pycuda; it captures no graphs, so engines launch their kernels one by one."""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import Any

import numpy as np

from latentsr.backends.device import Device, Event, Graph, Stream, refusal
from latentsr.errors import BackendError

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING


def guarded(function: Any, *given: Any) -> Any:
    """Result of a pycuda call; its errors become BackendError."""
    try:
        return function(*given)
    except Exception as error:  # pycuda has an error class a status
        raise refusal("a call", f"{type(error).__name__} {error}") from None


class PycudaEvent(Event):
    """A pycuda event."""

    def __init__(self, cuda: Any) -> None:
        self.raw = guarded(cuda.Event)

    def synchronize(self) -> None:
        """Wait on the host."""
        guarded(self.raw.synchronize)

    def milliseconds_until(self, end: Event) -> float:
        """Time between two recorded events."""
        assert isinstance(end, PycudaEvent)
        return float(guarded(self.raw.time_till, end.raw))


class PycudaStream(Stream):
    """A pycuda stream."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self.raw = guarded(cuda.Stream, NON_BLOCKING)
        self.handle = int(self.raw.handle)

    def synchronize(self) -> None:
        """Wait on the host."""
        guarded(self.raw.synchronize)

    def record(self, event: Event) -> None:
        """Record the event."""
        assert isinstance(event, PycudaEvent)
        guarded(event.raw.record, self.raw)

    def wait(self, event: Event) -> None:
        """Wait for the event on the device."""
        assert isinstance(event, PycudaEvent)
        guarded(self.raw.wait_for_event, event.raw)

    def begin_capture(self) -> None:
        """Refuse: see `PycudaDevice.supports_graphs`."""
        raise _no_graphs()

    def end_capture(self) -> Graph:
        """Refuse: see `PycudaDevice.supports_graphs`."""
        raise _no_graphs()

    def _upload(self, target: int, source: np.ndarray) -> None:
        guarded(self._cuda.memcpy_htod_async, target, source, self.raw)

    def _download(self, target: np.ndarray, source: int) -> None:
        guarded(self._cuda.memcpy_dtoh_async, target, source, self.raw)

    def _copy(self, target: int, source: int, nbytes: int) -> None:
        guarded(self._cuda.memcpy_dtod_async, target, source, nbytes, self.raw)

    def _copy_rows(
        self, target: int, pitch: int, source: int, source_pitch: int, width: int, rows: int
    ) -> None:
        what = self._cuda.Memcpy2D()
        what.set_src_device(source)
        what.set_dst_device(target)
        what.src_pitch, what.dst_pitch = source_pitch, pitch
        what.width_in_bytes, what.height = width, rows
        guarded(what, self.raw)


class Pushed:
    """A context on a thread's stack, for the thread's local storage.

    Pycuda aborts the process where a thread ends with a context on its stack. Local storage goes
    with its thread and on it; that of the main thread goes too late, hence `atexit`.
    """

    def __init__(self, context: Any) -> None:
        guarded(context.push)
        self._context: Any = context
        self._thread = threading.get_ident()
        if threading.current_thread() is threading.main_thread():
            atexit.register(self.pop)

    def pop(self) -> None:
        """Take the context off the stack, once."""
        context, self._context = self._context, None
        if context is not None and self._thread == threading.get_ident():
            guarded(context.pop)

    def __del__(self) -> None:
        with contextlib.suppress(BackendError):
            self.pop()


class PycudaDevice(Device):
    """A pycuda device and its primary context."""

    supports_graphs = False

    def __init__(self, index: int) -> None:
        super().__init__()
        import pycuda
        import pycuda.driver as cuda

        self._cuda = cuda
        guarded(cuda.init)
        device = guarded(cuda.Device, index)
        self.name = str(device.name())
        major, minor = device.compute_capability()
        self.capability = (int(major), int(minor))
        self.driver = int(cuda.get_driver_version())
        self.library = f"pycuda {pycuda.VERSION_TEXT}"
        self._context = guarded(device.retain_primary_context)
        # pycuda's allocations free themselves when nobody holds them.
        self._held: dict[int, Any] = {}

    def activate(self) -> None:
        """Push the primary context once a thread; there it stays until the thread ends."""
        if not hasattr(self._local, "pushed"):
            self._local.pushed = Pushed(self._context)

    def pinned(self, nbytes: int) -> np.ndarray:
        """Page-locked host memory."""
        self.activate()
        found: np.ndarray = guarded(self._cuda.pagelocked_empty, nbytes, np.uint8)
        return found

    def new_stream(self) -> Stream:
        """A stream."""
        self.activate()
        return PycudaStream(self._cuda)

    def event(self) -> Event:
        """An event."""
        self.activate()
        return PycudaEvent(self._cuda)

    def _alloc(self, nbytes: int) -> int:
        raw = guarded(self._cuda.mem_alloc, nbytes)
        self._held[int(raw)] = raw
        return int(raw)

    def _free(self, address: int) -> None:
        self.activate()  # pycuda frees nothing on threads without the context
        self._held.pop(address).free()


def _no_graphs() -> BackendError:
    return BackendError(
        "pycuda captures no graphs: found a capture, expected none; run: pip install cuda-python"
    )
