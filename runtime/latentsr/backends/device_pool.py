"""Device memory that goes round: blocks that know their streams, pools of blocks, device arrays.

Work on the device is asynchronous, so memory that the host is done with may still be read. A
`Block` remembers the streams that worked on it, and whoever uses it next waits for them, on the
device, before its own work. That is all the order there is: who touches a block says `use` before
and `mark` after, or does both by `working`. `pools_of` has the pools that all engines of a GPU and
the CUDA kernels share, so that values pass between them where they lie.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from latentsr.backends.device import Device, Event, Memory, Stream, open_device
from latentsr.backends.values import Resident, on_host
from latentsr.errors import BackendError

T = TypeVar("T")
KEPT = 4
"""Free blocks of one size that a pool keeps; what is beyond is given back to the driver."""

MOST_STREAMS = 16


class Block:
    """Device memory and the streams that have worked on it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._events: dict[Stream, Event] = {}

    def use(self, stream: Stream) -> None:
        """Let the stream's later work begin after everything done on the block so far."""
        for other, event in self._events.items():
            if other is not stream:
                stream.wait(event)

    def mark(self, stream: Stream) -> None:
        """Remember that the stream's work so far includes work on the block."""
        if stream not in self._events:
            if len(self._events) == MOST_STREAMS:  # threads come and go, and their streams too
                self.settle()
            self._events = {**self._events, stream: self.memory.device.event()}
        stream.record(self._events[stream])

    def free(self) -> None:
        """Wait for all work on the block and give its memory back."""
        self.settle()
        self.memory.free()

    def wait(self) -> None:
        """Wait on the host for all work on the block so far."""
        for event in self._events.values():
            event.synchronize()

    def settle(self) -> None:
        """Wait as `wait` does, and forget the streams."""
        self.wait()
        self._events = {}

    def __del__(self) -> None:
        # At the interpreter's end the driver may be gone, and the memory with it.
        with contextlib.suppress(BackendError, AttributeError, TypeError):
            self.free()


@contextlib.contextmanager
def working(stream: Stream, *blocks: Block) -> Iterator[None]:
    """Around work that a stream is given on these blocks."""
    for block in blocks:
        block.use(stream)
    try:
        yield
    finally:
        for block in blocks:
            block.mark(stream)


_lent: dict[int, object] = {}
"""What leases hold. A lease may end in a cycle, with the error of a run that failed; what it holds
must not be finalised with it, as it goes back."""


@dataclass
class Lease(Generic[T]):
    """Holds something until nobody refers to the lease; then it goes back where it came from."""

    held: T
    back: Callable[[T], object]

    def __post_init__(self) -> None:
        _lent[id(self.held)] = self.held

    def __del__(self) -> None:
        del _lent[id(self.held)]
        self.back(self.held)


@dataclass
class Pool(Generic[T]):
    """Things of a size, made once and lent again; safe from several threads.

    Only single operations on deques are used, which need no lock: a lease may end at any moment,
    also while this very thread takes one.
    """

    make: Callable[[int], T]
    drop: Callable[[T], object]
    free: dict[int, deque[T]] = field(default_factory=dict)

    def take(self, nbytes: int) -> Lease[T]:
        """Lend one of that size."""
        shelf = self.free.setdefault(nbytes, deque())
        try:
            found = shelf.pop()
        except IndexError:
            found = self.make(nbytes)
        return Lease(found, lambda thing: self._return(shelf, thing))

    def _return(self, shelf: deque[T], thing: T) -> None:
        if len(shelf) < KEPT:
            shelf.append(thing)
        else:
            self.drop(thing)


