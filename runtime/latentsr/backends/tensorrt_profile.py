"""Times of TensorRT's layers, by its profiler interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentsr.backends.base import NodeTime
from latentsr.backends.tensorrt_api import Dialect
from latentsr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt


class LayerTimes:
    """Sums of what each layer took, over the runs of all contexts of an engine."""

    def __init__(self, label: str, speaks: Dialect) -> None:
        self._label, self._speaks = label, speaks
        self._ms: dict[str, float] = {}
        self._profilers: list[object] = []
        self._ended = False
        self.runs = 0

    def watch(self, context: trt.IExecutionContext) -> None:
        """Let a context report; its runs then wait for the device."""
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self._speaks.module
        sums = self._ms

        class Profiler(trt.IProfiler):
            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, layer_name: str, ms: float) -> None:
                sums[layer_name] = sums.get(layer_name, 0.0) + ms

        profiler = Profiler()
        self._profilers.append(profiler)  # TensorRT keeps no reference of its own
        context.profiler = profiler

    def begin(self) -> None:
        """Leave out what ran up to now."""
        self._ms.clear()
        self.runs = 0

    def end(self) -> list[NodeTime]:
        """Mean times, without starts, which TensorRT does not tell."""
        if self._ended:
            raise BackendError(
                f"engine {self._label} has no node times: found its profile ended already, "
                "expected one call; load the engine again"
            )
        self._ended = True
        runs = self.runs
        return [
            NodeTime(name, "", "TensorRT", None, ms * 1e3 / runs, runs)
            for name, ms in self._ms.items()
            if runs
        ]
