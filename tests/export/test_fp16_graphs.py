"""FP16 export of single graphs: SR networks, GDN, constants, islands, determinism."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
onnx = pytest.importorskip("onnx", reason="the exporter needs onnx")

from onnx import TensorProto, helper  # noqa: E402

import half_cases as cases  # noqa: E402
from latentsr.errors import ExportError  # noqa: E402
from latentsr_export.fp16.convert import check_finite, convert  # noqa: E402
from latentsr_export.fp16.emulation import emulated  # noqa: E402
from latentsr_export.fp16.flow import read_flow  # noqa: E402
from latentsr_export.networks.gdn import FoldedGDN  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.trace import trace, weights_bytes  # noqa: E402

Sample = dict[str, np.ndarray]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(a).max() / np.sqrt(np.mean((a - b) ** 2, dtype=np.float64))))


@pytest.fixture(scope="module", params=list(cases.NETWORKS))
def network(request: pytest.FixtureRequest) -> tuple[bytes, list[Sample]]:
    """An SR network's graph and inputs."""
    return cases.network_graph(request.param)


def test_networks(network: tuple[bytes, list[Sample]]) -> None:
    data, samples = network
    half = convert(data, samples)
    assert not half.report["islands"] and half.report["nodes"]["fp32"] == 0
    assert half.report["nodes"]["cast"] == 2
    # Scales of a Resize stay float32.
    sizes = [weights_bytes(onnx.load_from_string(d)) for d in (half.data, cases.tidy(data))]
    assert 0.5 <= sizes[0] / sizes[1] < 0.51
    for sample in samples:
        full = cases.run(cases.tidy(data), sample)["hr"]
        for made in (half.data, half.emulation):
            found = cases.run(made, sample)["hr"]
            assert found.dtype == np.float32 and found.shape == full.shape
            assert psnr(full, found) > 55
        assert np.array_equal(cases.run(half.full, sample)["hr"], full)


def test_the_same_bytes_every_time(network: tuple[bytes, list[Sample]]) -> None:
    data, samples = network
    first, second = convert(data, samples), convert(data, samples)
    assert first.data == second.data and first.report == second.report


def test_half_ports(network: tuple[bytes, list[Sample]]) -> None:
    data, samples = network
    half = convert(data, samples, "fp16")
    assert half.report["nodes"]["cast"] == 0 and half.report["ports"] == "fp16"
    rounded = {name: value.astype(np.float16) for name, value in samples[0].items()}
    found = cases.run(half.data, rounded)["hr"]
    assert found.dtype == np.float16
    full = cases.run(data, samples[0])["hr"]
    assert psnr(full, found.astype(np.float32)) > 50


def gdn_graph(
    inverse: bool, gain: float, beta: float = 1.0, channels: int = 6
) -> tuple[bytes, list[Sample]]:
    """Convolution, GDN, convolution; the first multiplies by `gain`, the last undoes it."""
    torch.manual_seed(2)
    gamma = 0.1 * torch.eye(channels) + 0.01 * torch.rand(channels, channels)
    layer = FoldedGDN(gamma, torch.full((channels,), beta), inverse)
    first = torch.nn.Conv2d(3, channels, 3, padding=1)
    last = torch.nn.Conv2d(channels, 3, 3, padding=1)
    with torch.no_grad():
        first.weight.mul_(gain)
        first.bias.mul_(gain)
        last.weight.mul_(gain**-2 if inverse else 1)
    spec = GraphSpec(torch.nn.Sequential(first, layer, last), ("x",), ("y",), 3, 1, "picture")
    return trace("gdn", spec), [{"x": cases._values(3, 24, 32, False)}]


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("gain", [1.0, 900.0, 9000.0])
def test_gdn_is_rescaled_exactly(inverse: bool, gain: float) -> None:
    data, samples = gdn_graph(inverse, gain)
    half = convert(data, samples)
    full = cases.run(cases.tidy(data), samples[0])["y"]
    assert np.array_equal(cases.run(half.full, samples[0])["y"], full)
    assert psnr(full, cases.run(half.emulation, samples[0])["y"]) > 55
    (layer,) = half.report["gdn"]
    assert layer["choice"] == ("fp16" if gain == 1 else "rescaled")
    assert not half.report["islands"]
    broken = cases.naive_result(data, samples[0])["y"]
    # x / Inf is 0: where the layer divides, the picture is flat, not NaN.
    assert (psnr(full, broken) > 55) if gain == 1 else not psnr(full, broken) > 20
    if gain > 1:
        with pytest.raises(ExportError, match=r"first at /1/Mul.* \(Mul\)"):
            check_finite(read_flow(data), emulated(cases.naive(data)), samples)


