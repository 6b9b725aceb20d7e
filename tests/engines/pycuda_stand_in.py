"""The part of pycuda's interface that our device calls, over a `HostDevice`.

Names and the order of parameters are those of pycuda 2026.1 (`src/wrapper/wrap_cudadrv.cpp`).
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import numpy as np

from engines.host_device import HostDevice, HostEvent, HostStream


def make() -> tuple[ModuleType, ModuleType]:
    """The modules `pycuda` and `pycuda.driver`."""
    host = HostDevice()
    driver: Any = ModuleType("pycuda.driver")
    stacks: dict[int, list[Any]] = {}  # of contexts; pycuda aborts where a thread leaves one

    class Event:
        def __init__(self, flags: int = 0) -> None:
            self.event = HostEvent()

        def record(self, stream: Stream | None = None) -> Event:
            assert stream is not None
            stream.stream.record(self.event)
            return self

        def synchronize(self) -> Event:
            self.event.synchronize()
            return self

        def time_till(self, end: Event) -> float:
            return self.event.milliseconds_until(end.event)

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            assert flags == 1
            self.stream = HostStream(host)
            self.handle = self.stream.handle

        def synchronize(self) -> None:
            self.stream.synchronize()

        def wait_for_event(self, event: Event) -> None:
            self.stream.wait(event.event)

    class DeviceAllocation:
        def __init__(self, nbytes: int) -> None:
            self.address = host._alloc(nbytes)

        def __int__(self) -> int:
            return self.address

        def free(self) -> None:
            assert stacks.get(threading.get_ident()), "cannot activate out-of-thread context"
            host._free(self.address)

    class Memcpy2D:
        src_pitch = dst_pitch = width_in_bytes = height = 0

        def set_src_device(self, devptr: int) -> None:
            self.source = devptr

        def set_dst_device(self, devptr: int) -> None:
            self.target = devptr

        def __call__(self, stream: Stream) -> None:
            stream.stream._copy_rows(
                self.target, self.dst_pitch, self.source, self.src_pitch, self.width_in_bytes,
                self.height,
            )  # fmt: skip

    class Context:
        def push(self) -> None:
            left = stacks.setdefault(threading.get_ident(), [])
            left.append(self)

        @staticmethod
        def pop() -> None:
            stacks[threading.get_ident()].pop()

    class Device:
        def __init__(self, number: int) -> None:
            assert number == 0

        def name(self) -> str:
            return "Host GPU"

        def compute_capability(self) -> tuple[int, int]:
            return (9, 0)

        def retain_primary_context(self) -> Context:
            return Context()

    def pagelocked_empty(shape: int, dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
        return np.empty(shape, dtype)

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        stream.stream._upload(dest, src)

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        stream.stream._download(dest, src)

    def memcpy_dtod_async(dest: int, src: int, size: int, stream: Stream) -> None:
        stream.stream._copy(dest, src, size)

    driver.init, driver.stacks = lambda flags=0: None, stacks
    driver.get_driver_version = lambda: 13000
    driver.mem_alloc = DeviceAllocation
    for each in (Event, Stream, Memcpy2D, Device, pagelocked_empty, memcpy_htod_async,
                 memcpy_dtoh_async, memcpy_dtod_async):  # fmt: skip
        setattr(driver, each.__name__, each)
    package: Any = ModuleType("pycuda")
    package.VERSION_TEXT, package.driver = "2026.1", driver
    return package, driver
