"""The OpenVINO backend on CPU: a second, independent implementation of the same graphs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsr.backends.base import Backend, Engine, EngineOptions, NodeTime, run_failure
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
            raise run_failure(error, self._label, _last_line(error), shapes) from error
        return {name: results[index] for index, name in enumerate(self._outputs)}

    def run_lean(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once, then drop the request and the model's own memory."""
        outputs = self.run(inputs)
        self._requests.request = None
        if hasattr(self._compiled, "release_memory"):  # OpenVINO 2025
            self._compiled.release_memory()
        return outputs

    @property
    def runs_on(self) -> str:
        """OpenVINO's device and the precision that it computes in."""
        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        return f"OpenVINO {self._compiled.get_property('EXECUTION_DEVICES')[0]} {precision}"


class ProfiledOpenVinoEngine(OpenVinoEngine):
    """A compiled model that measures its nodes.

    OpenVINO's counters belong to the compiled model, not to a request, and tell each node's mean
    over all runs so far, in whole microseconds and without a start. So sums up to two points in
    time are subtracted, and all that comes out is the mean between them.
    """

    def __init__(self, compiled: Any, label: str) -> None:
        super().__init__(compiled, label)
        self._lock = threading.Lock()
        self._runs = self._runs_before = 0
        self._before: dict[str, float] = {}

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once, and count the run."""
        outputs = super().run(inputs)
        with self._lock:
            self._runs += 1
        return outputs

    def begin_profile(self) -> None:
        """Leave out what ran up to now."""
        self._runs_before = self._runs
        self._before = {node.node_name: self._sum_us(node) for node in self._counters()}

    def end_profile(self) -> list[NodeTime]:
        """Mean node times without starts; nodes that never ran are left out."""
        runs = self._runs - self._runs_before
        if runs == 0:
            return []
        found = []
        for node in self._counters():
            # Means are cut to whole microseconds, so a difference may fall below zero.
            us = max(self._sum_us(node) - self._before.get(node.node_name, 0.0), 0.0) / runs
            if node.status == node.EXECUTED:
                found.append(
                    NodeTime(node.node_name, node.node_type, node.exec_type, None, us, runs)
                )
        return found

    def _counters(self) -> Any:
        return self._compiled.create_infer_request().get_profiling_info()

    def _sum_us(self, node: Any) -> float:
        return float(node.real_time.total_seconds()) * 1e6 * self._runs


class OpenVinoBackend(Backend):
    """OpenVINO."""

    name = "openvino"
    package = "openvino"
    counts_callers = True

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
        settings = _settings(options)
        try:
            core = openvino.Core()
            compiled = _compile(core, graph, settings, options)
        except Exception as error:
            raise BackendError(
                f"graph {label} is refused by OpenVINO {openvino.__version__}: found "
                f"{_last_line(error)}, expected a graph that it loads; update openvino or export "
                "the bundle again"
            ) from error
        kind = ProfiledOpenVinoEngine if options.profile else OpenVinoEngine
        return kind(compiled, label)


def _settings(options: EngineOptions) -> dict[str, Any]:
    # On some processors OpenVINO would compute in bfloat16 unasked; exact graphs need FP32.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    settings["PERFORMANCE_HINT"] = "LATENCY"
    # Pinned, the threads of several processes or models would share the first cores.
    settings["ENABLE_CPU_PINNING"] = False
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads * options.callers
    if options.callers > 1:
        settings["NUM_STREAMS"] = options.callers  # inferences that run side by side
    if options.profile:
        settings["PERF_COUNT"] = True
    return settings


def _compile(core: Any, graph: bytes, settings: dict[str, Any], options: EngineOptions) -> Any:
    """The compiled model, from the cache where there is one."""

    def fresh() -> Any:
        model = core.read_model(graph)
        if options.fixed is not None:
            model.reshape({name: list(shape) for name, shape in options.fixed.items()})
        return core.compile_model(model, "CPU", settings)

    if options.cache is None or options.profile:
        return fresh()
    from latentsr.backends.prepared import prepared

    return prepared(
        options.cache, "openvino", graph, {**settings, "fixed": options.fixed}, fresh,
        lambda compiled: bytes(compiled.export_model().getbuffer()),
        lambda data: core.import_model(data, "CPU", settings),
    )  # fmt: skip


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
