"""An FP16 graph computed in float32: every operator exact, its result rounded to FP16.

This is what engines do whose convolutions sum FP16 products in float32. ONNX Runtime's CPU
provider does not: it runs most operators in float32 and leaves out the roundings between them, so
that a graph that overflows elsewhere does not overflow there.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from latentsr_export.fp16.flow import cast, cast_type, finish

_FULL, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16
# Their results are among their inputs, rounded already.
_MOVES = {
    "Identity", "Relu", "Abs", "Neg", "DepthToSpace", "SpaceToDepth", "Reshape", "Transpose",
    "Slice", "Split", "Concat", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Tile", "Gather",
    "Pad", "MaxPool", "Max", "Min", "Clip",
}  # fmt: skip


def emulated(data: bytes) -> bytes:
    """The float32 graph that gives the values of an FP16 one, with the same names of tensors."""
    model = onnx.load_from_string(data)
    inferred = shape_inference.infer_shapes(model, strict_mode=True).graph
    infos = (*inferred.value_info, *inferred.input, *inferred.output)
    halves = {i.name for i in infos if i.type.tensor_type.elem_type == _HALF}
    graph = model.graph
    nodes = _rounded_ports(graph, halves)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = _FULL if value.name in halves else _type(value)
    for node in graph.node:
        if cast_type(node) == _HALF:
            nodes += _rounded(node.input[0], node.output[0])
            continue
        if node.op_type == "Cast" and node.input[0] in halves:
            nodes.append(helper.make_node("Identity", node.input, node.output, node.name))
            continue
        nodes.append(node)
        if node.op_type in _MOVES:
            continue
        for slot, name in enumerate(node.output):
            if name in halves:
                node.output[slot] = f"{name}/exact"
                nodes += _rounded(f"{name}/exact", name)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    for tensor in graph.initializer:
        if tensor.data_type == _HALF:
            full = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(full, tensor.name))
    return finish(model)


def _type(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)


def _rounded_ports(graph: onnx.GraphProto, halves: set[str]) -> list[onnx.NodeProto]:
    """Nodes that round FP16 inputs; all others are made to read what these give."""
    made: list[onnx.NodeProto] = []
    given = {value.name for value in graph.input} & halves
    for name in sorted(given):
        made += _rounded(name, f"{name}/rounded")
    for node in graph.node:
        for slot, name in enumerate(node.input):
            if name in given:
                node.input[slot] = f"{name}/rounded"
    return made


def _rounded(source: str, target: str) -> list[onnx.NodeProto]:
    return [
        cast(source, f"{target}/half", _HALF),
        cast(f"{target}/half", target, _FULL),
    ]
