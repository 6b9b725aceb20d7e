"""Kernels of exact graphs in sizes that no engine has a fast algorithm for.

Winograd's algorithm with tiles of 6x6, which cuDNN and the Arm Compute Library take for kernels of
3x3 and 5x5, is off by more than the rounding behind a sum of integers forgives (Lavin & Gray 2016,
4.3, in float32). A row of zeros below makes them 4x3 and 6x5: sums added up as they stand, the same
integers, a third and a fifth more products. Transposed convolutions among them become plain ones:
ONNX Runtime's CUDA provider leaves those with a row more on one side to the CPU.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from latentsr.errors import ExportError

FAST = (3, 5)
"""Sides of kernels that engines have fast algorithms for; they want a stride of 1."""


def without_winograd(data: bytes) -> bytes:
    """An ONNX file whose convolutions of stride 1 have no kernels of 3x3 or 5x5.

    Weights must be initializers. Raises ExportError where they are not, and for transposed
    convolutions in groups or with more padding than their kernel has.
    """
    model = onnx.load_from_string(data)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if has_fast_kernel(node):
            _check(node, weights)
            if node.op_type == "ConvTranspose":
                _turn(node, weights[node.input[1]])
            _widen(node, weights[node.input[1]])
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def has_fast_kernel(node: onnx.NodeProto) -> bool:
    """Whether engines have fast algorithms for this node."""
    if node.op_type not in ("Conv", "ConvTranspose"):
        return False
    given = _attributes(node)
    kernel = given["kernel_shape"]
    return given.get("strides", [1, 1]) == [1, 1] and kernel[0] == kernel[1] and kernel[0] in FAST


def _check(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> None:
    given = _attributes(node)
    if node.input[1] not in weights or given.get("dilations", [1, 1]) != [1, 1]:
        raise _refused(node, "computed weights or dilations")


def _turn(node: onnx.NodeProto, weights: onnx.TensorProto) -> None:
    """A transposed convolution of stride 1 as a convolution: kernel turned, channels swapped."""
    given = _attributes(node)
    rows, columns = given["kernel_shape"]
    pads = given.get("pads", [0, 0, 0, 0])
    turned = [
        side - 1 - pad for side, pad in zip((rows, columns, rows, columns), pads, strict=True)
    ]
    groups = next((one.i for one in node.attribute if one.name == "group"), 1)
    if min(turned) < 0 or groups != 1:
        raise _refused(node, f"{groups} groups and padding {pads}")
    values = numpy_helper.to_array(weights)[:, :, ::-1, ::-1].swapaxes(0, 1)
    weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), weights.name))
    node.op_type = "Conv"
    kept = [one for one in node.attribute if one.name != "output_padding"]
    del node.attribute[:]
    node.attribute.extend(kept)
    _set(node, "pads", turned)


def _refused(node: onnx.NodeProto, found: str) -> ExportError:
    return ExportError(
        f"exact graph cannot be kept from Winograd: found {node.op_type} {node.name} with {found}, "
        "expected a plain one; report the network"
    )


def _widen(node: onnx.NodeProto, weights: onnx.TensorProto) -> None:
    """Add a row to the kernel, and below the picture, or to what is cut off there."""
    given = _attributes(node)
    wide = np.pad(numpy_helper.to_array(weights), ((0, 0), (0, 0), (0, 1), (0, 0)))
    weights.CopyFrom(numpy_helper.from_array(wide, weights.name))
    rows, columns = given["kernel_shape"]
    top, left, below, right = given.get("pads", [0, 0, 0, 0])
    _set(node, "kernel_shape", [rows + 1, columns])
    _set(node, "pads", [top, left, below + 1, right])


def _attributes(node: onnx.NodeProto) -> dict[str, list[int]]:
    return {one.name: list(one.ints) for one in node.attribute}


def _set(node: onnx.NodeProto, name: str, value: list[int]) -> None:
    kept = [one for one in node.attribute if one.name != name]
    del node.attribute[:]
    node.attribute.extend(sorted([*kept, helper.make_attribute(name, value)], key=lambda a: a.name))
