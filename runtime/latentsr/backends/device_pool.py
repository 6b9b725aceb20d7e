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
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from latentsr.backends.device import Device, Event, Memory, Rows, Stream, open_device
from latentsr.backends.lending import Lease, Pool
from latentsr.backends.values import Resident, on_host
from latentsr.errors import BackendError

T = TypeVar("T")
MOST_IDLE = 1 << 30
"""Bytes of device memory that the pools keep while nobody uses them; the driver gets the rest."""
MOST_IDLE_PINNED = 1 << 28
"""Likewise of page-locked host memory, which other programs cannot be given."""
MOST_STREAMS = 16


class Block:
    """Device memory and the streams that have worked on it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._events: dict[Stream, Event] = {}
        self._marking = threading.Lock()

    def use(self, stream: Stream) -> None:
        """Let the stream's later work begin after everything done on the block so far."""
        for other, event in self._events.items():
            if other is not stream:
                stream.wait(event)

    def mark(self, stream: Stream) -> None:
        """Remember that the stream's work so far includes work on the block."""
        with self._marking:  # several threads may read one block
            event = self._events.get(stream)
            if event is None:
                if len(self._events) == MOST_STREAMS:  # threads come and go, and their streams too
                    self.settle()
                event = self.memory.device.event()
                self._events = {**self._events, stream: event}
            stream.record(event)

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


class Pools:
    """The pools of one device: device memory, and page-locked host memory."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.blocks: Pool[Block] = Pool(lambda n: Block(device.alloc(n)), Block.free, MOST_IDLE)
        self.host: Pool[np.ndarray] = Pool(device.pinned, lambda _: None, MOST_IDLE_PINNED)

    def clear(self) -> bool:
        """Give back all memory that nobody uses; whether there was any."""
        found = self.blocks.clear(), self.host.clear()
        return any(found)

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
        if _is_lent(array):  # it goes to the next one as soon as nobody refers to it
            made.block.wait()
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


def _is_lent(array: np.ndarray) -> bool:
    """Whether an array lies in memory of `Pools.pinned`."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, _Pinned)


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
        made = self.pools.array((images, channels, height, width), self.dtype)
        _copy_planes(made, (0, 0), self, (top, left), (height, width))
        return made

    def empty(self, height: int, width: int) -> DeviceArray:
        """Planes of another size, not written."""
        return self.pools.array((*self.shape[:2], height, width), self.dtype)

    def put(self, piece: Any, top: int, left: int) -> None:
        """Copy planes in, on the device."""
        sides = zip((top, left), piece.shape[2:], self.shape[2:], strict=True)
        if (
            piece.dtype != self.dtype
            or piece.shape[:2] != self.shape[:2]
            or any(start < 0 or start + side > whole for start, side, whole in sides)
        ):
            raise BackendError(
                f"planes do not fit: found {piece.dtype} {piece.shape} at ({top}, {left}), "
                f"expected {self.dtype} within {self.shape}; report this as a fault"
            )
        _copy_planes(self, (top, left), self.pools.resident(piece), (0, 0), piece.shape[2:])

    def limited(self) -> DeviceArray | None:
        """Made by the CUDA kernels, where this build has them."""
        from latentsr.backends import device_samples

        return device_samples.limited(self)

    def converted(self, dtype: Any) -> DeviceArray | None:
        """Made by the CUDA kernels, where this build has them."""
        from latentsr.backends import device_samples

        return device_samples.converted(self, dtype)

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


def _copy_planes(
    target: DeviceArray,
    to: tuple[int, int],
    source: DeviceArray,
    begin: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Copy a rectangle of every plane; `to` and `begin`: its first row and column in each."""
    stream, each = target.pools.device.stream(), target.dtype.itemsize
    height, width = size

    def rows_of(array: DeviceArray, plane: int, place: tuple[int, int]) -> Rows:
        rows, columns = array.shape[2:]
        start = (plane * rows + place[0]) * columns + place[1]
        return array.block.memory, start * each, columns * each

    with working(stream, source.block, target.block):
        for plane in range(target.shape[0] * target.shape[1]):
            stream.copy_rows(
                rows_of(target, plane, to), rows_of(source, plane, begin), width * each, height
            )
