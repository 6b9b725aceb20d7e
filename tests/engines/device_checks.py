"""What every `Device` has to do, whichever library serves it, on a GPU or an imitation.

python tests/engines/device_checks.py LIBRARY    all checks; LIBRARY of `LIBRARIES`, or any
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import numpy as np
import pytest

from latentsr.backends.device import LIBRARIES, Device, Stream, open_device
from latentsr.backends.device_pool import Block, DeviceArray, Pools
from latentsr.errors import BackendError


def bytes_there_and_back(device: Device) -> None:
    stream, memory = device.stream(), device.alloc(4000)
    given = np.random.default_rng(1).normal(size=(10, 50)).astype(np.float64)
    stream.upload(memory, given)
    found = device.pinned(4000).view(np.float64).reshape(10, 50)
    stream.download(found, memory)
    stream.synchronize()
    np.testing.assert_array_equal(found, given)
    part = np.empty(16, np.uint8)
    stream.download(part, memory, 8)
    stream.synchronize()
    np.testing.assert_array_equal(part, given.reshape(-1).view(np.uint8)[8:24])


def copies_within_the_device(device: Device) -> None:
    stream = device.stream()
    first, second = device.alloc(64), device.alloc(64)
    stream.upload(first, np.arange(64, dtype=np.uint8))
    stream.copy(second, first, 64)
    stream.copy_rows((second, 4, 3), (first, 17, 16), 3, 3)
    stream.copy_rows((second, 20, 20), (first, 62, 2), 2, 1)
    stream.copy_rows((second, 24, 16), (first, 0, 5), 4, 3)
    found = np.empty(64, np.uint8)
    stream.download(found, second)
    stream.synchronize()
    expected = np.arange(64, dtype=np.uint8)
    expected[4:13] = [17, 18, 19, 33, 34, 35, 49, 50, 51]
    expected[20:22] = [62, 63]
    for row in range(3):
        expected[24 + 16 * row :][:4] = range(5 * row, 5 * row + 4)
    np.testing.assert_array_equal(found, expected)


def nothing_leaves_its_memory(device: Device) -> None:
    stream, memory, other = device.stream(), device.alloc(64), device.alloc(128)
    wrong = [
        lambda: stream.upload(memory, np.zeros(65, np.uint8)),
        lambda: stream.upload(memory, np.zeros(8, np.uint8), 57),
        lambda: stream.upload(memory, np.zeros(8, np.uint8), -1),
        lambda: stream.download(np.zeros(65, np.uint8), memory),
        lambda: stream.copy(memory, other, 65),
        lambda: stream.copy(other, memory, 65),
        lambda: stream.copy_rows((memory, 0, 20), (other, 0, 60), 20, 4),
        lambda: stream.copy_rows((memory, 0, 10), (other, 80, 20), 10, 4),
        lambda: stream.copy_rows((memory, 0, 10), (other, 0, 5), 10, 2),
        lambda: stream.copy_rows((memory, 0, 5), (other, 0, 10), 10, 2),
        lambda: stream.copy_rows((memory, 8, 20), (other, 0, 10), 10, 4),
    ]
    for each in wrong:
        with pytest.raises(BackendError, match="device copy"):
            each()
    memory.free()
    with pytest.raises(BackendError, match="freed"):
        stream.upload(memory, np.zeros(1, np.uint8))
    memory.free()  # once more does nothing
    with pytest.raises(BackendError, match="C order"):
        stream.upload(other, np.zeros((8, 8), np.uint8)[:, :4])
    with pytest.raises(BackendError, match="no size"):
        device.alloc(0)


def threads_have_their_streams(device: Device) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(device.stream().handle))
    thread.start()
    thread.join()
    assert device.stream() is device.stream()
    assert found[0] != device.stream().handle or len(found) == 1


def events_order_and_time(device: Device) -> None:
    first, second = device.stream(), device.new_stream()
    begin, end = device.event(), device.event()
    memory = device.alloc(8)
    first.record(begin)
    first.upload(memory, np.full(8, 7, np.uint8))
    first.record(end)
    second.wait(end)
    found = np.empty(8, np.uint8)
    second.download(found, memory)
    second.synchronize()
    assert (found == 7).all()
    end.synchronize()
    assert begin.milliseconds_until(end) >= 0


def graphs_do_their_work_again(device: Device) -> None:
    stream = device.stream()
    if not device.supports_graphs:
        with pytest.raises(BackendError, match="captures no graphs"):
            stream.begin_capture()
        with pytest.raises(BackendError, match="captures no graphs"):
            stream.end_capture()
        return
    memory, staging = device.alloc(16), device.pinned(16)
    staging[:] = 1
    stream.begin_capture()
    stream.upload(memory, staging)
    graph = stream.end_capture()
    for value in (2, 3):
        staging[:] = value
        graph.launch(stream)
        found = np.empty(16, np.uint8)
        stream.download(found, memory)
        stream.synchronize()
        assert (found == value).all()
    stream.begin_capture()
    stream.abandon_capture()
    stream.synchronize()


def arrays_on_the_device(device: Device) -> None:
    pools, stream = Pools(device), device.stream()
    given = np.random.default_rng(2).normal(size=(2, 3, 9, 7)).astype(np.float32)
    lease = pools.blocks.take(given.nbytes)
    lease.held.use(stream)
    stream.upload(lease.held.memory, given)
    lease.held.mark(stream)
    array = DeviceArray(pools, lease.held, given.shape, given.dtype, lease)
    inner = array.window(2, 1, 5, 4)
    np.testing.assert_array_equal(np.asarray(inner), given[:, :, 2:7, 1:5])
    np.testing.assert_array_equal(np.asarray(array, np.float64), given.astype(np.float64))
    with pytest.raises(ValueError, match="no view"):
        array.__array__(copy=False)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(array.to_host).result()
    np.testing.assert_array_equal(found, given)


def copies_keep_what_they_read_from(device: Device) -> None:
    """Page-locked memory is read after the call, so a temporary array must not go before."""
    pools, given = Pools(device), np.arange(60, dtype=np.float32).reshape(5, 12).T
    array = pools.resident(given)
    assert array.source is not None and array.source.flags.c_contiguous
    np.testing.assert_array_equal(array.source, given)
    np.testing.assert_array_equal(array.to_host(), given)


def copies_of_lent_memory_are_made_at_once(device: Device) -> None:
    """It is lent to the next one as soon as the array has gone."""
    pools = Pools(device)
    given = pools.pinned((5, 4), np.float32)
    given[:] = 1
    array = pools.resident(given[1:])
    given[:] = 2
    np.testing.assert_array_equal(array.to_host(), np.ones((4, 4), np.float32))


def threads_mark_one_block(device: Device) -> None:
    """Several may read it at a time; who writes it next waits for all."""
    block = Block(device.alloc(8))

    def mark(number: int) -> Stream:
        stream = device.new_stream()
        block.use(stream)
        block.mark(stream)
        return stream

    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(mark, range(12)))
    assert set(block._events) == set(streams)


def blocks_come_back(device: Device) -> None:
    pools = Pools(device)
    lease = pools.blocks.take(64)
    block = lease.held
    del lease
    gc.collect()
    assert pools.blocks.take(64).held is block
    assert pools.blocks.take(32).held is not block


def blocks_come_back_whole_from_a_cycle(device: Device) -> None:
    pools = Pools(device)
    cycle: list[object] = [pools.array((64,), np.uint8)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    array, stream = pools.array((64,), np.uint8), device.stream()
    stream.upload(array.block.memory, np.arange(64, dtype=np.uint8))
    stream.synchronize()
    np.testing.assert_array_equal(array.to_host(), np.arange(64))


def blocks_outlive_many_streams(device: Device) -> None:
    block = Block(device.alloc(8))
    for value in range(40):
        stream = device.new_stream()
        block.use(stream)
        stream.upload(block.memory, np.full(8, value, np.uint8))
        stream.synchronize()
        block.mark(stream)
    found = np.empty(8, np.uint8)
    stream = device.stream()
    block.use(stream)
    stream.download(found, block.memory)
    stream.synchronize()
    assert (found == 39).all()


def memory_goes_on_threads_that_never_used_the_device(device: Device) -> None:
    pinned, memory, stream = [device.pinned(64)], [device.alloc(64)], device.stream()
    stream.upload(memory[0], pinned[0])
    stream.synchronize()
    for held in (pinned, memory):
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        assert not held


def device_tells_what_it_is(device: Device) -> None:
    assert device.name and device.library
    assert device.capability >= (3, 5)
    assert device.driver >= 10000


def memory_of_others_is_not_freed(device: Device) -> None:
    stream, memory = device.stream(), device.alloc(16)
    stream.upload(memory, np.full(16, 5, np.uint8))
    stream.synchronize()
    adopted = device.adopt(memory.address + 8, 8, memory)
    found = np.empty(8, np.uint8)
    stream.download(found, adopted)
    stream.synchronize()
    assert (found == 5).all()
    with pytest.raises(BackendError, match="device copy"):
        stream.download(np.empty(9, np.uint8), adopted)
    adopted.free()
    with pytest.raises(BackendError, match="freed"):
        stream.download(found, adopted)
    stream.download(found, memory, 8)  # still its owner's
    stream.synchronize()


CHECKS = (
    bytes_there_and_back, memory_of_others_is_not_freed, copies_within_the_device,
    nothing_leaves_its_memory,
    threads_have_their_streams, events_order_and_time, graphs_do_their_work_again,
    arrays_on_the_device, copies_keep_what_they_read_from,
    copies_of_lent_memory_are_made_at_once, threads_mark_one_block, blocks_come_back,
    blocks_come_back_whole_from_a_cycle,
    blocks_outlive_many_streams, memory_goes_on_threads_that_never_used_the_device,
    device_tells_what_it_is,
)  # fmt: skip


def main(library: str) -> None:
    """All checks on a device of its own each."""
    for check in CHECKS:
        if library == "any":
            device = open_device()
        else:
            module, name = LIBRARIES[library].split(":")
            device = getattr(import_module(module), name)(0)
        check(device)
        print("done", check.__name__, "on", device.name, "by", library, device.library)
    gc.collect()
    with contextlib.suppress(OSError, ValueError):  # the imitation counts, a driver does not
        driver = ctypes.CDLL("libcuda.so.1")
        print("page-locked arrays left:", ctypes.c_int.in_dll(driver, "imitation_pinned").value)


if __name__ == "__main__":
    main(sys.argv[1])
