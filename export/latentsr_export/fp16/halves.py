"""A graph typed for FP16: float16 weights and values, Casts only at float32 islands and ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto

from latentsr_export.fp16.exponents import BOUNDED, LARGEST, LINEAR
from latentsr_export.fp16.flow import READERS, Flow, cast, finish, typed_slots, write_constants

_FULL, _HALF = int(TensorProto.FLOAT), int(TensorProto.FLOAT16)
_ENDINGS = {_FULL: "_fp32", _HALF: "_fp16"}
PORTS = {"fp32": _FULL, "fp16": _HALF}
# Emulation sums in float32; an engine may sum in FP16, and over a whole picture that overflows.
_SUMS = (
    "ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp",
    "GlobalAveragePool", "Softmax", "LogSoftmax", "LayerNormalization", "InstanceNormalization",
)  # fmt: skip
# Rounding to FP16 is off by 2^-12 of the value or less; more means a subnormal number.
_WEIGHT_ERROR, _CONSTANT_ERROR = 2.0**-11, 2.0**-10


def islands(flow: Flow, wide: Mapping[str, str]) -> dict[str, str]:
    """Nodes that must compute in float32, by their first output, with the reason.

    wide: tensors that FP16 cannot hold, with the reason; every node that touches one is an island.
    So are those that sum over many positions, and those that compute where GridSample reads.
    """
    found: dict[str, str] = dict.fromkeys(_positions(flow), "positions, which FP16 would move")
    for node in flow.nodes:
        touched = [name for name in (*node.output, *flow.values(node)) if name in wide]
        misfits = [m for name in flow.weights(node) if (m := _misfit(flow, name, node))]
        if touched:
            found[node.output[0]] = wide[touched[0]]
        elif node.op_type in _SUMS:
            found[node.output[0]] = "sums many values, which engines may do in FP16"
        elif misfits:
            found[node.output[0]] = misfits[0]
    return found


def _positions(flow: Flow) -> set[str]:
    """First outputs of all GridSample nodes and of what makes their grids of network outputs.

    FP16 has 2^11 steps from the middle of a picture to its border: pixels of wide ones lie between.
    """
    samplers = [node for node in flow.nodes if node.op_type == "GridSample"]
    found = {node.output[0] for node in samplers}
    grids = [node.input[1] for node in samplers]
    while grids:
        node = flow.producer.get(grids.pop())
        # Convolutions and what is bounded give offsets of a few pixels, which FP16 resolves.
        if node is None or node.op_type in (*LINEAR, *BOUNDED) or node.output[0] in found:
            continue
        found.add(node.output[0])
        grids += flow.values(node)
    return found


def _misfit(flow: Flow, name: str, node: onnx.NodeProto) -> str | None:
    """Why a constant cannot be FP16, or None."""
    values = flow.constants[name].astype(np.float32)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16).astype(np.float32)
    sizes = np.abs(values)
    finite = sizes[np.isfinite(values)]
    if np.any(np.isfinite(values) & ~np.isfinite(rounded)):
        return f"constant {float(finite.max()):.4g} exceeds {LARGEST:g}"
    error = np.abs(np.where(np.isfinite(values), rounded - values, 0))
    if node.op_type in LINEAR:
        # A weight matters by its share of a sum.
        if finite.size and float(error.max()) > _WEIGHT_ERROR * float(finite.max()):
            return f"weights up to {float(finite.max()):.3g} only, below what FP16 resolves"
        return None
    lost = np.where(np.isfinite(sizes), error > _CONSTANT_ERROR * sizes, False)
    return f"constant {float(sizes[lost].max()):.4g} loses digits in FP16" if lost.any() else None


@dataclass
class Typed:
    """Writes one graph; the flow's model is changed in place.

    islands: first outputs of the nodes that stay float32. ports: type of the graph's inputs and
    outputs, ``fp32`` or ``fp16``.
    """

    flow: Flow
    islands: Mapping[str, str]
    ports: str = "fp32"
    _made: list[onnx.NodeProto] = field(default_factory=list)
    _stored: dict[str, tuple[str, int]] = field(default_factory=dict)
    _casts: dict[tuple[str, int], str] = field(default_factory=dict)
    _constants: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self) -> bytes:
        """The typed graph as an ONNX file; without islands this is the naive conversion."""
        graph, port = self.flow.model.graph, PORTS[self.ports]
        self._constants = dict(self.flow.constants)
        for value in (*graph.input, *graph.output):
            if value.name in self.flow.path:
                value.type.tensor_type.elem_type = port
        self._stored = {name: (name, port) for name in self.flow.inputs}
        own = {node.output[0] for node in self.flow.nodes}
        for node in list(graph.node):
            if node.output[0] in own:
                self._value_node(node, _FULL if node.output[0] in self.islands else _HALF, port)
            else:
                self._other_node(node)
        for name in self.flow.outputs:
            if self._stored[name][0] != name:
                self._made.append(cast(self._stored[name][0], name, port))
        del graph.node[:]
        graph.node.extend(self._made)
        write_constants(graph, self._constants)
        return finish(self.flow.model)

    def _value_node(self, node: onnx.NodeProto, kind: int, port: int) -> None:
        for slot in typed_slots(node):
            name = node.input[slot]
            if name in self.flow.constants:
                node.input[slot] = self._constant(name, kind)
            else:
                node.input[slot] = self._as(name, kind)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                attribute.i = kind
        for slot, name in enumerate(node.output):
            if not name:
                continue
            stored = name
            if name in self.flow.outputs and kind != port:
                stored = node.output[slot] = name + _ENDINGS[kind]
            self._stored[name] = (stored, kind)
        self._made.append(node)

    def _other_node(self, node: onnx.NodeProto) -> None:
        for slot, name in enumerate(node.input):
            if name in self._stored:
                reads = node.op_type in READERS
                node.input[slot] = self._stored[name][0] if reads else self._as(name, _FULL)
        self._made.append(node)

    def _as(self, name: str, kind: int) -> str:
        """The tensor's name in the type that is wanted, cast where it has another."""
        stored, has = self._stored.get(name, (name, self.flow.types.get(name, _FULL)))
        if has == kind or has not in _ENDINGS:  # shapes and indexes stay what they are
            return stored
        if (name, kind) not in self._casts:
            self._casts[name, kind] = made = name + _ENDINGS[kind]
            self._made.append(cast(stored, made, kind))
        return self._casts[name, kind]

    def _constant(self, name: str, kind: int) -> str:
        values = self.flow.constants[name]
        if kind == _FULL or values.dtype != np.float32:
            return name
        half = name + _ENDINGS[_HALF]
        with np.errstate(over="ignore"):
            self._constants.setdefault(half, values.astype(np.float16))
        return half
