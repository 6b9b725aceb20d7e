"""The window of an ONNX graph: which part of its inputs a block of its outputs depends on.

A graph has a window where it does the same at all places: moving its inputs by a step moves its
outputs by a step. Then a part of the output can be computed from a part of the input. The borders
of that part must lie `before` and `after` positions outside, or be the picture's own borders,
where the graph's padding belongs. `latentsr.windows` has the form in the manifest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from latentsr_export.graph_shapes import Shapes, folded, set_sizes, shapes_of
from latentsr_export.interleaving import Axes, Field
from latentsr_export.local_ops import taps_of
from latentsr_export.reach import IDENTITY, NotLocalError, Reach, compose, union

_SIDE = 64  # positions along each axis that sizes are measured at, at least
_SMALL = 64  # constants of up to so many elements may say where an operator reads
Fields = dict[str, Field]


def window_of(data: bytes) -> dict[str, Any]:
    """The manifest's `window` of an ONNX file with NCHW inputs and outputs.

    {inputs, outputs, channels, bytes}, or {whole: reason, bytes} where the graph has to see the
    whole picture.
    """
    try:
        return local_window(data)
    except NotLocalError as reason:
        return {"whole": str(reason), **_whole_bytes(onnx.load_from_string(data))}


def local_window(data: bytes) -> dict[str, Any]:
    """{inputs, outputs, channels, bytes}; NotLocalError where the graph has no window."""
    model = onnx.load_from_string(data)
    fields = _fields(model)
    inputs, outputs = _blocks(model, fields)
    sized, shapes = sized_model(model, inputs)
    _check_sizes(sized, shapes, inputs, outputs)
    channels = [shapes[port.name][1] for port in sized.graph.output]
    size = _live_bytes(sized, shapes) / positions(sized, shapes)
    return {"inputs": inputs, "outputs": outputs, "channels": channels, "bytes": round(size, 1)}


def _whole_bytes(model: onnx.ModelProto) -> dict[str, float]:
    """`bytes` of a graph of one input that has no window, where its values' shapes follow."""
    if len(model.graph.input) != 1:
        return {}
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    set_sizes(model, [[1, channels, _SIDE, _SIDE]])
    model = folded(model)
    return {"bytes": round(_live_bytes(model, shapes_of(model)) / _SIDE**2, 1)}


def _fields(model: onnx.ModelProto) -> Fields:
    """For each value: which positions of each input of the graph it depends on, rows, columns."""
    graph = model.graph
    fields: Fields = {port.name: {port.name: (IDENTITY, IDENTITY)} for port in graph.input}
    constants, weights = _constants(model)
    counted: set[str] = set()  # numbers that follow from the picture's size
    axes = Axes(constants)
    for node in graph.node:
        given = [name for name in node.input if name and name not in weights]
        if all(name in weights for name in node.output):
            continue
        if node.op_type == "Shape" or (given and counted.issuperset(given)):
            counted |= set(node.output)
            continue
        try:
            if counted & set(given):
                raise NotLocalError("it takes numbers that depend on the picture's size")
            turned = axes.take(node, fields)
            if turned is not None:
                fields |= {node.output[0]: turned} if turned else {}
                continue
            rows, columns = taps_of(node, constants, weights)
            made = {
                port: (compose(row, rows), compose(column, columns))
                for port, (row, column) in _joined([fields[name] for name in given]).items()
            }
        except NotLocalError as reason:
            raise NotLocalError(f"{node.op_type} {node.name}: {reason}") from None
        fields |= dict.fromkeys(node.output, made)
    return fields


def _joined(given: list[Field]) -> Field:
    ports = dict.fromkeys(port for one in given for port in one)
    of = {port: [one[port] for one in given if port in one] for port in ports}
    return {
        port: (union([rows for rows, _ in both]), union([columns for _, columns in both]))
        for port, both in of.items()
    }


def _constants(model: onnx.ModelProto) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """Small values that depend on nothing, and the shapes of all of them."""
    graph = model.graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = shapes_of(model)
    small = {t.name: numpy_helper.to_array(t) for t in graph.initializer
             if math.prod(t.dims) <= _SMALL}  # fmt: skip
    for node in graph.node:
        if not all(name in weights for name in node.input if name):
            continue
        weights |= {name: shapes[name] for name in node.output if name in shapes}
        if all(name in small for name in node.input if name):
            given = {name: small[name] for name in node.input if name}
            for name, value in zip(
                node.output, ReferenceEvaluator(node).run(None, given), strict=True
            ):
                small[name] = np.asarray(value)
                weights[name] = list(small[name].shape)
    return small, weights