def test_a_norm_wider_than_fp16_is_an_island() -> None:
    data, samples = gdn_graph(False, 3e4, beta=1e-6)
    samples[0]["x"][:, :, :12] = 0  # where the norm is β and the bias's share
    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("0.bias"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros(6, np.float32), tensor.name))
    data = model.SerializeToString()
    half = convert(data, samples)
    (layer,) = half.report["gdn"]
    assert layer["choice"] == "fp32" and "more than FP16 spans" in layer["reason"]
    (island,) = half.report["islands"]
    assert len(island["nodes"]) == half.report["nodes"]["fp32"] >= 4
    full = cases.run(data, samples[0])["y"]
    assert psnr(full, cases.run(half.emulation, samples[0])["y"]) > 50
    kinds = cases.types(half.data)
    assert kinds["/1/Mul_output_0"] == kinds["1.norm.weight"] == TensorProto.FLOAT


def test_a_residual_sum_around_gdn_shares_its_power_of_two() -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.skip = (torch.nn.Conv2d(3, 6, 3, padding=1) for _ in range(2))
            self.gdn = FoldedGDN(0.1 * torch.eye(6), torch.ones(6), True)
            self.b = torch.nn.Conv2d(6, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.gdn(self.a(x) * 2000) + self.skip(x)
            return self.b(y) * 1e-5 + x

    torch.manual_seed(1)
    data = trace("block", GraphSpec(Block(), ("x",), ("y",), 3, 1, "picture"))
    sample = {"x": cases._values(3, 16, 16, False)}
    half = convert(data, [sample])
    full = cases.run(cases.tidy(data), sample)["y"]
    assert half.report["rescaled"] and half.report["gdn"][0]["choice"] == "rescaled"
    assert np.array_equal(cases.run(half.full, sample)["y"], full)
    assert psnr(full, cases.run(half.emulation, sample)["y"]) > 55


def test_constants_are_never_clipped() -> None:
    constants = {"low": np.float32(1e-6), "high": np.float32(2.0**20), "half": np.float32(0.5)}
    nodes = [
        helper.make_node("Clip", ["x", "low", "high"], ["a"], "clip"),
        helper.make_node("Mul", ["a", "half"], ["b"], "halve"),
        helper.make_node("Relu", ["b"], ["y"], "relu"),
    ]
    data = cases.model(nodes, constants)
    half = convert(data, [{"x": np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)}])
    (island,) = half.report["islands"]
    assert island["nodes"] == ["clip"] and "1e-06 loses digits" in island["reason"]
    held = {t.name: onnx.numpy_helper.to_array(t)
            for t in onnx.load_from_string(half.data).graph.initializer}  # fmt: skip
    assert held["low"] == np.float32(1e-6) and held["high"] == 2.0**20
    assert held["low"].dtype == held["high"].dtype == np.float32
    assert held["half_fp16"] == 0.5


def test_values_beyond_the_range_without_linear_neighbours_are_an_island() -> None:
    big = np.float32(3e4)
    nodes = [
        helper.make_node("Mul", ["x", "big"], ["a"], "enlarge"),
        helper.make_node("Softplus", ["a"], ["b"], "softplus"),
        helper.make_node("Div", ["b", "big"], ["y"], "reduce"),
    ]
    data = cases.model(nodes, {"big": big})
    sample = {"x": np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)}
    half = convert(data, [sample])
    (island,) = half.report["islands"]
    assert island["nodes"] == ["enlarge", "softplus", "reduce"]
    assert "8 times which exceeds 65504" in island["reason"]
    assert np.allclose(cases.run(half.data, sample)["y"], cases.run(data, sample)["y"], atol=1e-3)


