"""FP16 export: ranges that are measured, rounding that is emulated, graphs that are refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
onnx = pytest.importorskip("onnx", reason="the exporter needs onnx")

from onnx import helper  # noqa: E402

import half_cases as cases  # noqa: E402
from latentsr.errors import ExportError  # noqa: E402
from latentsr_export.fp16.calibration import ranges  # noqa: E402
from latentsr_export.fp16.convert import convert  # noqa: E402
from latentsr_export.fp16.flow import read_flow  # noqa: E402


def test_values_that_are_not_finite_name_the_first_node() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "relu"),
        helper.make_node("Log", ["a"], ["b"], "log"),
        helper.make_node("Neg", ["b"], ["y"], "neg"),
    ]
    sample = {"x": np.zeros((1, 3, 4, 4), np.float32)}
    with pytest.raises(ExportError, match=r"not finite in float32: found the first at log \(Log\)"):
        convert(cases.model(nodes, {}), [sample])


def test_control_flow_is_refused() -> None:
    branch = helper.make_graph([], "branch", [], [])
    nodes = [helper.make_node("If", ["x"], ["y"], "if", then_branch=branch, else_branch=branch)]
    with pytest.raises(ExportError, match="control flow in node if"):
        read_flow(cases.model(nodes, {}))


def test_ranges() -> None:
    data = cases.model([helper.make_node("Neg", ["x"], ["y"], "neg")], {})
    samples = [{"x": np.full((1, 3, 2, 2), value, np.float32)} for value in (-3, 0.5)]
    found = ranges(data, ["x", "y"], samples)
    assert (found["y"].peak, found["y"].least, found["y"].mean) == (3, 0.5, 1.75)
    samples.append({"x": np.array([np.nan] + [1] * 11, np.float32).reshape(1, 3, 2, 2)})
    assert not ranges(data, ["y"], samples)["y"].finite


def test_emulation_rounds_every_value() -> None:
    """1 + 2^-12 is 1 in FP16, so the difference is gone; float32 would keep it."""
    nodes = [
        helper.make_node("Add", ["x", "small"], ["a"], "add"),
        helper.make_node("Sub", ["a", "one"], ["y"], "sub"),
    ]
    data = cases.model(nodes, {"small": np.float32(2.0**-12), "one": np.float32(1)})
    sample = {"x": np.ones((1, 3, 2, 2), np.float32)}
    assert (cases.run(data, sample)["y"] == 2.0**-12).all()
    assert (cases.naive_result(data, sample)["y"] == 0).all()
