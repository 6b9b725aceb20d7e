"""A graph with some tensors divided by powers of two: the same results bit for bit in float32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from latentsr.errors import ExportError
from latentsr_export.fp16.calibration import Range
from latentsr_export.fp16.exponents import LARGEST, LINEAR, SAFETY, Plan
from latentsr_export.fp16.flow import Flow, finish, write_constants
from latentsr_export.fp16.gdn import SMALLEST_NORMAL, Gdn


class Rescaled:
    """Rewrites one graph; the flow's model is changed in place."""

    def __init__(self, flow: Flow, plan: Plan, ranges: Mapping[str, Range]) -> None:
        self._flow, self._plan, self._ranges = flow, plan, ranges
        self._constants = dict(flow.constants)
        # New nodes, by the first output of the node before which, or behind which, they stand.
        self._before: dict[str, onnx.NodeProto] = {}
        self._behind: dict[str, onnx.NodeProto] = {}

    def write(self, gdns: Sequence[Gdn]) -> bytes:
        """The rewritten graph as an ONNX file."""
        inside = {tensor for gdn in gdns for tensor in (*gdn.inner, gdn.out)}
        for node in self._flow.nodes:
            if node.output[0] not in inside:
                self._constants_of(node)
        for gdn in gdns:
            self._layer(gdn)
        graph = self._flow.model.graph
        nodes = []
        for node in graph.node:
            first = node.output[0]
            nodes += [self._before[first]] if first in self._before else []
            nodes.append(node)
            nodes += [self._behind[first]] if first in self._behind else []
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        write_constants(graph, self._constants)
        return finish(self._flow.model)

    def _exponent(self, tensor: str) -> int:
        return self._plan.exponents.get(tensor, 0)

    def _constants_of(self, node: onnx.NodeProto) -> None:
        """Let a node's constants take the difference of the exponents."""
        values = self._flow.values(node)
        made = self._exponent(node.output[0])
        taken = self._exponent(values[0]) if values else 0
        for slot, name in enumerate(node.input):
            if name not in self._flow.constants:
                continue
            if node.op_type in LINEAR:
                self._put(node, slot, taken - made if slot == 1 else -made)
            elif node.op_type in ("Mul", "Div"):
                self._put(node, slot, taken - made if node.op_type == "Mul" else made - taken)
            elif node.op_type in ("Add", "Sub"):
                self._put(node, slot, -made)

    def _put(self, node: onnx.NodeProto, slot: int, shift: int) -> None:
        """Multiply one of a node's constants by 2^shift; other nodes may keep the old one."""
        if not shift:
            return
        name = node.input[slot]
        scaled = f"{name}_e{shift}"
        self._constants[scaled] = _shifted(self._flow.constants[name], shift, name)
        node.input[slot] = scaled

    def _layer(self, gdn: Gdn) -> None:
        """One GDN layer: x, squared, has the exponent k, the norm n, what comes out k ± n / 2."""
        taken, made = self._exponent(gdn.x), self._exponent(gdn.out)
        k = self._plan.square.get(gdn, taken)
        sign = 1 if gdn.multiplies else -1
        n = sign * 2 * (made - k)
        if gdn in self._plan.square and not self._norm_fits(gdn, n):
            n = 2 * k
        squaring, convolution = (self._flow.producer[t] for t in (gdn.square, gdn.norm))
        last = self._flow.producer[gdn.out]
        self._put(convolution, 1, 2 * k - n)
        self._put(convolution, 2, -n)
        if k != taken:
            smaller = f"{gdn.x}_e{-k}_{len(self._before)}"
            self._before[gdn.square] = self._times(gdn.x, smaller, taken - k)
            for node in (squaring, last):
                for slot, name in enumerate(node.input):
                    if name == gdn.x:
                        node.input[slot] = smaller
        comes = k + sign * n // 2
        if comes != made:
            last.output[0] = f"{gdn.out}_e{-comes}"
            self._behind[last.output[0]] = self._times(last.output[0], gdn.out, comes - made)

    def _norm_fits(self, gdn: Gdn, n: int) -> bool:
        norm = self._ranges[gdn.norm]
        return (
            math.ldexp(norm.peak, -n) <= LARGEST / SAFETY
            and math.ldexp(norm.least, -n) >= SMALLEST_NORMAL
        )

    def _times(self, source: str, target: str, shift: int) -> onnx.NodeProto:
        factor = f"power_of_two_{shift}"
        self._constants[factor] = np.array(math.ldexp(1.0, shift), np.float32)
        return helper.make_node("Mul", [source, factor], [target], f"{target}/Mul")


def _shifted(values: np.ndarray, shift: int, name: str) -> np.ndarray:
    made = np.ldexp(values, shift).astype(np.float32)
    if not np.array_equal(np.ldexp(made, -shift), values):
        raise ExportError(
            f"constant {name} cannot be multiplied by 2^{shift}: found digits lost in float32, "
            "expected none; report the network"
        )
    return made
