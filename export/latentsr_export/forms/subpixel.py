"""Transposed convolutions as convolutions at the input's resolution and a depth-to-space.

Output sample s·q + r of a transposed convolution takes input q - j by weight r + pad + s·j: for
each of the s·s phases r a small convolution, all of them one with s·s times the channels (Shi et
al. 2016, arXiv 1609.07009). A 5x5 kernel of stride 2 becomes 3x3 with 1.44 times the
multiplications, some by zero, but without overlapping sums; which is faster depends on map,
library and processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from latentsr.plans.forms import Form, Sample
from latentsr_export.forms.constants import read_model, replace_nodes, to_bytes, weights


@dataclass(frozen=True)
class Axis:
    """Taps of one axis as (phase, tap there, tap of the transposed kernel); size, pads."""

    taps: tuple[tuple[int, int, int], ...]
    size: int
    pads: tuple[int, int]


def write_forms(graph: bytes, samples: Sequence[Sample], precision: str) -> list[Form]:
    """``subpixel-k``: the first k transposed convolutions rewritten, those on the smallest maps."""
    del samples
    if precision != "fp32":
        return []
    count = len(_places(read_model(graph)))
    return [Form(f"subpixel-{k}", "fp32", rewrite(graph, k)) for k in range(1, count + 1)]


def rewrite(graph: bytes, most: int | None = None) -> bytes:
    """The graph with its first `most` transposed convolutions rewritten, all of them if None."""
    model = read_model(graph)
    chosen = set(_places(model)[:most])
    constants = weights(model)
    nodes: list[onnx.NodeProto] = []
    for place, node in enumerate(model.graph.node):
        nodes += _convolution(model, node, constants) if place in chosen else [node]
    replace_nodes(model, nodes)
    return to_bytes(model)


def _places(model: onnx.ModelProto) -> list[int]:
    """Indexes of the nodes that can be rewritten."""
    constants = weights(model)
    return [i for i, node in enumerate(model.graph.node) if _fits(node, constants)]


def _fits(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    if node.op_type != "ConvTranspose" or any(name not in constants for name in node.input[1:]):
        return False
    given = _attributes(node)
    stride, kernel = given.get("strides", [1, 1]), list(constants[node.input[1]].dims)[2:]
    pads, more = given.get("pads", [0] * 4), given.get("output_padding", [0, 0])
    if len(kernel) != 2 or stride[0] != stride[1] or stride[0] < 2 or "output_shape" in given:
        return False
    plain = (
        given.get("group", 1) == 1
        and given.get("dilations", [1, 1]) == [1, 1]
        and given.get("auto_pad", b"NOTSET") == b"NOTSET"
    )
    exact = all(kernel[i] + more[i] - pads[i] - pads[2 + i] == stride[i] for i in (0, 1))
    return plain and exact


def _convolution(
    model: onnx.ModelProto, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> list[onnx.NodeProto]:
    given = _attributes(node)
    stride, pads = given["strides"][0], given.get("pads", [0] * 4)
    weight = numpy_helper.to_array(constants[node.input[1]])
    rows, columns = (_axis(weight.shape[2 + i], stride, pads[i]) for i in (0, 1))
    name = f"{node.output[0]}/subpixel"
    kernel = _kernel(weight, stride, rows, columns)
    model.graph.initializer.append(numpy_helper.from_array(kernel, f"{name}/weight"))
    inputs = [node.input[0], f"{name}/weight"]
    if len(node.input) > 2 and node.input[2]:
        bias = np.repeat(numpy_helper.to_array(constants[node.input[2]]), stride * stride)
        model.graph.initializer.append(numpy_helper.from_array(bias, f"{name}/bias"))
        inputs.append(f"{name}/bias")
    return [
        helper.make_node(
            "Conv", inputs, [name], name=name, kernel_shape=[rows.size, columns.size],
            pads=[rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]],
        ),
        helper.make_node("DepthToSpace", [name], [node.output[0]], name=f"{name}/shuffle",
                         blocksize=stride, mode="CRD"),
    ]  # fmt: skip


def _axis(kernel: int, stride: int, pad: int) -> Axis:
    taps = [(r, j, r + pad + stride * j) for r in range(stride) for j in range(-kernel, kernel + 1)
            if 0 <= r + pad + stride * j < kernel]  # fmt: skip
    low, high = (edge(j for _, j, _ in taps) for edge in (min, max))
    low, high = min(low, 0), max(high, 0)  # pads must not be negative
    return Axis(tuple((r, high - j, k) for r, j, k in taps), high - low + 1, (high, -low))


def _kernel(weight: np.ndarray, stride: int, rows: Axis, columns: Axis) -> np.ndarray:
    """(Cin, Cout, kh, kw) → (Cout·s·s, Cin, taps, taps)."""
    inputs, outputs = weight.shape[:2]
    made = np.zeros((outputs, stride, stride, inputs, rows.size, columns.size), np.float32)
    for r, tap, k in rows.taps:
        for s, other, m in columns.taps:
            made[:, r, s, :, tap, other] = weight[:, :, k, m].T
    return made.reshape(outputs * stride * stride, inputs, rows.size, columns.size)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
