"""Sessions of ONNX Runtime on a GPU: wholly there, in part with a word, or an error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime as ort
import pytest

from latentsr.backends import get_backend, ort_gpu, ort_session
from latentsr.backends.base import EngineOptions
from latentsr.backends.ort_session import CPU, CUDA, TENSORRT
from latentsr.bundle import Bundle
from latentsr.errors import BackendError
from latentsr.plans.cache import Cache

GPU = EngineOptions(device="cuda")


class Silent:
    """ONNX Runtime on a machine whose GPU does not work: it goes on on the CPU."""

    __version__ = "1.31"

    def __init__(self) -> None:
        self.asked: Any = None

    def get_available_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]

    def InferenceSession(  # noqa: N802
        self, graph: bytes, settings: Any, providers: Any, enable_fallback: int
    ) -> Any:
        assert not enable_fallback
        self.asked = [name for name, _ in providers]
        return ort.InferenceSession(graph, settings, providers=[CPU])


class PluggedIn(Silent):
    """One whose CUDA provider is a plug-in that finds its libraries only when asked to."""

    ready = False

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU] if self.ready else [CPU]

    def preload_dlls(self) -> None:
        print("Failed to load libcublas.so.13")
        self.ready = True


def test_libraries_are_loaded_before_providers_are_looked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    library, graph = PluggedIn(), Bundle("demo").graph("synthesis")
    with pytest.raises(BackendError, match="would run elsewhere"):
        ort_session.load_on_gpu(library, graph, "synthesis", GPU, ort.SessionOptions(), False)
    assert library.asked == [CUDA]
    said = capsys.readouterr()
    assert "libcublas" in said.err and not said.out


def test_the_end_of_a_long_reason_is_told() -> None:
    class Refusing(Silent):
        def InferenceSession(self, *given: Any, **named: Any) -> Any:  # noqa: N802
            raise RuntimeError(f"/onnxruntime_src/{'x' * 400} CUDA failure 999: no such device")

    with pytest.raises(BackendError, match="CUDA failure 999: no such device, expected a graph"):
        ort_session.load_on_gpu(Refusing(), b"", "synthesis", GPU, ort.SessionOptions(), False)


@pytest.mark.parametrize("tensorrt", [False, True])
def test_silent_cpu_is_an_error(tensorrt: bool) -> None:
    graph, library = Bundle("demo").graph("synthesis"), Silent()
    wanted = TENSORRT if tensorrt else CUDA
    with pytest.raises(BackendError, match=f"would run elsewhere: found {CPU}, expected {wanted}"):
        ort_session.load_on_gpu(library, graph, "synthesis", GPU, ort.SessionOptions(), tensorrt)
    assert library.asked == ([TENSORRT, CUDA] if tensorrt else [CUDA])


@pytest.mark.skipif(CUDA in ort.get_available_providers(), reason="this onnxruntime has CUDA")
@pytest.mark.parametrize("backend", ["ort", "ort-tensorrt"])
def test_onnxruntime_without_cuda_says_what_to_install(backend: str) -> None:
    with pytest.raises(BackendError, match=r"pip install 'latentsr\[cuda\]'"):
        get_backend(backend).load(Bundle("demo").graph("synthesis"), "synthesis", GPU)


class Partly(Silent):
    """One that puts some nodes on the CPU; it tells which since version 1.24.

    left: operators there.
    """

    def __init__(self, left: Sequence[str], tells: bool = True) -> None:
        super().__init__()
        self.left, self.tells = left, tells

    def InferenceSession(  # noqa: N802
        self, graph: bytes, settings: Any, providers: Any, enable_fallback: int
    ) -> Any:
        if settings.get_session_config_entry("session.disable_cpu_ep_fallback") == "1":
            raise RuntimeError("This session contains graph nodes that are assigned to the CPU EP")
        found = SimpleNamespace(get_providers=lambda: [CUDA, CPU])
        if self.tells:
            recorded = "session.record_ep_graph_assignment_info"
            assert settings.get_session_config_entry(recorded) == "1"
            found.get_provider_graph_assignment_info = lambda: [
                *(_part(CPU, kind) for kind in self.left), _part(CUDA, "Conv"),
            ]  # fmt: skip
        return found


def _part(provider: str, kind: str) -> Any:
    return SimpleNamespace(ep_name=provider, get_nodes=lambda: [SimpleNamespace(op_type=kind)])


@pytest.mark.parametrize(
    ("library", "said"),
    [(Partly(["Conv", "Gather", "Conv"]), "runs in part on the CPU: found Conv (2), Gather (1)"),
     (Partly(["Shape", "Gather", "Concat"]), None),
     (Partly([], tells=False), "may run in part on the CPU: This session contains")],
)  # fmt: skip
def test_what_runs_on_the_cpu_is_told(
    library: Partly, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "latentsr")
    ort_session.load_on_gpu(library, b"", "synthesis", GPU, ort.SessionOptions(), False)
    assert [said in r.message for r in caplog.records if said] == [True] * (said is not None)
    assert len(caplog.records) == (said is not None)


def test_a_want_of_cudnn_says_what_to_install() -> None:
    error = RuntimeError("cuDNN is unavailable or disabled: cuDNN is not available. Install cuDNN")
    failure = ort_gpu._failed("synthesis", error, {})
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in str(failure)


def test_tensorrt_s_engines_are_kept_in_the_cache_that_was_given(tmp_path: Path) -> None:
    options = EngineOptions(device="cuda:0", cache=Cache(tmp_path))
    (_, given), _ = ort_session.providers_for(options, 0, tensorrt=True)
    assert given["trt_engine_cache_path"] == str(tmp_path / "onnxruntime-tensorrt")
    assert given["trt_timing_cache_path"] == given["trt_engine_cache_path"]
