"""Paddings of a written graph as plain constants, where torch writes arithmetic that ends in them.

Shape inference, engine builders and readers want a padding's sizes as numbers. torch's tracing
exporter writes nodes that compute them, all from constants.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator


def with_constant_pads(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, changed in place, with each Pad's sizes as an initializer where they can be.

    What then feeds nothing is dropped.
    """
    graph = model.graph
    if not any(node.op_type == "Pad" for node in graph.node):
        return model
    makers = {output: node for node in graph.node for output in node.output}
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for number, node in enumerate(n for n in graph.node if n.op_type == "Pad"):
        value = _constant(node.input[1], makers, known)
        if value is not None:
            name = f"pads_{number}"
            graph.initializer.append(numpy_helper.from_array(value.astype(np.int64), name))
            node.input[1] = name
    _drop_unused(graph)
    return model


def _constant(
    name: str, makers: dict[str, onnx.NodeProto], known: dict[str, np.ndarray]
) -> np.ndarray | None:
    """The value of a tensor that depends on constants only, else None."""
    if not name or name in known:
        return known.get(name)
    node = makers.get(name)
    if node is None:
        return None
    given = {source: _constant(source, makers, known) for source in node.input if source}
    if any(value is None for value in given.values()):
        return None
    outputs = ReferenceEvaluator(node).run(None, given)
    known |= dict(zip(node.output, map(np.asarray, outputs), strict=True))
    return known[name]


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and initializers whose results nothing takes."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    nodes = list(reversed(kept))
    del graph.node[:]
    graph.node.extend(nodes)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