class Pools:
    """The pools of one device: device memory, and page-locked host memory."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.blocks: Pool[Block] = Pool(lambda n: Block(device.alloc(n)), Block.free)
        self.host: Pool[np.ndarray] = Pool(device.pinned, lambda _: None)

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Page-locked host memory for an array, lent until nobody refers to it."""
        found = np.asarray(_Pinned(self.host.take(_room(shape, dtype)), shape, dtype))
        return found.view(dtype)  # the interface knows records only as bytes

    def array(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        """An array in a block of its own, to be written."""
        lease = self.blocks.take(_room(shape, dtype))
        return DeviceArray(self, lease.held, shape, dtype, lease)

    def resident(self, value: Any) -> DeviceArray:
        """The value, where it lies in these pools; else a copy that is on its way.

        An array of the host must not change before the copy's block has been waited for.
        """
        if isinstance(value, DeviceArray) and value.pools is self:
            return value
        array = np.ascontiguousarray(on_host(value))
        made, stream = self.array(array.shape, array.dtype), self.device.stream()
        made.source = array
        with working(stream, made.block):
            stream.upload(made.block.memory, array)
        return made


_opening = threading.Lock()


def pools_of(index: int) -> Pools:
    """The pools of a GPU, the same for all engines; BackendError where it cannot be used."""
    with _opening:  # two threads must not end up with pools of their own
        return _pools_of(index)


@functools.cache
def _pools_of(index: int) -> Pools:
    return Pools(open_device(index))


def _room(shape: tuple[int, ...], dtype: Any) -> int:
    return max(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize, 1)


class _Pinned:
    """Lets NumPy see a leased piece of page-locked memory, and end the lease with its array."""

    def __init__(self, lease: Lease[np.ndarray], shape: tuple[int, ...], dtype: Any) -> None:
        self.lease = lease
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": np.dtype(dtype).str,
            "data": (int(lease.held.ctypes.data), False),
        }


class DeviceArray(Resident):
    """An array in a block.

    lease: what has to stay alive with the array: that of the block, or that of the engine's place
    it belongs to. source: what it is a copy of, which may be read from until the copy has ended.
    """

    def __init__(
        self, pools: Pools, block: Block, shape: tuple[int, ...], dtype: Any, lease: object
    ) -> None:
        self.pools, self.block, self.shape = pools, block, shape
        self.dtype = np.dtype(dtype)
        self._lease = lease
        self.source: np.ndarray | None = None

    @property
    def address(self) -> int:
        """Where its first element lies."""
        return self.block.memory.address

    def to_host(self) -> np.ndarray:
        """Bring the array down into page-locked memory."""
        stream = self.pools.device.stream()
        found = self.pools.pinned(self.shape, self.dtype)
        if self.nbytes:
            self.block.use(stream)
            stream.download(found, self.block.memory)
            stream.synchronize()
        return found

    def window(self, top: int, left: int, height: int, width: int) -> DeviceArray:
        """The rectangle of every plane, in a block of its own."""
        images, channels, rows, columns = self.shape
        if (top, left, height, width) == (0, 0, rows, columns):
            return self
        stream, each = self.pools.device.stream(), self.dtype.itemsize
        made = self.pools.array((images, channels, height, width), self.dtype)
        with working(stream, self.block, made.block):
            for plane in range(images * channels):
                start = ((plane * rows + top) * columns + left) * each
                stream.copy_rows(
                    (made.block.memory, plane * height * width * each),
                    (self.block.memory, start, columns * each),
                    width * each,
                    height,
                )
        return made

    def limited(self) -> DeviceArray | None:
        """Made by the CUDA kernels, where this build has them."""
        from latentsr.backends import device_picture

        return device_picture.limited(self)

    def picture(self) -> np.ndarray | None:
        """Made by the CUDA kernels, where this build has them."""
        from latentsr.backends import device_picture

        return device_picture.picture_of(self)

    def copy_into(self, target: Block, stream: Stream) -> None:
        """Copy to the beginning of a block on a stream, which has used that block."""
        with working(stream, self.block):
            stream.copy(target.memory, self.block.memory, self.nbytes)

    def copy(self) -> DeviceArray:
        """The array in a block of its own."""
        made, stream = self.pools.array(self.shape, self.dtype), self.pools.device.stream()
        with working(stream, made.block):
            self.copy_into(made.block, stream)
        return made
