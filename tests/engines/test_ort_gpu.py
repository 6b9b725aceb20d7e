"""ONNX Runtime bound to a device: the same steps in host memory here, and on a GPU."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import latentsr
from engines.host_device import AddressedDevice
from engines.require import gpu_or_skip, missing
from latentsr.backends import get_backend, ort_gpu, ort_session, split_device
from latentsr.backends.base import Backend, EngineOptions
from latentsr.backends.device_pool import DeviceArray, Pools
from latentsr.backends.ort_gpu import BoundEngine, CapturingEngine
from latentsr.backends.ort_session import CPU, CUDA, TENSORRT
from latentsr.backends.precision import graph_for, load_engine
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.cuda import module
from latentsr.errors import BackendError

GPU = EngineOptions(device="cuda")


def session(graph: str) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(Bundle("demo").graph(graph), settings, providers=[CPU])


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Pools:
    # Real kernels, on a machine that has them, could do nothing with this device's addresses.
    monkeypatch.setattr(module, "usable", lambda: False)
    return Pools(AddressedDevice())


def latent(seed: int, height: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (1, 96, height, 6)).astype(np.float32)


def plain(graph: str, name: str, value: np.ndarray) -> np.ndarray:
    found: np.ndarray = session(graph).run(None, {name: value})[0]
    return found


@pytest.mark.parametrize("kind", [BoundEngine, CapturingEngine])
def test_bound_engine_gives_the_sessions_bits(kind: Any, pools: Pools) -> None:
    engine = kind(session("synthesis"), "synthesis", "cpu", 0, pools)
    for seed, height in ((0, 4), (1, 4), (2, 5), (3, 4), (0, 7), (0, 8), (0, 9), (4, 4)):
        made = engine.run({"y_hat": latent(seed, height)})["x_hat"]
        expected = plain("synthesis", "y_hat", latent(seed, height))
        np.testing.assert_array_equal(np.asarray(made), expected)
    with pytest.raises(BackendError, match="engine synthesis failed"):
        engine.run({"y_hat": latent(0)[:, :5]})
    np.testing.assert_array_equal(
        np.asarray(engine.run({"y_hat": latent(0)})["x_hat"]),
        plain("synthesis", "y_hat", latent(0)),
    )


@pytest.mark.parametrize("kind", [BoundEngine, CapturingEngine])
def test_values_go_from_one_engine_to_the_next(kind: Any, pools: Pools) -> None:
    first = kind(session("synthesis"), "synthesis", "cpu", 0, pools)
    second = kind(session("analysis"), "analysis", "cpu", 0, pools)
    for seed in range(3):
        made = first.run({"y_hat": latent(seed)})["x_hat"]
        assert isinstance(made, DeviceArray) and made.shape == (1, 3, 64, 96)
        whole = plain("synthesis", "y_hat", latent(seed))
        np.testing.assert_array_equal(
            np.asarray(second.run({"x": made})["y"]), plain("analysis", "x", whole)
        )
        inner = made.window(1, 2, 30, 40)
        assert isinstance(inner, DeviceArray)
        first.run({"y_hat": latent(9)})  # memory that is still to be read is not written
        np.testing.assert_array_equal(np.asarray(inner), whole[:, :, 1:31, 2:42])
        assert made.window(0, 0, 64, 96) is made


def test_memory_of_a_value_is_kept_until_nobody_reads_it(pools: Pools) -> None:
    engine = BoundEngine(session("synthesis"), "synthesis", "cpu", 0, pools)
    inner = [engine.run({"y_hat": latent(s)})["x_hat"].window(1, 2, 30, 40) for s in range(4)]
    for seed, each in enumerate(inner):
        expected = plain("synthesis", "y_hat", latent(seed))[:, :, 1:31, 2:42]
        np.testing.assert_array_equal(np.asarray(each), expected)


def test_outputs_keep_the_session_that_their_memory_is_of(pools: Pools) -> None:
    engine = BoundEngine(session("synthesis"), "synthesis", "cpu", 0, pools)
    made, alive = engine.run({"y_hat": latent(0)})["x_hat"], weakref.ref(engine._session)
    del engine
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(np.asarray(made), plain("synthesis", "y_hat", latent(0)))
    del made
    gc.collect()
    assert alive() is None


def test_codec_on_bound_engines(
    picture: np.ndarray, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole codec whose engines are bound gives the bits of one whose engines are not."""
    from latentsr.backends.ort import OrtBackend

    def bound(self: OrtBackend, graph: bytes, label: str, options: EngineOptions) -> BoundEngine:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        made = ort.InferenceSession(graph, settings, providers=[CPU])
        return BoundEngine(made, label, "cpu", 0, pools)

    with latentsr.load("demo", backend="ort", threads=1) as codec:
        stream = codec.encode(picture)
        expected = {n: codec.decode(stream, n) for n, r in codec.bundle.manifest.routes.items()
                    if r.kind == "decode"}  # fmt: skip
    monkeypatch.setattr(OrtBackend, "load", bound)
    with latentsr.load("demo", backend="ort") as codec:
        assert codec.encode(picture) == stream
        for name, array in expected.items():
            found = codec.decode(stream, name)
            np.testing.assert_array_equal(found, array, name)


