"""Where to cut a graph into pieces that are tiled apart, and the window of each.

A trunk of many layers on a small grid has a wide window and costs little; what enlarges its result
costs much and has a narrow one. Run as one graph, each tile computes the trunk's margins in the
layers behind it, too. So values that all paths lead through are tried as cuts, and those are taken
that make tiles of a usual size cheapest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import onnx

from latentsr.onnx_part import part_between
from latentsr_export.reach import NotLocalError
from latentsr_export.receptive_field import (
    local_window,
    needs_folding,
    positions,
    sized_model,
    window_of,
)
from latentsr_export.trace import node_macs

_MEMORY = 100 << 20  # bytes of values that a usual tile has at once
_GAIN = 0.85  # of the cost that a further cut must stay below
_MOST_PIECES = 3
_TRIED = 16
_SMALL = 64
_WORST = 1e6


@dataclass(frozen=True)
class _Graph:
    """A graph whose large constants are left out: the ends of its only way, and values to cut at.

    values: name and channels, in order.
    """

    data: bytes
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    values: tuple[tuple[str, int], ...]


def window_with_pieces(data: bytes) -> dict[str, Any]:
    """`receptive_field.window_of`, with `pieces` where cutting the graph pays."""
    window = window_of(data)
    if "inputs" not in window or len(window["inputs"]) != 1:
        return window
    graph = _without_weights(data, window)
    cuts: tuple[tuple[str, int], ...] = ()
    best = _pieces(graph, cuts)
    while len(cuts) + 1 < _MOST_PIECES:
        ways = [_sorted(graph, (*cuts, value)) for value in graph.values if value not in cuts]
        tried = [(_cost(pieces), way, pieces)
                 for way in ways if (pieces := _pieces(graph, way))]  # fmt: skip
        if not tried:
            break
        cost, way, pieces = min(tried, key=lambda one: one[0])
        if cost > _GAIN * _cost(best):
            break
        cuts, best = way, pieces
    return window if not cuts else {**window, "pieces": best}


def _pieces(graph: _Graph, cuts: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
    """The pieces between cuts; none where one has no window."""
    found = []
    ends = [graph.inputs, *((cut,) for cut in cuts), graph.outputs]
    for before, behind in pairwise(ends):
        data = part_between(graph.data, before, behind)
        try:
            window = local_window(data)
        except NotLocalError:
            return []
        value = {"value": behind[0][0]} if behind is not ends[-1] else {}
        found.append({**value, **window, "macs_per_position": _macs(data, window)})
    return found


def _macs(data: bytes, window: dict[str, Any]) -> float:
    model, shapes = sized_model(onnx.load_from_string(data), window["inputs"])
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    weights |= {name: shapes[name] for node in model.graph.node for name in node.output
                if all(i in weights for i in node.input) and name in shapes}  # fmt: skip
    counted = sum(node_macs(node, shapes, weights) for node in model.graph.node)
    return round(counted / positions(model, shapes), 1)


def _cost(pieces: list[dict[str, Any]]) -> float:
    """MACs of all pieces in usual tiles, margins included, for each position of the input."""
    cost, scale = 0.0, 1.0
    for piece in pieces:
        one = piece["inputs"][0]
        margin = max((one["before"][axis] + one["after"][axis]) for axis in (0, 1))
        side = math.sqrt(_MEMORY / max(piece["bytes"], 1.0))
        net = side - margin
        cost += scale * piece["macs_per_position"] * ((side / net) ** 2 if net > 1 else _WORST)
        scale *= math.prod(piece["outputs"][0]) / math.prod(one["step"])
    return cost


def _sorted(graph: _Graph, cuts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    return tuple(value for value in graph.values if value in cuts)


def _without_weights(data: bytes, window: dict[str, Any]) -> _Graph:
    """The graph as it is cut again and again: its large constants cost time and say nothing."""
    model = onnx.load_from_string(data)
    _, shapes = sized_model(onnx.load_from_string(data), window["inputs"])
    if not needs_folding(onnx.load_from_string(data), window["inputs"]):
        for tensor in model.graph.initializer:
            if math.prod(tensor.dims) > _SMALL:
                tensor.ClearField("float_data")
                tensor.raw_data = b""
    values = [(name, shapes[name][1]) for name in _narrow(model.graph)
              if len(shapes.get(name, [])) == 4]  # fmt: skip
    every = max(-(-len(values) // _TRIED), 1)
    return _Graph(
        model.SerializeToString(),
        tuple((port.name, 0) for port in model.graph.input),
        tuple((port.name, 0) for port in model.graph.output),
        tuple(values[every - 1 :: every]),
    )


def _narrow(graph: onnx.GraphProto) -> list[str]:
    """Values that all paths from the input to the outputs lead through, in order."""
    constant = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if all(name in constant for name in node.input if name):
            constant |= set(node.output)
    last = {name: number for number, node in enumerate(graph.node) for name in node.input}
    last |= {port.name: len(graph.node) for port in graph.output}
    alive = {port.name for port in graph.input}
    found: list[str] = []
    for number, node in enumerate(graph.node[:-1]):
        alive = {v for v in alive | (set(node.output) - constant) if last.get(v, -1) > number}
        if len(alive) == 1 and node.output[0] in alive:
            found += alive
    return found
