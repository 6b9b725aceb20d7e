"""What values the tensors of a graph take on real pictures, measured inside the engine.

Three numbers a tensor leave the engine, not the tensor: a large SR network has gigabytes of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions

Sample = Mapping[str, np.ndarray]
_MEASURES = (("peak", "ReduceMax"), ("least", "ReduceMin"), ("mean", "ReduceMean"))


@dataclass(frozen=True)
class Range:
    """Largest, smallest and mean magnitude of a tensor's values over all samples."""

    peak: float
    least: float
    mean: float

    @property
    def finite(self) -> bool:
        """Whether no value was NaN or infinite."""
        # Engines' maxima may pass over a NaN; a sum cannot.
        return all(map(math.isfinite, (self.peak, self.least, self.mean)))


def ranges(data: bytes, tensors: Sequence[str], samples: Sequence[Sample]) -> dict[str, Range]:
    """Ranges of a graph's float tensors.

    data: ONNX file. tensors: names of its inputs, outputs or intermediates, of float32. samples:
    inputs by name, at least one.
    """
    model = onnx.load_from_string(data)
    for tensor in tensors:
        _measure(model.graph, tensor)
    engine = get_backend("ort").load(model.SerializeToString(), model.graph.name, EngineOptions())
    runs = [engine.run(sample) for sample in samples]
    return {tensor: _over(runs, tensor) for tensor in tensors}


def _measure(graph: onnx.GraphProto, tensor: str) -> None:
    size = f"{tensor}/abs"
    graph.node.append(helper.make_node("Abs", [tensor], [size]))
    for measure, op in _MEASURES:
        name = f"{tensor}/{measure}"
        graph.node.append(helper.make_node(op, [size], [name], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))


def _over(runs: Sequence[Mapping[str, np.ndarray]], tensor: str) -> Range:
    peaks, leasts, means = (
        [float(run[f"{tensor}/{measure}"]) for run in runs] for measure, _ in _MEASURES
    )
    # np.max and np.min keep a NaN, whichever run it is from.
    return Range(float(np.max(peaks)), float(np.min(leasts)), float(np.mean(means)))
