"""Shapes of all values of an ONNX graph whose inputs have fixed sizes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import shape_inference

Shapes = dict[str, list[int]]


def set_sizes(model: onnx.ModelProto, sizes: Sequence[Sequence[int]]) -> None:
    """Give the graph's inputs these shapes, in place."""
    for given, shape in zip(model.graph.input, sizes, strict=True):
        for dim, value in zip(given.type.tensor_type.shape.dim, shape, strict=True):
            dim.Clear()
            dim.dim_value = value


def shapes_of(model: onnx.ModelProto) -> Shapes:
    """Shapes of all values of a graph with fixed inputs; 0 for sides that are not found out."""
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        info.name: [d.dim_value for d in info.type.tensor_type.shape.dim]
        for info in (*graph.value_info, *graph.input, *graph.output)
    }


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with what follows from its inputs' shapes computed, such as widths of padding."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)
