"""Which powers of two the tensors of a graph may be divided by, and which they need.

A tensor with exponent e is stored as its value / 2^e. Convolutions and products with constants can
change the exponent, as their constants take the difference; sums, ReLU and everything that only
moves values keep it; what is not linear needs 0. So tensors fall into classes of one exponent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from latentsr_export.fp16.calibration import Range
from latentsr_export.fp16.flow import Flow, typed_slots
from latentsr_export.fp16.gdn import SMALLEST_NORMAL, Gdn, square_exponent

LARGEST = 65504.0
SAFETY = 8.0
"""What other pictures may exceed the calibrated maxima by."""
# Below this peak, FP16's steps between subnormal numbers (2^-24) would be coarser, against the
# peak, than those of normal numbers against theirs (2^-11).
TINY = 2.0**-12

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
SAME = {
    "Add", "Sub", "Sum", "Relu", "LeakyRelu", "PRelu", "Identity", "Neg", "Abs", "DepthToSpace",
    "SpaceToDepth", "Reshape", "Transpose", "Slice", "Split", "Concat", "Squeeze", "Unsqueeze",
    "Flatten", "Expand", "Tile", "Gather", "Pad", "MaxPool", "AveragePool", "GlobalAveragePool",
    "ReduceMean", "Resize", "Upsample", "Max", "Min",
}  # fmt: skip
BOUNDED = ("Sigmoid", "HardSigmoid", "Softmax", "Tanh")


@dataclass
class Plan:
    """What is decided about a graph.

    exponents: by tensor, 0 where absent. square: for each GDN layer that stays in FP16, the
    exponent k of the x that is squared. wide: tensors that must stay float32, with the reason.
    """

    exponents: dict[str, int] = field(default_factory=dict)
    square: dict[Gdn, int] = field(default_factory=dict)
    wide: dict[str, str] = field(default_factory=dict)


class Classes:
    """Sets of tensors of equal exponent; a pinned set has exponent 0."""

    def __init__(self, tensors: Iterable[str]) -> None:
        self._above = {tensor: tensor for tensor in tensors}
        self._pinned: set[str] = set()

    def find(self, tensor: str) -> str:
        """The tensor that stands for the set."""
        while self._above[tensor] != tensor:
            self._above[tensor] = tensor = self._above[self._above[tensor]]
        return tensor

    def join(self, tensors: Sequence[str]) -> None:
        """Make the sets of these tensors one."""
        first = self.find(tensors[0])
        for tensor in tensors[1:]:
            root = self.find(tensor)
            self._above[root] = first
            if root in self._pinned:
                self._pinned.add(first)

    def pin(self, tensors: Iterable[str]) -> None:
        """Give the sets of these tensors exponent 0."""
        self._pinned |= {self.find(tensor) for tensor in tensors}

    def pinned(self, tensor: str) -> bool:
        """Whether the tensor's exponent must be 0."""
        return self.find(tensor) in self._pinned

    def sets(self) -> dict[str, list[str]]:
        """Members by the tensor that stands for them, in the order given at first."""
        found: dict[str, list[str]] = {}
        for tensor in self._above:
            found.setdefault(self.find(tensor), []).append(tensor)
        return found


def plan(flow: Flow, gdns: Sequence[Gdn], ranges: Mapping[str, Range]) -> Plan:
    """Exponents and float32 tensors such that all else fits FP16 with `SAFETY` to spare."""
    made = Plan()
    limit = LARGEST / SAFETY
    for gdn in gdns:
        exponent = square_exponent(gdn, ranges, limit)
        if exponent is None:
            norm = ranges[gdn.norm]
            reason = f"norm between {norm.least:.3g} and {norm.peak:.3g}, more than FP16 spans"
            made.wide |= dict.fromkeys(gdn.inner, reason)
        else:
            made.square[gdn] = exponent
    classes = _classes(flow, gdns)
    inner = {tensor for gdn in gdns for tensor in gdn.inner}
    demands = _demands(classes, made)
    for root, members in classes.sets().items():
        outer = [tensor for tensor in members if tensor not in inner]
        exponent = 0
        if outer and not classes.pinned(root):
            peak = max(ranges[tensor].peak for tensor in outer)
            exponent = _exponent(peak, limit, demands.get(root, 0))
            exponent = _for_weights(exponent, peak, _least_weight(flow, outer))
        if exponent:
            made.exponents |= dict.fromkeys(outer, exponent)
        made.wide |= _unfit(outer, ranges, limit, exponent)
    return made


