"""The ONNX Runtime backend on CPU: the embedded default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsr.backends.base import Backend, Engine, EngineOptions
from latentsr.errors import BackendError


class OrtEngine(Engine):
    """One ONNX Runtime session."""

    def __init__(self, session: Any, label: str) -> None:
        self._session, self._label = session, label
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the session once."""
        try:
            outputs = self._session.run(self._outputs, dict(inputs))
        except Exception as error:
            shapes = {name: array.shape for name, array in inputs.items()}
            raise BackendError(
                f"engine {self._label} failed: found {_first_line(error)} with inputs {shapes}, "
                "expected shapes that the graph takes; check the route and the picture's size"
            ) from error
        return dict(zip(self._outputs, outputs, strict=True))

    @property
    def runs_on(self) -> str:
        """ONNX Runtime's own list of the providers in use."""
        return "+".join(self._session.get_providers())


class OrtBackend(Backend):
    """ONNX Runtime."""

    name = "ort"
    package = "onnxruntime"

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Make a session on the CPU provider."""
        if options.device != "cpu":
            raise BackendError(
                f"device is not available on backend ort: found {options.device!r}, expected "
                "'cpu'; leave the device at cpu"
            )
        try:
            import onnxruntime as ort
        except ImportError:
            raise BackendError(
                "engine library is missing: found no onnxruntime, expected it for backend ort; "
                "run: pip install 'latentsr[cpu]'"
            ) from None
        settings = ort.SessionOptions()
        settings.log_severity_level = 3
        # Each session has threads of its own; spinning after a run, they would take the cores
        # from the next graph of the chain.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if options.threads is not None:
            settings.intra_op_num_threads = options.threads
            settings.inter_op_num_threads = 1
        try:
            session = ort.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BackendError(
                f"graph {label} is refused by ONNX Runtime {ort.__version__}: found "
                f"{_first_line(error)}, expected a graph that it loads; update onnxruntime or "
                "export the bundle again"
            ) from error
        return OrtEngine(session, label)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
