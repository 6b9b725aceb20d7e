"""Device memory that runs out or lies idle: pools give back, engines try again, errors say so."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from engines.host_device import AddressedDevice, HostDevice
from engines.tensorrt_graph import engine_of, expected, latent
from latentsr.backends.device import refusal
from latentsr.backends.device_pool import DeviceArray, Pools
from latentsr.backends.lending import KEPT, MOST_SIZES, Pool
from latentsr.backends.ort_gpu import BoundEngine, CapturingEngine
from latentsr.backends.ort_session import CPU
from latentsr.bundle import Bundle
from latentsr.errors import BackendError, EngineMemoryError


def live_bytes(device: HostDevice) -> int:
    return sum(block.size for block in device.live.values())


def fill(pools: Pools, sizes: range) -> None:
    """Leave an idle block of each size."""
    for nbytes in sizes:
        pools.array((nbytes,), np.uint8)


def test_idle_memory_goes_where_there_is_none_left() -> None:
    device = HostDevice()
    pools = Pools(device)
    held = pools.array((100,), np.uint8)
    fill(pools, range(101, 110))
    device.capacity = live_bytes(device)
    found = pools.array((500,), np.uint8)
    assert sorted(block.size for block in device.live.values()) == [100, 500]
    with pytest.raises(EngineMemoryError, match="cuMemAlloc: found CUDA_ERROR_OUT_OF_MEMORY"):
        pools.array((device.capacity,), np.uint8)
    del found, held
    gc.collect()
    assert pools.clear() and not device.live and not pools.clear()


def test_idle_memory_is_bounded_and_the_last_sizes_stay() -> None:
    device = HostDevice()
    pool: Pool[Any] = Pool(device.alloc, lambda memory: memory.free(), 1000)
    for nbytes in range(100, 200):
        pool.take(nbytes)
        assert live_bytes(device) <= 1000
    kept = [size for size, shelf in pool.free.items() if shelf]
    assert kept == [195, 196, 197, 198, 199]
    pool.take(195)
    pool.take(200)
    kept = [size for size, shelf in pool.free.items() if shelf]
    assert kept == [197, 198, 199, 195, 200], "the size asked for last goes last"
    pool.take(5000)
    assert live_bytes(device) == 5000
    pool.take(1)
    assert live_bytes(device) == 1


def test_sizes_in_use_come_back_to_their_shelf() -> None:
    device = HostDevice()
    pool: Pool[Any] = Pool(device.alloc, lambda memory: memory.free(), 1 << 20)
    leases = [pool.take(64) for _ in range(KEPT + 2)]
    del leases
    assert len(pool.free[64]) == KEPT
    lease = pool.take(64)
    assert pool.clear() and len(device.live) == 1
    held = lease.held
    del lease
    assert pool.take(64).held is held


def test_few_sizes_are_kept() -> None:
    device = HostDevice()
    pool: Pool[Any] = Pool(device.alloc, lambda memory: memory.free(), 1 << 30)
    for nbytes in range(1, 3 * MOST_SIZES):
        pool.take(nbytes)
    assert len(pool.free) <= MOST_SIZES + 1
    assert len(device.live) <= MOST_SIZES + 1


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ("CUDA_ERROR_OUT_OF_MEMORY", EngineMemoryError),
        ("MemoryError cuMemAlloc failed: out of memory", EngineMemoryError),
        ("CUDA_ERROR_ILLEGAL_ADDRESS", BackendError),
    ],
)
def test_refusals_for_memory_are_told_apart(found: str, kind: type[BackendError]) -> None:
    assert type(refusal("cuMemAlloc", found)) is kind


def session(graph: str) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(Bundle("demo").graph(graph), settings, providers=[CPU])


class Tight:
    """A session that finds no memory while the device holds more than so much."""

    def __init__(self, device: HostDevice, most: int) -> None:
        self._session, self._device, self._most = session("synthesis"), device, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        if live_bytes(self._device) > self._most:
            raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for 8 B")
        self._session.run_with_iobinding(binding, options)


@pytest.mark.parametrize("kind", [BoundEngine, CapturingEngine])
def test_ort_runs_again_when_the_pools_gave_back(kind: Any, graph: bytes) -> None:
    device = AddressedDevice()
    pools, value = Pools(device), latent()
    engine = kind(Tight(device, 1 << 20), "synthesis", "cpu", 0, pools)
    held = pools.array((1 << 19,), np.uint8)
    fill(pools, range(1 << 19, (1 << 19) + 3))
    made = engine.run({"y_hat": value})["x_hat"]
    np.testing.assert_array_equal(np.asarray(made), expected(graph, value))
    del made, held
    held = pools.array(((1 << 20) + 1,), np.uint8)
    with pytest.raises(EngineMemoryError, match="engine synthesis ran out of memory"):
        engine.run({"y_hat": value})
    del held


def test_tensorrt_takes_the_place_of_what_lies_idle(
    trt: Any, device: HostDevice, graph: bytes
) -> None:
    engine: Any = engine_of(graph)
    engine.run({"y_hat": latent()})
    pools = engine._pools
    fill(pools, range(5000, 5010))
    device.capacity = live_bytes(device)
    wide = latent(1, (1, 96, 5, 6))
    made = engine.run({"y_hat": wide})["x_hat"]
    assert isinstance(made, DeviceArray)
    np.testing.assert_array_equal(np.asarray(made), expected(graph, wide))
    device.capacity = live_bytes(device)
    with pytest.raises(EngineMemoryError, match="OUT_OF_MEMORY"):
        engine.run({"y_hat": latent(2, (1, 96, 7, 7))})
    np.testing.assert_array_equal(np.asarray(made), expected(graph, wide))