def test_sums_over_a_picture_stay_in_float32() -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["a"], "mean"),
        helper.make_node("Sub", ["x", "a"], ["y"], "sub"),
    ]
    sample = {"x": cases._values(3, 8, 8, False)}
    half = convert(cases.model(nodes, {}), [sample])
    (island,) = half.report["islands"]
    assert island["nodes"] == ["mean"] and "sums many values" in island["reason"]
    assert half.report["nodes"] == {"fp16": 1, "fp32": 1, "cast": 3, "other": 0}


def test_tiny_values_are_scaled_up() -> None:
    weights = np.random.default_rng(0).normal(0, 1, (4, 3, 1, 1)).astype(np.float32)
    constants = {"w": weights * np.float32(1e-5), "v": weights.transpose(1, 0, 2, 3) * 1e5}
    constants = {name: value.astype(np.float32) for name, value in constants.items()}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "small"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "v"], ["y"], "large"),
    ]
    data = cases.model(nodes, constants)
    sample = {"x": cases._values(3, 8, 8, False)}
    half = convert(data, [sample])
    assert half.report["rescaled"]["a"] < 0 and not half.report["islands"]
    full = cases.run(cases.tidy(data), sample)["y"]
    assert np.array_equal(cases.run(half.full, sample)["y"], full)
    assert psnr(full, cases.run(half.emulation, sample)["y"]) > 60
    assert not psnr(full, cases.naive_result(data, sample)["y"]) > 60


def test_shape_computations_stay_in_float32() -> None:
    """A size of 2049 is no FP16 number."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["sizes", "one"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["target"], to=TensorProto.INT64),
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("Resize", ["a", "", "", "target"], ["y"], "resize", mode="nearest"),
    ]
    constants = {"one": np.float32(1), "w": np.eye(3, dtype=np.float32)[:, :, None, None]}
    data = cases.model(nodes, constants)
    sample = {"x": np.ones((1, 3, 1, 2049), np.float32)}
    half = convert(data, [sample])
    assert cases.run(half.data, sample)["y"].shape == (1, 3, 1, 2049)
    kinds = cases.types(half.data)
    assert kinds["sizes"] == kinds["scaled"] == TensorProto.FLOAT
    assert half.report["nodes"] == {"fp16": 2, "fp32": 0, "cast": 2, "other": 4}


def test_shapes_that_are_computed_stay_integers() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Reshape", ["x", "shape"], ["a"], "reshape"),
        helper.make_node("Conv", ["a", "w"], ["y"], "conv"),
    ]
    data = cases.model(nodes, {"w": np.eye(3, dtype=np.float32)[:, :, None, None]})
    sample = {"x": cases._values(3, 8, 8, False)}
    half = convert(data, [sample])
    assert np.allclose(cases.run(half.data, sample)["y"], sample["x"], atol=1e-3)
    assert half.report["nodes"] == {"fp16": 2, "fp32": 0, "cast": 2, "other": 1}


def test_an_output_that_is_read_inside_and_two_outputs() -> None:
    weights = np.random.default_rng(0).normal(0, 1, (3, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], "first"),
        helper.make_node("Conv", ["y", "w"], ["z"], "second"),
    ]
    model = onnx.load_from_string(cases.model(nodes, {"w": weights}))
    model.graph.output.append(
        helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3, "h", "w"])
    )
    sample = {"x": cases._values(3, 8, 8, False)}
    data = model.SerializeToString()
    full = cases.run(data, sample)
    for ports in ("fp32", "fp16"):
        half = convert(data, [sample], ports)
        kind = np.float32 if ports == "fp32" else np.float16
        given = {"x": sample["x"].astype(kind)}
        found = cases.run(half.data, given)
        assert list(found) == ["y", "z"]
        for name in found:
            assert found[name].dtype == kind
            assert psnr(full[name], found[name].astype(np.float32)) > 50