def test_fewer_places_than_shapes_are_kept(pools: Pools) -> None:
    engine = CapturingEngine(session("synthesis"), "synthesis", "cpu", 0, pools)
    for height in range(2, 12):
        engine.run({"y_hat": latent(0, height)})
    assert len(engine._places) == ort_gpu.IDLE_PLACES
    assert engine.runs_on == f"{CPU}, CUDA graphs"


def test_provider_options() -> None:
    ((name, plain_options),) = ort_session.providers_for(GPU, 1, tensorrt=False)
    assert name == CUDA
    assert plain_options == {"device_id": "1", "use_tf32": "0", "enable_cuda_graph": "0"}
    fast = EngineOptions(device="cuda", tf32=True, graphs=True, precision="fp16")
    ((_, options),) = ort_session.providers_for(fast, 0, tensorrt=False)
    assert options == {"device_id": "0", "use_tf32": "1", "enable_cuda_graph": "1"}
    (first, given), (second, _) = ort_session.providers_for(fast, 0, tensorrt=True)
    assert (first, second) == (TENSORRT, CUDA)
    assert given["trt_fp16_enable"] == "1"
    assert given["trt_engine_cache_path"] == given["trt_timing_cache_path"]


def test_graphs_that_decide_scales_get_no_winograd() -> None:
    """Nor TF32, in whole or in pieces, whatever the others get."""
    bundle, wanted = Bundle("demo"), EngineOptions(device="cuda", tf32=True, precision="fp16")
    deciding = {*bundle.manifest.entropy_graphs, *bundle.manifest.exact.values()}
    assert deciding < set(bundle.manifest.graphs)
    for name in bundle.manifest.graphs:
        _, own = graph_for(bundle, name, wanted)
        ((_, options),) = ort_session.providers_for(own, 0, tensorrt=False)
        assert (options.get("cudnn_conv_algo_search") == "DEFAULT") == (name in deciding)
        assert options["use_tf32"] == ("0" if name in deciding else "1")


def test_pieces_of_graphs_that_decide_are_exact_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, EngineOptions] = {}

    class Noting(Backend):
        name = package = "noting"

        def load(self, graph: bytes, label: str, options: EngineOptions) -> Any:
            given[label] = options

    bundle = Bundle("demo")
    monkeypatch.setattr(Bundle, "piece", lambda self, name, number: b"")
    options = EngineOptions(device="cuda", tf32=True, precision="fp16")
    for name in ("entropy_parameters_exact", "synthesis"):
        load_engine(bundle, f"{name}#0", Noting(), options)
    exact, other = given["entropy_parameters_exact#0"], given["synthesis#0"]
    assert (exact.tf32, exact.decides, exact.precision) == (False, True, "fp32")
    assert (other.tf32, other.decides, other.precision) == (True, False, "fp32")


@pytest.mark.parametrize("graphs", [None, True])
def test_codec_on_a_gpu(picture: np.ndarray, graphs: bool | None) -> None:
    gpu_or_skip()
    if CUDA not in ort.get_available_providers():
        missing(f"onnxruntime has no {CUDA}")
    bundle = Bundle("demo")
    with (
        latentsr.load("demo", backend="ort") as host,
        Codec(bundle, "ort", EngineOptions(device="cuda", graphs=graphs)) as codec,
    ):
        stream = host.encode(picture)
        assert CUDA in codec.runs_on("lr")
        for name, route in bundle.manifest.routes.items():
            if route.kind == "decode":
                for _ in range(3):
                    found, expected = codec.decode(stream, name), host.decode(stream, name)
                    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 2, name


def test_backend_names_with_devices() -> None:
    assert split_device("ort") == ("ort", "cpu")
    assert split_device("ort:cuda:1") == ("ort", "cuda:1")
    assert split_device("tensorrt") == ("tensorrt", "cuda")
    assert split_device("tensorrt", "cuda:2") == ("tensorrt", "cuda:2")
    with pytest.raises(BackendError, match="found 'cpu', expected 'cuda'"):
        get_backend("ort-tensorrt").load(b"", "synthesis", EngineOptions())
