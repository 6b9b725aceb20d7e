"""The ONNX Runtime backend: the embedded default on CPUs; GPUs by `ort_session` and `ort_gpu`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.backends.base import Backend, Engine, EngineOptions, NodeTime, run_failure
from latentsr.backends.device import parse_index
from latentsr.backends.ort_profile import origin_us, read_profile
from latentsr.backends.values import on_host
from latentsr.errors import BackendError


class OrtEngine(Engine):
    """One ONNX Runtime session."""

    def __init__(self, session: Any, label: str) -> None:
        self._session, self._label = session, label
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the session once."""
        return self._run(inputs, None)

    def run_lean(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the session once and let its arena shrink."""
        import onnxruntime as ort

        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return self._run(inputs, options)

    def _run(self, inputs: Mapping[str, np.ndarray], options: Any) -> dict[str, np.ndarray]:
        try:
            given = {name: on_host(value) for name, value in inputs.items()}
            outputs = self._session.run(self._outputs, given, options)
        except Exception as error:
            shapes = {name: array.shape for name, array in inputs.items()}
            raise run_failure(error, self._label, _first_line(error), shapes) from error
        return dict(zip(self._outputs, outputs, strict=True))

    @property
    def runs_on(self) -> str:
        """ONNX Runtime's own list of the providers in use."""
        return "+".join(self._session.get_providers())


class ProfiledOrtEngine(OrtEngine):
    """A session that measures its nodes.

    ONNX Runtime hands its profile out once, as a file that it keeps open; `folder` holds it.
    """

    def __init__(self, session: Any, label: str, folder: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(session, label)
        # Named after the session, so that it is removed after the session has closed its file.
        self._folder = folder
        self._origin_us = origin_us(session.get_profiling_start_time_ns())
        self._begin_us = 0.0

    def begin_profile(self) -> None:
        """Leave out what ran up to now."""
        self._begin_us = time.perf_counter() * 1e6

    def end_profile(self) -> list[NodeTime]:
        """Node times with their starts; only the first call has any."""
        path = self._session.end_profiling()
        if not path:
            raise BackendError(
                f"engine {self._label} has no node times: found its profile ended already, "
                "expected one call; load the engine again"
            )
        nodes = read_profile(Path(path), self._label, self._origin_us)
        self._folder.cleanup()
        # A node's start is cut to a microsecond, and the first one follows begin_profile closely.
        return [n for n in nodes if n.start_us is not None and n.start_us > self._begin_us - 2]


class OrtBackend(Backend):
    """ONNX Runtime."""

    name = "ort"
    package = "onnxruntime"
    tensorrt = False

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Make a session on the CPU, or for device ``cuda`` on a GPU."""
        if self.tensorrt:
            parse_index(options.device, self.name)  # on the CPU it would be ONNX Runtime once more
        ort = library(options.device)
        folder = tempfile.TemporaryDirectory(prefix="latentsr-") if options.profile else None
        settings = _settings(ort, options, folder)
        if options.device != "cpu":
            return self._load_on_gpu(ort, graph, label, options, settings, folder)
        try:
            session = ort.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BackendError(
                f"graph {label} is refused by ONNX Runtime {ort.__version__}: found "
                f"{_first_line(error)}, expected a graph that it loads; update onnxruntime or "
                "export the bundle again"
            ) from error
        return ProfiledOrtEngine(session, label, folder) if folder else OrtEngine(session, label)

    def _load_on_gpu(
        self,
        ort: Any,
        graph: bytes,
        label: str,
        options: EngineOptions,
        settings: Any,
        folder: tempfile.TemporaryDirectory[str] | None,
    ) -> Engine:
        from latentsr.backends import ort_gpu, ort_session
        from latentsr.backends.device_pool import pools_of

        session, index = ort_session.load_on_gpu(
            ort, graph, label, options, settings, self.tensorrt
        )
        if folder is not None:
            return ProfiledOrtEngine(session, label, folder)
        capture = ort_session.captures(options) and not self.tensorrt
        kind = ort_gpu.CapturingEngine if capture else ort_gpu.BoundEngine
        return kind(session, label, "cuda", index, pools_of(index))


class OrtTensorRtBackend(OrtBackend):
    """ONNX Runtime's TensorRT provider, with its CUDA provider for what that refuses."""

    name = "ort-tensorrt"
    tensorrt = True


def library(device: str) -> Any:
    """ONNX Runtime; BackendError that names what to install for such a device without it."""
    try:
        import onnxruntime as ort
    except ImportError:
        extra = "cpu" if device == "cpu" else "cuda"
        raise BackendError(
            "engine library is missing: found no onnxruntime, expected it for backend ort; "
            f"run: pip install 'latentsr[{extra}]'"
        ) from None
    return ort


def _settings(
    ort: Any, options: EngineOptions, folder: tempfile.TemporaryDirectory[str] | None
) -> Any:
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    # Each session has threads of its own; spinning after a run, they would take the cores
    # from the next graph of the chain.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A pattern for each size that ever came is kept for ever: thousands of pictures of mixed sizes
    # would take more and more memory, and no size gets faster by it (`benchmarks/soak.py`).
    settings.enable_mem_pattern = False
    if options.threads is not None:
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
    if folder is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder.name) / "nodes")
    return settings


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
