"""A device in host memory for tests, as late as a GPU may be.

Nothing that is put into a stream happens before somebody waits for it, so code that reads too
early, changes staging memory too early or frees memory too early fails here. Memory that was not
written holds 0xA5, freed memory cannot be reached, and every access must lie within one allocation.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from latentsr.backends.device import Device, Event, Graph, Memory, Stream, refusal
from latentsr.errors import BackendError

Work = Callable[[], None]


class HostEvent(Event):
    """A stream and how much of its work the event stands for."""

    def __init__(self) -> None:
        self.stream: HostStream | None = None
        self.position = 0

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.run_to(self.position)

    def milliseconds_until(self, end: Event) -> float:
        assert isinstance(end, HostEvent)
        return float(end.position - self.position)


class HostGraph(Graph):
    """Work to be put again."""

    def __init__(self, work: list[Work]) -> None:
        self._work = work
        self.launches = 0

    def launch(self, stream: Stream) -> None:
        assert isinstance(stream, HostStream)
        self.launches += 1
        for each in self._work:
            stream.put(each)


class HostStream(Stream):
    """A list of work that is done when someone waits."""

    def __init__(self, device: HostDevice) -> None:
        self.device = device
        self.handle = next(device.handles)
        device.streams[self.handle] = self
        self._work: list[Work | None] = []
        self._done = 0
        self._captured: list[Work] | None = None

    def put(self, work: Work) -> None:
        if self._captured is None:
            self._work.append(work)
        else:
            self._captured.append(work)

    def run_to(self, position: int) -> None:
        with self.device.working:
            while self._done < position:
                work, self._work[self._done] = self._work[self._done], None
                self._done += 1
                assert work is not None
                work()

    def synchronize(self) -> None:
        if self._captured is not None:
            raise BackendError("CUDA refuses to wait for a stream that is captured")
        self.run_to(len(self._work))

    def record(self, event: Event) -> None:
        assert isinstance(event, HostEvent)
        event.stream, event.position = self, len(self._work)

    def wait(self, event: Event) -> None:
        assert isinstance(event, HostEvent)
        other, position = event.stream, event.position
        if other is not None:
            self.put(lambda: other.run_to(position))

    def begin_capture(self) -> None:
        assert self._captured is None
        self._captured = []

    def end_capture(self) -> Graph:
        assert self._captured is not None
        work, self._captured = self._captured, None
        if self.device.refuse_capture:
            raise BackendError("CUDA refuses cuStreamEndCapture: found a refusal by the test")
        graph = HostGraph(work)
        self.device.graphs.append(graph)
        return graph

    def _upload(self, target: int, source: np.ndarray) -> None:
        # The source is read when the copy runs: whoever changes it before is found out.
        bytes_of = source.reshape(-1).view(np.uint8)
        self.put(lambda: _set(self.device.view(target, bytes_of.size), bytes_of))

    def _download(self, target: np.ndarray, source: int) -> None:
        bytes_of = target.reshape(-1).view(np.uint8)
        bytes_of[:] = HostDevice.UNWRITTEN
        self.put(lambda: _set(bytes_of, self.device.view(source, bytes_of.size)))

    def _copy(self, target: int, source: int, nbytes: int) -> None:
        view = self.device.view
        self.put(lambda: _set(view(target, nbytes), view(source, nbytes)))

    def _copy_rows(
        self, target: int, pitch: int, source: int, source_pitch: int, width: int, rows: int
    ) -> None:
        for row in range(rows):
            self._copy(target + row * pitch, source + row * source_pitch, width)


class HostDevice(Device):
    """See the module. `live` maps addresses to allocations; `capacity` is what they may come to."""

    UNWRITTEN = 0xA5
    name, capability, driver, library = "Host GPU", (9, 0), 13000, "host memory"
    supports_graphs = True

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, np.ndarray] = {}
        self.streams: dict[int, HostStream] = {}
        self.graphs: list[HostGraph] = []
        self.handles = itertools.count(1)
        self.refuse_capture = False
        self._threads = threading.local()
        self.capacity: int | None = None
        # One thread does work at a time: who finds work begun by another waits until it is done.
        self.working = threading.RLock()
        self._next = 1 << 20

    def view(self, address: int, nbytes: int) -> np.ndarray:
        """Bytes at an address; AssertionError where they are not within one allocation."""
        for begin, block in list(self.live.items()):
            if begin <= address and address + nbytes <= begin + block.size:
                return block[address - begin :][:nbytes]
        raise AssertionError(f"{nbytes} bytes at {address} are not in any live allocation")

    def activate(self) -> None:
        self._threads.active = True

    @property
    def is_active(self) -> bool:
        """Whether this thread's work goes to this device; else it would go to the first GPU."""
        return getattr(self._threads, "active", False)

    def pinned(self, nbytes: int) -> np.ndarray:
        return np.full(nbytes, self.UNWRITTEN, np.uint8)

    def new_stream(self) -> HostStream:
        return HostStream(self)

    def event(self) -> HostEvent:
        return HostEvent()

    def check_room(self, nbytes: int) -> None:
        """Refuse as the driver does what goes beyond the capacity."""
        used = sum(block.size for block in self.live.values())
        if self.capacity is not None and used + nbytes > self.capacity:
            raise refusal("cuMemAlloc", "CUDA_ERROR_OUT_OF_MEMORY")

    def _alloc(self, nbytes: int) -> int:
        self.check_room(nbytes)
        address = self._next
        self._next += nbytes + 4096
        self.live[address] = np.full(nbytes, self.UNWRITTEN, np.uint8)
        return address

    def _free(self, address: int) -> None:
        del self.live[address]


class AddressedDevice(HostDevice):
    """One whose addresses are those of host memory, for engines and kernels that work there."""

    ALIGNMENT = 256  # what the driver promises

    def adopt(self, address: int, nbytes: int, owner: object) -> Memory:
        room = (ctypes.c_uint8 * nbytes).from_address(address)
        self.live[address] = np.ctypeslib.as_array(room)
        return super().adopt(address, nbytes, owner)

    def _alloc(self, nbytes: int) -> int:
        self.check_room(nbytes)
        room = np.full(nbytes + self.ALIGNMENT, self.UNWRITTEN, np.uint8)
        begin = -room.ctypes.data % self.ALIGNMENT
        block = room[begin : begin + nbytes]
        self.live[block.ctypes.data] = block
        return int(block.ctypes.data)


def _set(target: np.ndarray, source: Any) -> None:
    target[:] = source
