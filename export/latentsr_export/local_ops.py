"""What each ONNX operator reads along the rows and columns of its input: `Taps` for both axes.

An operator that is not listed, or that depends on the picture's size, raises `NotLocalError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from onnx import helper

from latentsr_export.reach import (
    NotLocalError,
    Taps,
    convolution,
    every,
    gathered,
    resized,
    shifted,
    shuffled,
    transposed,
)

Constants = Mapping[str, np.ndarray]
Both = tuple[Taps, Taps]
POINTWISE = frozenset({
    "Abs", "Add", "BatchNormalization", "Cast", "Ceil", "Clip", "Div", "Dropout", "Elu", "Erf",
    "Exp", "Floor", "Gelu", "Greater", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less",
    "Log", "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid",
    "Sign", "Softplus", "Sqrt", "Sub", "Sum", "Tanh", "Where",
})  # fmt: skip
"""Operators whose output at a position depends on the inputs at that position only."""
_SAME = Taps(1, ((0,),))
_BEHIND = 1 << 30  # a Slice that ends there ends with its input


def taps_of(node: onnx.NodeProto, constants: Constants, weights: Mapping[str, list[int]]) -> Both:
    """Rows and columns of what `node` reads; NotLocalError where that is not a fixed window.

    weights: shapes of the graph's constants.
    """
    given: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type in POINTWISE:
        _check_constants(node, weights)
        return _SAME, _SAME
    if node.op_type not in _READERS:
        raise NotLocalError(f"{node.op_type} may look at the whole picture")
    return _READERS[node.op_type](node, given, constants, weights)


def _check_constants(node: onnx.NodeProto, weights: Mapping[str, list[int]]) -> None:
    for name in node.input:
        if any(side != 1 for side in weights.get(name, [])[-2:]) and node.op_type not in (
            "BatchNormalization",
        ):
            raise NotLocalError(f"{node.op_type} takes a constant for each position")


def _window(given: Mapping[str, Any], sides: list[int]) -> list[tuple[int, int, int, int]]:
    """(kernel, stride, pad, dilation) of both axes."""
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or given.get("ceil_mode", 0):
        raise NotLocalError("its padding depends on the picture's size")
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    pads = given.get("pads", [0, 0, 0, 0])
    if len(sides) != 2:
        raise NotLocalError("it is not a filter over rows and columns")
    return list(zip(sides, strides, pads[:2], dilations, strict=True))


def _conv(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del constants
    if node.input[1] not in weights:
        raise NotLocalError("it filters with weights that are computed")
    rows, columns = _window(given, weights[node.input[1]][2:])
    return convolution(*rows), convolution(*columns)


def _conv_transpose(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del constants
    if node.input[1] not in weights or "output_shape" in given:
        raise NotLocalError("it filters with weights or to a size that are computed")
    rows, columns = _window(given, weights[node.input[1]][2:])
    return transposed(*rows), transposed(*columns)


def _pool(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del node, constants, weights
    rows, columns = _window(given, list(given["kernel_shape"]))
    return convolution(*rows), convolution(*columns)


def _depth_to_space(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del constants, weights
    make = shuffled if node.op_type == "DepthToSpace" else gathered
    return make(given["blocksize"]), make(given["blocksize"])


def _resize(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del weights
    scales = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if scales is None or scales.shape != (4,) or scales[0] != 1 or scales[1] != 1:
        raise NotLocalError("it resizes to a size that depends on the picture's")
    mode = given.get("mode", b"nearest").decode()
    places = given.get("coordinate_transformation_mode", b"half_pixel").decode()
    if places not in ("asymmetric", "half_pixel", "pytorch_half_pixel") or given.get("antialias"):
        raise NotLocalError(f"its places, {places}, depend on the picture's size")
    if mode == "nearest" and given.get("nearest_mode", b"round_prefer_floor") == b"floor":
        mode = "floor"
    rows, columns = (_resized(float(scale), places, mode) for scale in scales[2:])
    return rows, columns


def _resized(given: float, places: str, reads: str) -> Taps:
    scale = Fraction(given).limit_denominator(64)
    if abs(float(scale) - given) > 1e-6 * given:
        raise NotLocalError(f"it resizes by {given}, which is no simple fraction")
    half = Fraction(0) if places == "asymmetric" else Fraction(1, 2)
    return resized(scale, lambda o: (o + half) / scale - half, reads)


def _pad(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del weights
    mode = given.get("mode", b"constant").decode()
    sizes = constants.get(node.input[1]) if len(node.input) > 1 else None
    if sizes is None or sizes.shape != (8,) or mode not in ("constant", "edge", "reflect"):
        raise NotLocalError(f"it pads ({mode}) by sizes that depend on the picture's")
    # At a border, what lies outside is read from inside: up to as far, or twice as far.
    far = {"constant": 0, "edge": 1, "reflect": 2}[mode]
    pads = [int(size) for size in sizes]
    rows, columns = (
        shifted(-pads[axis], far * max(pads[axis + 4], 0), far * max(pads[axis], 0))
        for axis in (2, 3)
    )
    return rows, columns


def _slice(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    del given, weights
    values = [constants[name] for name in node.input[1:] if name in constants]
    if len(values) < max(3, len(node.input) - 1):
        raise NotLocalError("it cuts at places that depend on the picture's size")
    starts, ends, axes, *rest = ([int(v) for v in np.ravel(value)] for value in values)
    steps = rest[0] if rest else [1] * len(starts)
    found = {2: _SAME, 3: _SAME}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis % 4
        if place < 2:
            continue
        if step < 1 or start < 0 or (end < _BEHIND and (end >= 0 or step != 1)):
            raise NotLocalError("it cuts at places that depend on the picture's size")
        found[place] = shifted(start) if step == 1 else every(step, start)
    return found[2], found[3]


def _channels(
    node: onnx.NodeProto, given: Mapping[str, Any], constants: Constants,
    weights: Mapping[str, list[int]],
) -> Both:  # fmt: skip
    """Operators that join or sum channels, as long as they do no more."""
    axes = given.get("axes", [given.get("axis", 0)])
    if node.op_type.startswith("Reduce") and len(node.input) > 1:
        axes = [int(v) for v in np.ravel(constants.get(node.input[1], np.array([2])))]
    if any(axis % 4 != 1 for axis in axes) or not given.get("keepdims", 1):
        raise NotLocalError(f"{node.op_type} goes over the whole picture")
    _check_constants(node, {n: weights[n] for n in node.input[:1] if n in weights})
    return _SAME, _SAME


_READERS: dict[
    str,
    Callable[[onnx.NodeProto, Mapping[str, Any], Constants, Mapping[str, list[int]]], Both],
] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _depth_to_space,
    "Resize": _resize,
    "Pad": _pad,
    "Slice": _slice,
    "Concat": _channels,
    "Split": _channels,
    "Softmax": _channels,
    "ReduceMean": _channels,
    "ReduceSum": _channels,
    "ReduceMax": _channels,
}
