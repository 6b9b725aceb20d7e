"""Runs exact graphs with 64-bit integer sums: the reference that no floating point can blur.

ONNX's own reference evaluator (NumPy) runs the graph; its convolutions are replaced by sums of
int64 products here. What is left in float32 are single, correctly rounded operations on values
that were integers before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from latentsr.errors import ExportError

Integers = NDArray[np.int64]


class IntegerGraph:
    """An exact graph, ready to run.

    graph: a serialised ONNX model whose convolutions meet integers only.
    """

    def __init__(self, graph: bytes) -> None:
        model = onnx.load_from_string(graph)
        self._outputs = [value.name for value in model.graph.output]
        self._evaluator = ReferenceEvaluator(model, new_ops=[Conv, ConvTranspose])

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name for float32 NCHW inputs; ExportError where a value is no integer."""
        found = self._evaluator.run(None, dict(inputs))
        return dict(zip(self._outputs, found, strict=True))


def _integers(name: str, values: NDArray[np.floating]) -> Integers:
    integers = np.rint(values).astype(np.int64)
    if not np.array_equal(integers, values):
        raise ExportError(
            f"graph is not exact: found a fraction in the {name} of a convolution, expected "
            "integers; export the bundle again"
        )
    return integers


def _correlate(x: Integers, weight: Integers, strides: Sequence[int]) -> Integers:
    """Valid correlation of padded x (N, C, H, W) with weight (M, C, kh, kw)."""
    rows = (x.shape[2] - weight.shape[2]) // strides[0] + 1
    columns = (x.shape[3] - weight.shape[3]) // strides[1] + 1
    total = np.zeros((x.shape[0], weight.shape[0], rows, columns), np.int64)
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            tap = x[:, :, i : i + rows * strides[0] : strides[0],
                    j : j + columns * strides[1] : strides[1]]  # fmt: skip
            total += np.einsum("mc,nchw->nmhw", weight[:, :, i, j], tap)
    return total


def _biased(total: Integers, bias: NDArray[np.float32] | None) -> tuple[NDArray[np.float32]]:
    if bias is not None:
        total = total + _integers("bias", bias).reshape(1, -1, 1, 1)
    return (total.astype(np.float32),)


def _refuse_unless(holds: bool, what: str) -> None:
    if not holds:
        raise ExportError(
            f"graph has a convolution that this reference does not know: found {what}, expected "
            "none; report the graph"
        )


class Conv(OpRun):
    """ONNX Conv of integers, without groups and dilations."""

    op_domain = ""

    def _run(self, x: Any, weight: Any, bias: Any = None, **options: Any) -> tuple[Any]:
        _refuse_unless((options.get("group") or 1) == 1, "groups")
        _refuse_unless(set(options.get("dilations") or [1]) == {1}, "dilations")
        top, left, bottom, right = options.get("pads") or (0, 0, 0, 0)
        padded = np.pad(_integers("input", x), ((0, 0), (0, 0), (top, bottom), (left, right)))
        total = _correlate(padded, _integers("weight", weight), options.get("strides") or (1, 1))
        return _biased(total, bias)


class ConvTranspose(OpRun):
    """ONNX ConvTranspose of integers, without groups and dilations."""

    op_domain = ""

    def _run(self, x: Any, weight: Any, bias: Any = None, **options: Any) -> tuple[Any]:
        _refuse_unless((options.get("group") or 1) == 1, "groups")
        _refuse_unless(set(options.get("dilations") or [1]) == {1}, "dilations")
        step_h, step_w = options.get("strides") or (1, 1)
        top, left, bottom, right = options.get("pads") or (0, 0, 0, 0)
        more_h, more_w = options.get("output_padding") or (0, 0)
        high, wide = weight.shape[2:]
        # A transposed convolution is a plain one, turned round, of x with zeros put between.
        spread = np.zeros(
            (*x.shape[:2], (x.shape[2] - 1) * step_h + 1, (x.shape[3] - 1) * step_w + 1), np.int64
        )
        spread[:, :, ::step_h, ::step_w] = _integers("input", x)
        borders = ((high - 1 - top, high - 1 - bottom + more_h),
                   (wide - 1 - left, wide - 1 - right + more_w))  # fmt: skip
        padded = np.pad(spread, ((0, 0), (0, 0), *borders))
        turned = _integers("weight", weight).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        return _biased(_correlate(padded, turned, (1, 1)), bias)
