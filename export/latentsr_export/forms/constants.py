"""Reading a graph for rewriting: weights as plain float32, found by name."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from latentsr.errors import ExportError


def read_model(graph: bytes) -> onnx.ModelProto:
    """The model, with weights that are stored as FP16 and a Cast put back as float32.

    Raises ExportError where the bytes are no ONNX file.
    """
    try:
        model = onnx.load_from_string(graph)
    except Exception as error:  # protobuf's own error types differ between its versions
        raise ExportError(
            f"graph cannot be rewritten: found {error}, expected an ONNX file; export it again"
        ) from None
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in stored and _to_float(node):
            values = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    replace_nodes(model, nodes)
    return model


def replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put these nodes in place of the model's, and drop weights that none of them reads."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def weights(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The graph's constants by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def to_bytes(model: onnx.ModelProto) -> bytes:
    """The checked file; the same model gives the same bytes."""
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _to_float(node: onnx.NodeProto) -> bool:
    return any(a.name == "to" and a.i == onnx.TensorProto.FLOAT for a in node.attribute)