def _blocks(
    model: onnx.ModelProto, fields: Fields
) -> tuple[list[dict[str, list[int]]], list[list[int]]]:
    """Steps and margins of the inputs, and steps of the outputs, along rows and columns."""
    ports, made = [[p.name for p in side] for side in (model.graph.input, model.graph.output)]
    if any(name not in fields for name in made):
        raise NotLocalError("an output has other axes than rows and columns")
    if any(set(fields[name]) != set(ports) for name in made):
        raise NotLocalError("an output does not depend on every input")
    axes = [_axis([[fields[name][port][axis] for port in ports] for name in made])
            for axis in (0, 1)]  # fmt: skip
    inputs = [
        {key: [axes[0][0][i][key], axes[1][0][i][key]] for key in ("step", "before", "after")}
        for i in range(len(ports))
    ]
    return inputs, [[axes[0][1][o], axes[1][1][o]] for o in range(len(made))]


def _axis(reaches: list[list[Reach]]) -> tuple[list[dict[str, int]], list[int]]:
    """One axis: reaches[output][input] brought to one block, and what the block needs."""
    # A block is as many positions of the first input as all periods divide.
    same = [[r.repeated(_common(row) // len(r.spans)) for r in row] for row in reaches]
    step = math.lcm(*(row[0].step for row in same))
    same = [[r.repeated(step // row[0].step) for r in row] for row in same]
    inputs = []
    for column in zip(*same, strict=True):
        if len({r.step for r in column}) > 1:
            raise NotLocalError("its outputs are of sizes that do not fit")
        spans = [span for r in column for span in r.spans if span is not None]
        if not spans:
            raise NotLocalError("an output depends on nothing")
        wide = column[0].step
        before = max(0, -min(first for first, _ in spans))
        after = max(0, max(last for _, last in spans) - (wide - 1))
        inputs.append({"step": wide, "before": before, "after": after})
    return inputs, [len(row[0].spans) for row in same]


def _common(row: list[Reach]) -> int:
    return math.lcm(*(len(reach.spans) for reach in row))


def sized_model(
    model: onnx.ModelProto, inputs: list[dict[str, list[int]]]
) -> tuple[onnx.ModelProto, Shapes]:
    """A graph with inputs of some whole blocks, and the shapes of its values."""
    if needs_folding(model, inputs):
        model = folded(model)
    return model, shapes_of(model)


def needs_folding(model: onnx.ModelProto, inputs: list[dict[str, list[int]]]) -> bool:
    """Whether shapes are unknown even with inputs of some whole blocks, which it gets."""
    blocks = _blocks_of(inputs)
    sizes = []
    for port, block in zip(model.graph.input, inputs, strict=True):
        channels = port.type.tensor_type.shape.dim[1].dim_value
        sides = [n * step for n, step in zip(blocks, block["step"], strict=True)]
        sizes.append([1, channels, *sides])
    set_sizes(model, sizes)
    shapes = shapes_of(model)
    return any(0 in shapes.get(name, [0]) for node in model.graph.node for name in node.output)


def positions(model: onnx.ModelProto, shapes: Shapes) -> int:
    """Rows times columns of a sized graph's first input."""
    return math.prod(shapes[model.graph.input[0].name][2:])


def _blocks_of(inputs: list[dict[str, list[int]]]) -> list[int]:
    return [-(-_SIDE // inputs[0]["step"][axis]) for axis in (0, 1)]


def _check_sizes(
    model: onnx.ModelProto, shapes: Shapes, inputs: list[dict[str, list[int]]],
    outputs: list[list[int]],
) -> None:  # fmt: skip
    for port, steps in zip(model.graph.output, outputs, strict=True):
        expected = [n * step for n, step in zip(_blocks_of(inputs), steps, strict=True)]
        if shapes[port.name][2:] != expected:
            found = "x".join(map(str, shapes[port.name][2:]))
            raise NotLocalError(
                f"its output {port.name} is of {found} positions in place of "
                f"{'x'.join(map(str, expected))}"
            )


def _live_bytes(model: onnx.ModelProto, shapes: Shapes) -> int:
    """Most bytes of values that are alive together when the nodes run in their order.

    A transposed convolution also writes each input position's products for all taps before it
    adds them up, as ONNX Runtime does.
    """
    graph = model.graph
    constant = {tensor.name for tensor in graph.initializer}
    constant |= {n.output[0] for n in graph.node if all(i in constant for i in n.input if i)}
    sides = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    last = {name: number for number, node in enumerate(graph.node) for name in node.input}
    last |= {port.name: len(graph.node) for port in (*graph.output, *graph.input)}
    alive = {port.name: _bytes(shapes[port.name]) for port in graph.input}
    most = sum(alive.values())
    for number, node in enumerate(graph.node):
        if all(name in constant for name in node.output):
            continue
        alive |= {name: _bytes(shapes.get(name, [])) for name in node.output if name}
        products = 0
        if node.op_type == "ConvTranspose":
            kernel = sides.get(node.input[1]) or shapes.get(node.input[1], [0])
            products = 4 * math.prod(kernel[1:]) * math.prod(shapes[node.input[0]][2:])
        most = max(most, sum(alive.values()) + products)
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > number}
    return most


def _bytes(shape: list[int]) -> int:
    return 4 * math.prod(shape)
