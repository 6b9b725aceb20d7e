"""The OpenVINO backend on CPU: a second, independent implementation of the same graphs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsr.backends.base import Backend, Engine, EngineOptions
from latentsr.errors import BackendError


class OpenVinoEngine(Engine):
    """One compiled model; each thread has an inference request of its own."""

    def __init__(self, compiled: Any, label: str) -> None:
        self._compiled, self._label = compiled, label
        self._requests = threading.local()
        self._outputs = [output.get_any_name() for output in compiled.outputs]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once."""
        request = getattr(self._requests, "request", None)
        if request is None:
            request = self._requests.request = self._compiled.create_infer_request()
        try:
            results = request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        except Exception as error:
            shapes = {name: array.shape for name, array in inputs.items()}
            raise BackendError(
                f"engine {self._label} failed: found {_last_line(error)} with inputs {shapes}, "
                "expected shapes that the graph takes; check the route and the picture's size"
            ) from error
        return {name: results[index] for index, name in enumerate(self._outputs)}

    @property
    def runs_on(self) -> str:
        """OpenVINO's device and the precision that it computes in."""
        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        return f"OpenVINO {self._compiled.get_property('EXECUTION_DEVICES')[0]} {precision}"


class OpenVinoBackend(Backend):
    """OpenVINO."""

    name = "openvino"
    package = "openvino"

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Compile a model for the CPU."""
        if options.device != "cpu":
            raise BackendError(
                f"device is not available on backend openvino: found {options.device!r}, "
                "expected 'cpu'; leave the device at cpu"
            )
        try:
            import openvino
        except ImportError:
            raise BackendError(
                "engine library is missing: found no openvino, expected it for backend openvino; "
                "run: pip install 'latentsr[openvino]'"
            ) from None
        # On some processors OpenVINO would compute in bfloat16 unasked; exact graphs need FP32.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        settings["PERFORMANCE_HINT"] = "LATENCY"
        if options.threads is not None:
            settings["INFERENCE_NUM_THREADS"] = options.threads
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(graph), "CPU", settings)
        except Exception as error:
            raise BackendError(
                f"graph {label} is refused by OpenVINO {openvino.__version__}: found "
                f"{_last_line(error)}, expected a graph that it loads; update openvino or export "
                "the bundle again"
            ) from error
        return OpenVinoEngine(compiled, label)


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
