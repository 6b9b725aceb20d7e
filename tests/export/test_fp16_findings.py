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
from latentsr_export.networks.resampler import Resampler  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402
from latentsr_export.train.resampler import initialise_as_triangle  # noqa: E402


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


def test_positions_of_samples_stay_float32() -> None:
    """In FP16 the samples of wide pictures would lie up to a third of a pixel beside."""
    torch.manual_seed(1)
    network = Resampler(2, 4, blocks=1).eval()
    initialise_as_triangle(network)
    data = trace("resampler", GraphSpec(network, ("x",), ("low",), 3, 8, "picture"))
    noise = np.random.default_rng(2).random((1, 3, 16, 1536), np.float32)
    half = convert(data, [{"x": noise}])
    full, found = (cases.run(each, {"x": noise})["low"] for each in (data, half.emulation))
    assert np.abs(full - found).max() < 0.002
    assert np.abs(full - cases.naive_result(data, {"x": noise})["low"]).max() > 0.02
    kinds = cases.types(half.data)
    grids = [node.input for node in onnx.load_from_string(half.data).graph.node
             if node.op_type == "GridSample"]  # fmt: skip
    assert grids and {kinds[name] for names in grids for name in names} == {onnx.TensorProto.FLOAT}
