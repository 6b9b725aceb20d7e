"""A graph as its values flow: constants, and the nodes and tensors between inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from latentsr.errors import ExportError

# What these read of a tensor does not depend on its type.
READERS = ("Shape", "Size")
# Inputs that have the type of the values; of every other operator all float inputs have.
_TYPED = {"Resize": (0,), "Upsample": (0,), "Pad": (0, 2), "Where": (1, 2)}


@dataclass
class Flow:
    """A float32 model taken apart for rewriting.

    model: without nodes that only make constants. constants: all of them by name. nodes: those
    between inputs and outputs that make floats, in order; computations on shapes are not among
    them. tensors: the float inputs and what `nodes` make, in order. producer, consumers: by
    tensor; consumers only among `nodes`. readers: tensors of the path that other nodes want in
    float32. types: of all tensors that are known.
    """

    model: onnx.ModelProto
    constants: dict[str, np.ndarray]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    producer: dict[str, onnx.NodeProto] = field(default_factory=dict)
    consumers: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    path: set[str] = field(default_factory=set)
    types: dict[str, int] = field(default_factory=dict)

    @property
    def inputs(self) -> list[str]:
        """Names of the float inputs."""
        given = {value.name for value in self.model.graph.input}
        return [name for name in self.tensors if name in given]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs on the path."""
        return [value.name for value in self.model.graph.output if value.name in self.path]

    def values(self, node: onnx.NodeProto) -> list[str]:
        """Tensors of the path that a node takes as values."""
        names = (node.input[slot] for slot in typed_slots(node))
        return [name for name in names if name in self.path]

    def weights(self, node: onnx.NodeProto) -> list[str]:
        """Float constants that a node takes as values."""
        names = (node.input[slot] for slot in typed_slots(node))
        return [n for n in names if n in self.constants and self.constants[n].dtype.kind == "f"]


def read_flow(data: bytes) -> Flow:
    """Take a graph apart; ExportError where it has control flow or values in other files."""
    model = onnx.load_from_string(data)
    for node in model.graph.node:
        if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
            raise ExportError(
                f"graph {model.graph.name} cannot become FP16: found control flow in node "
                f"{node.name}, expected none; export without fp16"
            )
    flow = Flow(model, _constants(model))
    types = flow.types = _types(model)
    path: dict[str, None] = {
        value.name: None for value in model.graph.input if types[value.name] == TensorProto.FLOAT
    }
    for node in model.graph.node:
        met = [name for name in node.input if name in path]
        made = [name for name in node.output if types.get(name) == TensorProto.FLOAT]
        if not met or node.op_type in READERS:
            continue
        if not made:
            flow.readers |= set(met)
            continue
        flow.nodes.append(node)
        for name in made:
            path[name] = None
            flow.producer[name] = node
        for name in dict.fromkeys(met):
            flow.consumers.setdefault(name, []).append(node)
    flow.tensors, flow.path = list(path), set(path)
    return flow


def typed_slots(node: onnx.NodeProto) -> list[int]:
    """Numbers of the inputs that have the type of the node's values."""
    slots = _TYPED.get(node.op_type, range(len(node.input)))
    return [slot for slot in slots if slot < len(node.input) and node.input[slot]]


def name_of(node: onnx.NodeProto) -> str:
    """What messages call a node."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def write_constants(graph: onnx.GraphProto, constants: dict[str, np.ndarray]) -> None:
    """Make the initializers those constants that nodes or outputs use, in order of use."""
    used: dict[str, None] = {}
    for name in (*_inputs(graph.node), *(value.name for value in graph.output)):
        if name in constants:
            used[name] = None
    del graph.initializer[:]
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(constants[name], order="C"), name) for name in used
    )


def finish(model: onnx.ModelProto) -> bytes:
    """Check a rewritten model and serialise it, the same bytes every time."""
    del model.graph.value_info[:]
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's errors have no common public class
        first = str(error).strip().splitlines()[0][:200]
        raise ExportError(
            f"graph {model.graph.name} cannot become FP16: found {first}, expected a graph that "
            "ONNX's checker takes; export without fp16"
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def _inputs(nodes: Iterable[onnx.NodeProto]) -> list[str]:
    return [name for node in nodes for name in node.input]


def _constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """All constants; nodes that only make them (stored as FP16, or under two names) are removed."""
    graph = model.graph
    if any(t.data_location != TensorProto.DEFAULT for t in graph.initializer):
        raise ExportError(f"graph {graph.name} has values in other files: expected them inside")
    found = {t.name: np.array(numpy_helper.to_array(t)) for t in graph.initializer}
    kept: list[onnx.NodeProto] = []
    alias: dict[str, str] = {}
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        for slot, name in enumerate(node.input):
            node.input[slot] = alias.get(name, name)
        value = _made_constant(node, found)
        if value is None or node.output[0] in outputs:
            kept.append(node)
        elif node.op_type == "Identity":
            alias[node.output[0]] = node.input[0]
        else:
            found[node.output[0]] = value
    del graph.node[:]
    graph.node.extend(kept)
    write_constants(graph, found)
    return found


def _made_constant(node: onnx.NodeProto, known: dict[str, np.ndarray]) -> np.ndarray | None:
    if node.op_type == "Constant" and [a.name for a in node.attribute] == ["value"]:
        return np.array(numpy_helper.to_array(node.attribute[0].t))
    if not node.input or node.input[0] not in known:
        return None
    if node.op_type == "Identity":
        return known[node.input[0]]
    if cast_type(node) == TensorProto.FLOAT:
        return known[node.input[0]].astype(np.float32)
    return None


def _types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = shape_inference.infer_shapes(model, strict_mode=True).graph
    infos: Sequence[onnx.ValueInfoProto] = (
        *inferred.value_info, *inferred.input, *inferred.output
    )  # fmt: skip
    return {info.name: info.type.tensor_type.elem_type for info in infos}


def cast_type(node: onnx.NodeProto) -> int | None:
    """What a Cast makes; None for other nodes."""
    if node.op_type != "Cast":
        return None
    return next(int(a.i) for a in node.attribute if a.name == "to")


def cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    """A Cast node named after what it makes."""
    return helper.make_node("Cast", [source], [target], f"{target}/Cast", to=kind)
