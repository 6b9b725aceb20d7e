"""The TensorRT backend's logic: build, cache, load, run; every TensorRT call goes to a stand-in."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import latentsr
from engines.host_device import HostDevice
from engines.tensorrt_graph import CUDA, engine_of, expected, latent
from engines.tensorrt_versions import RTX
from latentsr.backends import tensorrt_api
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.errors import BackendError


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
        assert codec.runs_on("lr") == (f"{trt.title} on Host GPU (host memory, CUDA graphs)")
    if trt.__version__ == RTX:
        assert not device.graphs
        strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        assert {config.cuda_graph_strategy for config in trt.configs} == {strategy}
    else:
        assert device.graphs and any(each.launches >= 2 for each in device.graphs)


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


def test_a_capture_that_fails_leaves_plain_launches(
    trt: Any, device: HostDevice, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    if trt.__version__ == RTX:
        pytest.skip("it captures by itself")
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
    if trt.__version__ == RTX:
        assert {c.cuda_graph_strategy for c in trt.configs} == {trt.CudaGraphStrategy.DISABLED}
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


def test_unreadable_graph_is_refused(trt: Any) -> None:
    with pytest.raises(BackendError, match=f"refused by {trt.title}: found .*PROTOBUF"):
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
