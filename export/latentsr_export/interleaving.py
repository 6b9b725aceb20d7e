"""Rows and columns that graphs put in turn, and axes that they exchange: where a sample comes from.

PyTorch stacks values along a fifth axis and merges it into the columns: in ONNX Unsqueeze, Concat
and a Reshape to (0, 0, 0, -1). Rows are columns between two transpositions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from latentsr_export.reach import NotLocalError, Reach, interleaved, union

Both = tuple[Reach, Reach]
Field = dict[str, Both]
"""Which rows and columns of each input of a graph a value depends on."""
_LAST = (4, -1)  # the fifth axis


@dataclass(frozen=True)
class Value:
    """A value on the way: stacked, of five axes, with a part for each place along the fifth;
    turned: rows and columns are exchanged."""

    parts: tuple[Field, ...]
    stacked: bool = False
    turned: bool = False


class Axes:
    """Operators on axes, and the values between them, which no other operator may take."""

    def __init__(self, constants: Mapping[str, np.ndarray]) -> None:
        self._constants = constants
        self._between: dict[str, Value] = {}

    def take(self, node: onnx.NodeProto, fields: Mapping[str, Field]) -> Field | None:
        """What the output of a node on axes depends on, {} where more such nodes have to follow.

        None for other nodes. Raises NotLocalError for those that take a value on the way.
        """
        given = [self._between.get(name) or Value((fields[name],)) for name in node.input
                 if name in fields or name in self._between]  # fmt: skip
        made = self._made(node, given)
        if made is None:
            if any(value.stacked or value.turned for value in given):
                raise NotLocalError("it takes a value whose axes are not rows and columns")
            return None
        if made.stacked or made.turned:
            self._between[node.output[0]] = made
            return {}
        return made.parts[0]

    def _made(self, node: onnx.NodeProto, given: list[Value]) -> Value | None:
        """The output of a node on axes, None of others."""
        known: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        stacked, turned = ({getattr(v, name) for v in given} for name in ("stacked", "turned"))
        if len(stacked) != 1 or len(turned) != 1:
            return None
        first = given[0]
        if node.op_type == "Transpose" and list(known.get("perm", [])) == [0, 1, 3, 2]:
            swapped = {port: (c, r) for port, (r, c) in first.parts[0].items()}
            return None if first.stacked else Value((swapped,), False, not first.turned)
        if node.op_type == "Unsqueeze" and not first.stacked:
            last = self._numbers(node, known, "axes") in ([axis] for axis in _LAST)
            return Value(first.parts, True, first.turned) if last else None
        if not first.stacked:
            return None
        if node.op_type == "Concat" and known["axis"] in _LAST:
            return Value(tuple(part for v in given for part in v.parts), True, first.turned)
        if node.op_type == "Reshape" and self._numbers(node, known, "shape") == [0, 0, 0, -1]:
            return Value((merged(first.parts),), False, first.turned)
        return None

    def _numbers(self, node: onnx.NodeProto, known: Mapping[str, Any], name: str) -> list[int]:
        """A node's second input, or the attribute in its place; empty where it is computed."""
        if len(node.input) > 1:
            return [int(v) for v in np.ravel(self._constants.get(node.input[1], np.array([])))]
        return [int(v) for v in known.get(name, [])]


def merged(parts: tuple[Field, ...]) -> Field:
    """The field of a value whose columns are those of the parts in turn."""
    found: Field = {}
    for port in dict.fromkeys(port for part in parts for port in part):
        both = [part.get(port) for part in parts]
        rows = union([one[0] for one in both if one is not None])
        found[port] = rows, interleaved([None if one is None else one[1] for one in both])
    return found
