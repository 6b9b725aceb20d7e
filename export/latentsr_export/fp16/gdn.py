"""GDN layers of a graph, and the power of two that brings each one's square into FP16's range.

GDN is homogeneous (Ballé et al. 2016, arXiv 1511.06281): with x' = x / s and β' = β / s² the norm
is divided by s², its root by s, and x' times or by the root keeps its digits. With s a power of two
nothing is rounded, so that in float32 the result is the same bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from latentsr_export.fp16.calibration import Range
from latentsr_export.fp16.flow import Flow

SMALLEST_NORMAL = 2.0**-14


@dataclass(frozen=True)
class Gdn:
    """One GDN layer as `networks.gdn.FoldedGDN` or a foreign exporter writes it.

    x, square, norm, root, out: tensors. inverse: 1 / root, where it is a tensor of its own.
    multiplies: whether this is the inverse layer, x · root.
    """

    x: str
    square: str
    norm: str
    root: str
    inverse: str | None
    out: str
    multiplies: bool

    @property
    def inner(self) -> tuple[str, ...]:
        """Tensors that nothing else reads."""
        return tuple(t for t in (self.square, self.norm, self.root, self.inverse) if t)


def find_gdns(flow: Flow) -> list[Gdn]:
    """All GDN layers of a graph in order."""
    found = (_from_square(flow, node) for node in flow.nodes if _is_square(flow, node))
    return [gdn for gdn in found if gdn is not None]


def square_exponent(gdn: Gdn, ranges: Mapping[str, Range], limit: float) -> int | None:
    """k such that x / 2^k has a square, and a norm, that FP16 holds; None where there is no such.

    limit: largest magnitude that is wanted. The smallest norm must stay a normal number, else its
    root has too few digits.
    """
    norm = ranges[gdn.norm]
    peak = max(ranges[gdn.square].peak, norm.peak)
    # A norm can be as large as the limit and as small as the smallest normal number.
    least = _half_log2_up(peak / limit)
    most = math.floor(math.log2(norm.least / SMALLEST_NORMAL) / 2) if norm.least > 0 else -1000
    if least > most:
        return None
    return min(max(0, least), most)


def _half_log2_up(ratio: float) -> int:
    return math.ceil(math.log2(ratio) / 2) if ratio > 0 else -1000


def _is_square(flow: Flow, node: onnx.NodeProto) -> bool:
    if node.op_type == "Mul":
        return bool(node.input[0] == node.input[1])
    exponent = flow.constants.get(node.input[1]) if node.op_type == "Pow" else None
    return exponent is not None and exponent.size == 1 and float(exponent.reshape(())) == 2


def _from_square(flow: Flow, square: onnx.NodeProto) -> Gdn | None:
    x = square.input[0]
    norm = _only(flow, square.output[0], "Conv")
    root = _only(flow, norm.output[0], "Sqrt") if norm is not None else None
    if norm is None or root is None or norm.input[0] != square.output[0]:
        return None
    if len(flow.weights(norm)) != len(norm.input) - 1 or len(norm.input) < 3:
        return None
    names = (square.output[0], norm.output[0], root.output[0])
    for last, kind in ((_only(flow, names[2], "Mul"), True), (_only(flow, names[2], "Div"), False)):
        if last is not None and x in last.input and (kind or last.input[0] == x):
            return Gdn(x, *names, None, last.output[0], kind)
    inverse = _only(flow, names[2], "Div") or _only(flow, names[2], "Reciprocal")
    if inverse is None or not _is_inverse(flow, inverse):
        return None
    last = _only(flow, inverse.output[0], "Mul")
    if last is None or x not in last.input:
        return None
    return Gdn(x, *names, inverse.output[0], last.output[0], False)


def _only(flow: Flow, tensor: str, op_type: str) -> onnx.NodeProto | None:
    """The tensor's only consumer, if it is of this kind."""
    consumers = flow.consumers.get(tensor, [])
    if len(consumers) != 1 or consumers[0].op_type != op_type or tensor in flow.outputs:
        return None
    return consumers[0]


def _is_inverse(flow: Flow, node: onnx.NodeProto) -> bool:
    if node.op_type == "Reciprocal":
        return True
    one = flow.constants.get(node.input[0])
    return one is not None and bool(np.all(one == 1))
