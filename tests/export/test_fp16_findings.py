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


def test_outputs_keep_their_values_however_small() -> None:
    """What shares a class with an output may not be divided, whichever of them was met first."""
    weights = np.random.default_rng(0).normal(0, 1e-5, (3, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "small"),
        helper.make_node("Relu", ["a"], ["y"], "relu"),
    ]
    data = cases.model(nodes, {"w": weights})
    sample = {"x": cases._values(3, 8, 8, False)}
    half = convert(data, [sample])
    full = cases.run(cases.tidy(data), sample)["y"]
    assert np.array_equal(cases.run(half.full, sample)["y"], full)
    assert np.allclose(cases.run(half.data, sample)["y"], full, rtol=0, atol=full.max() / 1000)
    assert not half.report["rescaled"]
    reasons = [island["reason"] for island in half.report["islands"]]
    assert any("below what FP16 resolves" in reason for reason in reasons)


def test_values_make_room_for_small_weights_down_to_one() -> None:
    rng = np.random.default_rng(0)
    large = rng.normal(0, 40, (4, 3, 1, 1)).astype(np.float32)
    small = rng.normal(0, 1e-7, (3, 4, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "large"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "v"], ["c"], "small"),
        helper.make_node("Mul", ["c", "k"], ["y"], "back"),
    ]
    data = cases.model(nodes, {"w": large, "v": small, "k": np.float32(1e5)})
    sample = {"x": cases._values(3, 8, 8, False)}
    half = convert(data, [sample])
    met = ranges(data, ["a", "b"], [sample])
    peak = max(met["a"].peak, met["b"].peak)
    assert 1 <= peak / 2.0 ** half.report["rescaled"]["a"] < 2
    full = cases.run(cases.tidy(data), sample)["y"]
    assert np.array_equal(cases.run(half.full, sample)["y"], full)
    assert np.allclose(cases.run(half.data, sample)["y"], full, rtol=0, atol=full.max() / 200)
