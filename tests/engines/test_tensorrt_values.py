"""Values that the TensorRT backend leaves on the device: whose they are, by thread and memory."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import latentsr
from engines.host_device import HostDevice
from engines.tensorrt_graph import CUDA, engine_of, expected, latent
from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.backends.device_pool import DeviceArray
from latentsr.backends.tensorrt import IDLE_SLOTS
from latentsr.bundle import Bundle
from latentsr.errors import BundleError


def test_values_stay_on_the_device(trt: Any, device: HostDevice, graph: bytes) -> None:
    engine = engine_of(graph)
    made = engine.run({"y_hat": latent()})["x_hat"]
    assert isinstance(made, DeviceArray)
    assert (made.ndim, made.size, made.nbytes) == (4, made.size, 4 * made.size)
    inner = made.window(3, 5, 40, 50)
    assert isinstance(inner, DeviceArray)
    whole = expected(graph, latent())
    np.testing.assert_array_equal(np.asarray(inner), whole[:, :, 3:43, 5:55])
    np.testing.assert_array_equal(np.asarray(made), whole)
    np.testing.assert_array_equal(made[:, 1:, 2:5], whole[:, 1:, 2:5])
    assert made.window(0, 0, *made.shape[2:]) is made
    encoder = get_backend("tensorrt").load(Bundle("demo").graph("analysis"), "analysis", CUDA)
    host = get_backend("ort").load(Bundle("demo").graph("analysis"), "a", EngineOptions(threads=1))
    np.testing.assert_array_equal(
        np.asarray(encoder.run({"x": made})["y"]), host.run({"x": whole})["y"]
    )


def test_pictures_are_made_by_the_kernels_where_they_are(
    trt: Any, device: HostDevice, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentsr.cuda import module, steps
    from latentsr.pipeline import image_steps

    made: list[tuple[int, int]] = []

    def kernel(planes: steps.DevicePlanes, pictures: int, fault: int, stream: int) -> None:
        height, width = planes.height, planes.width
        assert planes.strides == (3 * height * width, height * width, width)
        made.append((height, width))

        def work() -> None:
            raw = device.view(planes.first, 3 * height * width * planes.sample_bytes)
            x = raw.view(np.float32).reshape(3, height, width)
            scaled = np.rint(np.clip(np.nan_to_num(x), 0, 1) * np.float32(255)).astype(np.uint8)
            device.view(pictures, 3 * height * width)[:] = scaled.transpose(1, 2, 0).reshape(-1)
            bad = 0 if not np.isfinite(x).all() else steps.NO_FAULT
            device.view(fault, 8).view(np.uint64)[:] = bad

        device.streams[stream].put(work)

    monkeypatch.setattr(module, "usable", lambda: True)
    monkeypatch.setattr(steps, "picture_from_planes", kernel)
    with (
        latentsr.load("demo", backend="ort", threads=1) as plain,
        latentsr.load("demo", backend="tensorrt") as codec,
    ):
        stream = plain.encode(picture)
        for route in ("lr", "latent_x4"):
            expected = plain.decode(stream, route)
            found = codec.decode(stream, route)
            np.testing.assert_array_equal(found, expected)
    assert made == [(101, 75), (404, 300)]
    value = np.full((1, 96, 4, 6), np.nan, np.float32)
    x = engine_of(Bundle("demo").graph("synthesis")).run({"y_hat": value})["x_hat"]
    with pytest.raises(BundleError, match="not finite"):
        image_steps.picture(x, None, {})  # type: ignore[arg-type]


def test_outputs_are_the_callers_own(trt: Any, graph: bytes) -> None:
    engine = engine_of(graph)
    held = [engine.run({"y_hat": latent(seed)})["x_hat"] for seed in range(7)]
    arrays = [np.asarray(value) for value in held]
    for seed, array in enumerate(arrays):
        np.testing.assert_array_equal(array, expected(graph, latent(seed)))
        array[:] = 0  # writable, and nobody else's
    np.testing.assert_array_equal(np.asarray(held[3]), expected(graph, latent(3)))


def test_memory_is_used_again(trt: Any, device: HostDevice, graph: bytes) -> None:
    engine = engine_of(graph)
    for seed in range(4):
        np.asarray(engine.run({"y_hat": latent(seed)})["x_hat"].window(1, 1, 8, 8))
    blocks = len(device.live)
    for seed in range(8):
        np.asarray(engine.run({"y_hat": latent(seed)})["x_hat"].window(1, 1, 8, 8))
    assert len(device.live) == blocks
    for side in range(2, 2 + 2 * IDLE_SLOTS):  # other shapes take the place of the oldest
        np.asarray(engine.run({"y_hat": latent(0, (1, latent().shape[1], side, 6))})["x_hat"])
    assert len(device.live) <= blocks + 2 * IDLE_SLOTS
    del engine
    gc.collect()
    assert len(device.live) <= 1  # the window's block waits in the pool


def test_threads_have_streams_of_their_own(trt: Any, device: HostDevice, graph: bytes) -> None:
    engine = engine_of(graph)
    engine.run({"y_hat": latent()})

    def work(seed: int) -> np.ndarray:
        return np.asarray(engine.run({"y_hat": latent(seed)})["x_hat"])

    with ThreadPoolExecutor(3) as pool:
        for seed, array in enumerate(pool.map(work, range(12))):
            np.testing.assert_array_equal(array, expected(graph, latent(seed)))


def test_a_value_made_by_one_thread_is_read_by_another(trt: Any, graph: bytes) -> None:
    made = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: np.asarray(made.window(0, 0, 9, 9))).result()
    np.testing.assert_array_equal(found, expected(graph, latent())[:, :, :9, :9])


@pytest.mark.parametrize("trt", ["11.4.0.106"], indirect=True)
def test_values_pass_between_threads_and_engines(trt: Any, graph: bytes) -> None:
    """Many threads read values that others made, while memory goes round."""
    analysis = Bundle("demo").graph("analysis")
    engine, encoder = engine_of(graph), get_backend("tensorrt").load(analysis, "analysis", CUDA)
    host = get_backend("ort").load(analysis, "analysis", EngineOptions(threads=1))
    given = [latent(k, (1, 96, 4, 4 + 4 * (k % 2))) for k in range(6)]
    pictures = [expected(graph, value) for value in given]
    codes = [host.run({"x": value})["y"] for value in pictures]
    shared: dict[int, Any] = {}

    def work(number: int) -> None:
        k = number % 6
        made = engine.run({"y_hat": given[k]})["x_hat"]
        taken = shared.get(k, made) if number % 3 else made
        shared[k] = made
        code, inner = encoder.run({"x": taken})["y"], made.window(1, 2, 30, 40)
        np.testing.assert_array_equal(np.asarray(code), codes[k])
        np.testing.assert_array_equal(np.asarray(inner), pictures[k][:, :, 1:31, 2:42])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(150)))
