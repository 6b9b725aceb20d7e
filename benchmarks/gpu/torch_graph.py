"""A bundle's graph in PyTorch: the ONNX file's nodes, one torch call each, for baselines.

GPU machines often have torch and no CompressAI; and the weights of a bundle are those of its ONNX
files. So what people run as `model.cuda().half()` is rebuilt from the graph itself: same layers,
same weights, eager, and fit for `torch.compile`. Knows the operators that bundles use; others are
refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

Attributes = dict[str, Any]
Node = Callable[..., Tensor]


def _symmetric(given: Attributes) -> list[int]:
    pads = given.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:] or given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ValueError(f"padding is not symmetric: {pads}")
    return list(pads[:2])


def _conv(given: Attributes) -> Node:
    top, left, below, right = given.get("pads", [0, 0, 0, 0])
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    group = given.get("group", 1)
    if (top, left) == (below, right):
        pads = _symmetric(given)
        return lambda x, w, b=None: F.conv2d(x, w, b, strides, pads, dilations, group)
    around = (left, right, top, below)
    return lambda x, w, b=None: F.conv2d(F.pad(x, around), w, b, strides, 0, dilations, group)


def _transposed(given: Attributes) -> Node:
    pads, strides = _symmetric(given), given.get("strides", [1, 1])
    extra, group = given.get("output_padding", [0, 0]), given.get("group", 1)
    return lambda x, w, b=None: F.conv_transpose2d(x, w, b, strides, pads, extra, group)


def _depth_to_space(given: Attributes) -> Node:
    if given.get("mode", b"DCR") != b"CRD":
        raise ValueError("DepthToSpace in another order than CRD")
    return lambda x: F.pixel_shuffle(x, given["blocksize"])


def _resize(given: Attributes) -> Node:
    if given["mode"] not in (b"linear", b"nearest"):
        raise ValueError(f"Resize by {given['mode']!r}")
    linear = given["mode"] == b"linear"

    def apply(x: Tensor, roi: Tensor | None, scales: Tensor) -> Tensor:
        factors = [float(s) for s in scales[2:]]
        if linear:
            return F.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=False)
        return F.interpolate(x, scale_factor=factors, mode="nearest")

    return apply


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _slice(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor, steps: Tensor) -> Tensor:
    listed = (tensor.tolist() for tensor in (starts, ends, axes, steps))
    for start, end, axis, step in zip(*listed, strict=True):
        x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
        if step != 1:
            raise ValueError(f"Slice with step {step}")
    return x


def _plain(function: Node) -> Callable[[Attributes], Node]:
    return lambda given: function


OPERATORS: dict[str, Callable[[Attributes], Node]] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "Cast": _plain(lambda x: x),  # weights that are stored as FP16; the module's type rules
    "Clip": _plain(_clip),
    "Concat": lambda given: lambda *x: torch.cat(x, given["axis"]),
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "DepthToSpace": _depth_to_space,
    "Div": _plain(torch.div),
    "LeakyRelu": lambda given: lambda x: F.leaky_relu(x, given.get("alpha", 0.01)),
    "Mul": _plain(torch.mul),
    "Relu": _plain(F.relu),
    "Resize": _resize,
    "Round": _plain(torch.round),
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _plain(_slice),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
}


class TorchGraph(nn.Module):
    """The nodes in order. Called with the inputs by position; gives the outputs as a tuple."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        graph = onnx.load_from_string(data).graph
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._inputs = [port.name for port in graph.input if port.name not in held]
        self._outputs = [port.name for port in graph.output]
        self._steps: list[tuple[Node, list[str], str]] = []
        for node in graph.node:
            given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                held[node.output[0]] = numpy_helper.to_array(given["value"])
            elif node.op_type in OPERATORS:
                made = OPERATORS[node.op_type](given)
                self._steps.append((made, list(node.input), node.output[0]))
            else:
                raise ValueError(f"operator {node.op_type} is not known to this baseline")
        self._names = {name: f"held_{i}" for i, name in enumerate(held)}
        for name, array in held.items():
            wide = array.astype(np.float32) if array.dtype == np.float16 else array
            tensor = torch.from_numpy(np.array(wide))
            # Sizes and positions are read by the host, so they are no buffers of the device.
            if tensor.is_floating_point():
                self.register_buffer(self._names[name], tensor)
            else:
                setattr(self, self._names[name], tensor)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run all nodes."""
        values: dict[str, Any] = dict(zip(self._inputs, inputs, strict=True))
        for function, names, output in self._steps:
            values[output] = function(*(self._value(values, name) for name in names))
        return tuple(values[name] for name in self._outputs)

    def _value(self, values: dict[str, Any], name: str) -> Any:
        if not name:
            return None
        return values[name] if name in values else getattr(self, self._names[name])