def _demands(classes: Classes, made: Plan) -> dict[str, int]:
    """For each class, the exponent that the GDN layers on it want most."""
    found: dict[str, int] = {}
    sets = classes.sets()
    for gdn, exponent in made.square.items():
        root, out = classes.find(gdn.x), classes.find(gdn.out)
        found[root] = max(exponent, found.get(root, exponent), key=abs)
        # What x · root makes may keep the exponent that it comes with.
        if gdn.multiplies and len(sets[out]) == 1:
            found.setdefault(out, 2 * exponent)
    return found


def _exponent(peak: float, limit: float, demand: int) -> int:
    needed = math.ceil(math.log2(peak / limit)) if peak > 0 else demand
    if demand or needed > 0:
        return max(demand, needed)
    return math.floor(math.log2(peak)) if 0 < peak < TINY else 0


def _least_weight(flow: Flow, tensors: Sequence[str]) -> float:
    """The smallest of the peaks of the weights that read these tensors."""
    readers = [node for tensor in tensors for node in flow.consumers.get(tensor, [])]
    weights = [flow.constants[node.input[1]] for node in readers
               if node.op_type in LINEAR and node.input[1] in flow.constants]  # fmt: skip
    return min((float(np.abs(w).max()) for w in weights if np.any(w)), default=1.0)


def _for_weights(exponent: int, peak: float, weight: float) -> int:
    """A larger exponent where the weights behind, times 2^exponent, would be too small for FP16."""
    if math.ldexp(weight, exponent) >= 2 * SMALLEST_NORMAL:
        return exponent
    wanted = math.ceil(math.log2(2.0**-8 / weight))
    return max(exponent, min(wanted, math.floor(math.log2(peak)) if peak > 0 else 0))


def _unfit(
    members: Sequence[str], ranges: Mapping[str, Range], limit: float, exponent: int
) -> dict[str, str]:
    found = {}
    for tensor in members:
        peak = math.ldexp(ranges[tensor].peak, -exponent)
        if peak > limit:
            found[tensor] = f"values up to {peak:.3g}, {SAFETY:g} times which exceeds {LARGEST:g}"
        elif 0 < peak < TINY:
            found[tensor] = f"values up to {peak:.3g} only, below what FP16 resolves"
    return found


def _classes(flow: Flow, gdns: Sequence[Gdn]) -> Classes:
    classes = Classes(flow.tensors)
    classes.pin([*flow.inputs, *flow.outputs, *flow.readers])
    layers = {tensor for gdn in gdns for tensor in (*gdn.inner, gdn.out)}
    for node in flow.nodes:
        if node.output[0] not in layers:
            _relate(flow, node, classes)
    return classes


def _relate(flow: Flow, node: onnx.NodeProto, classes: Classes) -> None:
    values, made = flow.values(node), [name for name in node.output if name in flow.producer]
    constants = flow.weights(node)
    takes_constants = len(values) == 1 and len(constants) == len(typed_slots(node)) - 1
    if takes_constants and node.input[0] == values[0] and node.op_type in (*LINEAR, "Div"):
        return
    if takes_constants and node.op_type == "Mul":
        return
    gates = [tensor for tensor in values if _is_gate(flow, tensor)]
    if node.op_type == "Mul" and len(values) == 2 and len(gates) == 1:
        classes.pin(gates)
        classes.join([*(tensor for tensor in values if tensor not in gates), *made])
    elif node.op_type in SAME and _keeps(flow, node, values):
        classes.join([*values, *made])
    else:
        classes.pin([*values, *made])


def _is_gate(flow: Flow, tensor: str) -> bool:
    return tensor in flow.producer and flow.producer[tensor].op_type in BOUNDED


def _keeps(flow: Flow, node: onnx.NodeProto, values: Sequence[str]) -> bool:
    """Whether the operator's constants let the exponent through."""
    others = [node.input[slot] for slot in typed_slots(node) if node.input[slot] not in values]
    if node.op_type in ("Add", "Sub", "PRelu"):
        return all(name in flow.constants for name in others)
    # Zeros are zeros at every exponent.
    return all(name in flow.constants and not np.any(flow.constants[name]) for name in others)
