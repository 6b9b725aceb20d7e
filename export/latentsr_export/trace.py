"""torch module → ONNX bytes: dynamic height and width, checked, the same bytes every time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import torch

from latentsr.errors import ExportError
from latentsr_export.constant_pads import with_constant_pads
from latentsr_export.graph_shapes import folded, set_sizes, shapes_of
from latentsr_export.parts import Feed, GraphSpec

OPSET = 17
# Sides of the picture that shapes are traced with, by the stride of a graph's first input.
_TRACED = {1: 64, 16: 128, 64: 256}
_COUNTED = ("Conv", "ConvTranspose")


def trace(name: str, spec: GraphSpec) -> bytes:
    """Write one graph; ExportError where torch or ONNX's checker refuses it."""
    # The tracing exporter writes flat Conv graphs without torch's own functions and metadata,
    # which every engine reads; the newer exporter adds both.
    samples = _samples(spec)
    axes = {port: {2: "h" if i == 0 else f"h{i}", 3: "w" if i == 0 else f"w{i}"}
            for i, port in enumerate((*spec.inputs, *spec.outputs))}  # fmt: skip
    buffer: Any = io.BytesIO()  # torch's stubs know paths only
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                spec.module.eval(), samples, buffer, dynamo=False, opset_version=OPSET,
                input_names=list(spec.inputs), output_names=list(spec.outputs),
                dynamic_axes=axes, do_constant_folding=True,
            )  # fmt: skip
        model = _tidy(with_constant_pads(onnx.load_from_string(buffer.getvalue())), name)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error)
        raise ExportError(
            f"graph {name} cannot be written: found {first}, expected a traceable network; "
            "check the network file"
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def _samples(spec: GraphSpec) -> tuple[torch.Tensor, ...]:
    side = _TRACED.get(spec.stride, 16 * spec.stride)
    wide = side + max(2, spec.multiple) * (spec.stride == 1)
    return tuple(
        torch.zeros(1, feed.channels, side // feed.stride, wide // feed.columns)
        for feed in spec.feeds
    )


def _tidy(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Drop what differs between machines or says nothing: paths in doc strings, version text."""
    for node in model.graph.node:
        node.doc_string = ""
    model.graph.name = name
    model.graph.doc_string = ""
    model.producer_name, model.producer_version = "latentsr", ""
    return model


def count_macs(data: bytes, feeds: Sequence[Feed], side: int = 64) -> float:
    """Multiply-accumulates per position of the first input, from Conv and ConvTranspose nodes.

    data: an ONNX file with these inputs. Counted where the first has `side` rows, so that all
    strides divide; bias, activations and 1x1 products of tensors are not counted.
    """
    model = onnx.load_from_string(data)
    whole = side * feeds[0].stride
    sizes = [(1, f.channels, whole // f.stride, whole // f.columns) for f in feeds]
    set_sizes(model, sizes)
    shapes = shapes_of(model)
    if any(node.op_type in _COUNTED and not _known(node, shapes) for node in model.graph.node):
        model = folded(model)
        shapes = shapes_of(model)
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for node in model.graph.node:  # weights stored as FP16 come through a Cast
        if node.op_type == "Cast" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    positions = side * (whole // feeds[0].columns)
    return sum(node_macs(node, shapes, weights) for node in model.graph.node) / positions


def _grid(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> list[int]:
    """Shape of the positions at which a convolution's weights are used."""
    return shapes.get(node.output[0] if node.op_type == "Conv" else node.input[0], [])


def _known(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> bool:
    grid = _grid(node, shapes)
    return len(grid) == 4 and 0 not in grid


def node_macs(
    node: onnx.NodeProto, shapes: dict[str, list[int]], weights: dict[str, list[int]]
) -> int:
    """Multiply-accumulates of a node; 0 for all but convolutions by constants."""
    if node.op_type not in _COUNTED or node.input[1] not in weights:
        return 0
    kernel = weights[node.input[1]]
    # Conv: each output position takes Cin/g · kh · kw per output channel. ConvTranspose: each
    # input position gives Cout/g · kh · kw per input channel.
    grid = _grid(node, shapes)
    if not _known(node, shapes):
        raise ExportError(f"MACs cannot be counted: shape of {node.name} is unknown, found {grid}")
    area = kernel[0] * kernel[1] * kernel[2] * kernel[3]
    return grid[2] * grid[3] * area


def describe(data: bytes) -> dict[str, object]:
    """Opset, node count by kind, parameter count and bytes of parameters of an ONNX file."""
    model = onnx.load_from_string(data)
    kinds: dict[str, int] = {}
    for node in model.graph.node:
        kinds[node.op_type] = kinds.get(node.op_type, 0) + 1
    sizes = [_size(tensor) for tensor in model.graph.initializer]
    return {"opset": model.opset_import[0].version, "nodes": dict(sorted(kinds.items())),
            "parameters": sum(sizes), "weights_bytes": weights_bytes(model)}  # fmt: skip


def weights_bytes(model: onnx.ModelProto) -> int:
    """Bytes of a graph's float constants."""
    widths = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.FLOAT16: 2}
    return sum(_size(t) * widths.get(t.data_type, 0) for t in model.graph.initializer)


def _size(tensor: onnx.TensorProto) -> int:
    """Number of elements of an initializer that holds floats, else 0."""
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        return 0
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size
