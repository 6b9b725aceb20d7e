"""The TensorRT backend's logic: build, cache, load, run; every TensorRT call goes to a stand-in."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from engines.host_device import HostDevice
from latentsr.backends import get_backend, tensorrt_api
from latentsr.backends.base import Engine, EngineOptions
from latentsr.backends.device_pool import DeviceArray
from latentsr.backends.profiles import bucket, exact
from latentsr.backends.tensorrt import IDLE_SLOTS
from latentsr.bundle import Bundle
from latentsr.errors import BackendError, BundleError

CUDA = EngineOptions(device="cuda")
SHAPE = (1, 32, 4, 6)


@pytest.fixture
def graph() -> bytes:
    return Bundle("demo").graph("synthesis")


def engine_of(graph: bytes, options: EngineOptions = CUDA) -> Engine:
    return get_backend("tensorrt").load(graph, "synthesis", options)


def latent(seed: int = 0, shape: tuple[int, ...] | None = None) -> np.ndarray:
    bundle = Bundle("demo")
    channels = next(c.channels for c in bundle.manifest.chunks if c.name == "y")
    shape = shape or (1, channels, 4, 6)
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def expected(graph: bytes, value: np.ndarray) -> np.ndarray:
    engine = get_backend("ort").load(graph, "synthesis", EngineOptions(threads=1))
    return engine.run({"y_hat": value})["x_hat"]


def test_codec_gives_the_bits_of_its_engine_library(
    trt: Any, device: HostDevice, picture: np.ndarray
) -> None:
    with (
        latentsr.load("demo", backend="ort", threads=1) as plain,
        latentsr.load("demo", backend="tensorrt", device="cuda") as codec,
    ):
        stream = codec.encode(picture)
        assert stream == plain.encode(picture)
        for name, route in codec.bundle.manifest.routes.items():
            if route.kind == "decode":
                for _ in range(3):  # as it is, captured, launched
                    np.testing.assert_array_equal(
                        codec.decode(stream, name), plain.decode(stream, name), name
                    )
        assert codec.runs_on("lr") == (
            f"TensorRT {trt.__version__} on Host GPU (host memory, CUDA graphs)"
        )
    assert device.graphs and any(each.launches >= 2 for each in device.graphs)


def test_plan_is_built_once_and_then_loaded(
    trt: Any, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "latentsr")
    first = np.asarray(engine_of(graph).run({"y_hat": latent()})["x_hat"])
    assert len(trt.built) == 1
    assert [r.message for r in caplog.records] == [
        "building the TensorRT plan of graph synthesis for "
        f"{bucket({'y_hat': latent().shape})}: no plan for Host GPU and TensorRT "
        f"{trt.__version__} yet"
    ]
    again = np.asarray(engine_of(graph).run({"y_hat": latent()})["x_hat"])
    assert len(trt.built) == 1
    np.testing.assert_array_equal(first, again)


def test_build_speaks_each_version(trt: Any, graph: bytes) -> None:
    engine_of(graph, replace(CUDA, precision="fp16")).run({"y_hat": latent()})
    network, config = trt.built[0]
    flags = trt.NetworkDefinitionCreationFlag
    if trt.__version__.startswith("8"):
        assert network.creation_flags == 1 << flags.EXPLICIT_BATCH
        assert {trt.BuilderFlag.FP16, trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS} <= (
            config.flags_set
        )
        assert trt.PreviewFeature.PROFILE_SHARING_0806 in config.preview
        assert network.get_layer(0).precision == trt.DataType.FLOAT
    else:
        assert network.creation_flags == 1 << flags.STRONGLY_TYPED
        assert config.flags_set == set()
    assert config.profiling_verbosity == trt.ProfilingVerbosity.DETAILED
    assert trt.BuilderFlag.TF32 not in config.flags_set


def test_tf32_is_never_for_graphs_that_decide_scales(trt: Any, picture: np.ndarray) -> None:
    from latentsr.codec import Codec

    codec = Codec(Bundle("demo"), "tensorrt", EngineOptions(device="cuda", tf32=True))
    codec.decode(codec.encode(picture))
    deciding = {codec.bundle.graph(name) for name in codec.bundle.manifest.exact.values()}
    assert {trt.BuilderFlag.TF32 in config.flags_set for network, config in trt.built
            if network.model in deciding} == {False}  # fmt: skip
    assert {trt.BuilderFlag.TF32 in config.flags_set for network, config in trt.built
            if network.model not in deciding} == {True}  # fmt: skip


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


def test_a_capture_that_fails_leaves_plain_launches(
    trt: Any, device: HostDevice, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    device.refuse_capture = True
    engine = engine_of(graph)
    for seed in range(4):
        np.testing.assert_array_equal(
            np.asarray(engine.run({"y_hat": latent(seed)})["x_hat"]), expected(graph, latent(seed))
        )
    assert sum("without a CUDA graph" in r.message for r in caplog.records) == 1
    assert not device.graphs


def test_without_graphs_nothing_is_captured(trt: Any, device: HostDevice, graph: bytes) -> None:
    engine = engine_of(graph, replace(CUDA, graphs=False))
    for _ in range(3):
        engine.run({"y_hat": latent()})
    assert not device.graphs
    assert engine.runs_on.endswith("(host memory, kernel launches)")


def test_profile_names_layers(trt: Any, graph: bytes) -> None:
    engine = engine_of(graph, replace(CUDA, profile=True))
    engine.run({"y_hat": latent()})
    engine.begin_profile()
    for _ in range(2):
        engine.run({"y_hat": latent()})
    (node,) = engine.end_profile()
    assert (node.name, node.us, node.runs, node.ran_by) == ("conv", 250.0, 2, "TensorRT")
    with pytest.raises(BackendError, match="ended already"):
        engine.end_profile()


def sidecars(place: Path) -> list[Path]:
    return sorted(place.glob("tensorrt-*[0-9a-f].json"))


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [("name", "Other GPU", "gpu was Host GPU, is Other GPU"),
     ("driver", 12080, "cuda_driver was 13000, is 12080"),
     ("capability", (8, 0), "sm was 9.0, is 8.0")],
)  # fmt: skip
def test_plan_of_another_machine_is_built_again(
    trt: Any,
    device: HostDevice,
    graph: bytes,
    caplog: pytest.LogCaptureFixture,
    attribute: str,
    value: object,
    said: str,
) -> None:
    engine_of(graph).run({"y_hat": latent()})
    setattr(device, attribute, value)
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert len(trt.built) == 2
    assert any(said in r.message for r in caplog.records)
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.built) == 2


def test_plan_of_another_version_is_built_again(
    trt: Any, graph: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine_of(graph).run({"y_hat": latent()})
    newer = f"{trt.__version__.split('.')[0]}.99.1"
    monkeypatch.setattr(trt, "__version__", newer)
    tensorrt_api.library.cache_clear()
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.built) == 2
    assert any("tensorrt was" in r.message and f"is {newer}" in r.message for r in caplog.records)


def test_damaged_plan_is_built_again(
    trt: Any, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    engine_of(graph).run({"y_hat": latent()})
    place = Path(os.environ["LATENTSR_CACHE"])
    plan = sidecars(place)[0].with_suffix(".bin")
    plan.write_bytes(plan.read_bytes()[:-7])
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert len(trt.built) == 2
    assert any("is damaged" in r.message for r in caplog.records)


def test_plan_that_tensorrt_refuses_is_built_again(
    trt: Any, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    import hashlib

    engine_of(graph).run({"y_hat": latent()})
    side = sidecars(Path(os.environ["LATENTSR_CACHE"]))[0]
    facts, other = json.loads(side.read_text()), b"stand-in plan {}\n"
    facts |= {"bytes": len(other), "sha256": hashlib.sha256(other).hexdigest()}
    side.write_text(json.dumps(facts))
    side.with_suffix(".bin").write_bytes(other)
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert any("is refused" in r.message and "building it again" in r.message
               for r in caplog.records)  # fmt: skip


def test_exact_plans_come_before_buckets(trt: Any, graph: bytes) -> None:
    backend: Any = get_backend("tensorrt")
    device = backend.load(graph, "synthesis", CUDA)._maker.device
    maker = backend.maker(graph, "synthesis", CUDA, device)
    wide = bucket({"y_hat": latent().shape})
    maker.fetch(wide)
    maker.fetch(exact({"y_hat": latent().shape}))
    assert maker.plan_for({"y_hat": latent().shape}).profile.is_exact
    assert maker.plan_for({"y_hat": latent(0, (1, latent().shape[1], 5, 7)).shape}).profile == wide
    assert len(trt.built) == 2


def test_unreadable_graph_is_refused(trt: Any) -> None:
    with pytest.raises(
        BackendError, match=f"refused by TensorRT {trt.__version__}: found .*PROTOBUF"
    ):
        engine_of(b"\x00nonsense").run({"y_hat": latent()})


def test_wrong_inputs_are_refused(trt: Any, graph: bytes) -> None:
    engine = engine_of(graph)
    with pytest.raises(BackendError, match="other inputs"):
        engine.run({"x": latent()})
    with pytest.raises(BackendError, match="y_hat as float64"):
        engine.run({"y_hat": latent().astype(np.float64)})
    np.testing.assert_array_equal(
        np.asarray(engine.run({"y_hat": latent()})["x_hat"]), expected(graph, latent())
    )


def test_without_tensorrt_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt_api.library.cache_clear()
    for module, cause in ((None, "no tensorrt"), (type(sys)("tensorrt"), "its type stubs alone")):
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        with pytest.raises(
            BackendError, match=f"found {cause}, .*pip install 'latentsr.tensorrt.'"
        ):
            engine_of(b"")
    tensorrt_api.library.cache_clear()


def test_device_names(trt: Any, graph: bytes) -> None:
    with pytest.raises(BackendError, match="found 'cpu', expected 'cuda' or 'cuda:N'"):
        engine_of(graph, EngineOptions())
    with pytest.raises(BackendError, match="'cuda:x'"):
        engine_of(graph, EngineOptions(device="cuda:x"))


@pytest.mark.parametrize("version", ["8.5.3", "7.2"])
def test_old_versions_are_refused(version: str) -> None:
    with pytest.raises(BackendError, match=f"too old: found {version}, expected 8.6 to 11"):
        tensorrt_api.dialect(version)


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
