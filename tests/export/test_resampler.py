"""The content-adaptive resampler: the extension's sums, public names and sizes, ONNX parity."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")

from latentsr.backends import get_backend  # noqa: E402
from latentsr.backends.base import EngineOptions  # noqa: E402
from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.networks.resampler import Resampler  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.trace import count_macs, trace  # noqa: E402


def seeded(scale: int, features: int = 4) -> Resampler:
    torch.manual_seed(scale)
    network = Resampler(scale, features, 1).eval()
    with torch.no_grad():
        network.kernels_weight[4].weight.mul_(4)
        network.offsets_h_generation[4].weight.mul_(4)
    return network


def sampled(
    picture: np.ndarray, kernels: np.ndarray, across: np.ndarray, down: np.ndarray, scale: int
) -> np.ndarray:
    """One sample after the other, as the public extension adds them up."""
    size = 3 * scale + 1
    border = size // 2
    padded = np.pad(picture, ((0, 0), (border, border), (border, border)), mode="reflect")
    height, width = padded.shape[1:]
    made = np.zeros((3, *kernels.shape[1:]))
    for i in range(kernels.shape[1]):
        for j in range(kernels.shape[2]):
            for tap in range(size * size):
                x = (j + 0.5) * scale + tap % size + across[tap, i, j] * scale - 0.5
                y = (i + 0.5) * scale + tap // size + down[tap, i, j] * scale - 0.5
                x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
                left, top = math.floor(x), math.floor(y)
                right, below = min(left + 1, width - 1), min(top + 1, height - 1)
                a, b = x - left, y - top
                value = (1 - a) * (1 - b) * padded[:, top, left] + a * (1 - b) * padded[
                    :, top, right
                ]
                value += (1 - a) * b * padded[:, below, left] + a * b * padded[:, below, right]
                made[:, i, j] += kernels[tap, i, j] * value
    return made


@pytest.mark.parametrize("scale", [2, 4])
def test_samples_are_summed_as_published(scale: int) -> None:
    network = seeded(scale)
    picture = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        kernels, across, down = network.parameters_of(picture)
        found = network.sample(picture, kernels, across, down)[0].numpy()
        limited = network(picture)
    assert torch.allclose(kernels.sum(1), torch.ones(1, 16 // scale, 24 // scale))
    assert float(across.abs().max()) > 0.3
    wanted = sampled(*(t[0].double().numpy() for t in (picture, kernels, across, down)), scale)
    assert np.abs(found - wanted).max() < 2e-5
    assert limited.shape == (1, 3, 16 // scale, 24 // scale)
    assert float(limited.min()) >= 0 and float(limited.max()) <= 1


@pytest.mark.parametrize("scale", [2, 4])
def test_the_graph_is_the_network(scale: int) -> None:
    network = seeded(scale)
    data = trace("resampler", GraphSpec(network, ("x",), ("low",), 3, 1, "picture", multiple=8))
    engine = get_backend("ort").load(data, "resampler", EngineOptions())
    for size in ((64, 64), (40, 88)):
        picture = torch.rand(1, 3, *size)
        with torch.no_grad():
            wanted = network(picture).numpy()
        found = engine.run({"x": picture.numpy()})["low"]
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize(("scale", "parameters", "kilo"), [(2, 10.65, 1021), (4, 9.90, 432)])
def test_full_size_costs_what_was_measured(scale: int, parameters: float, kilo: int) -> None:
    network = Resampler(scale).eval()
    count = sum(p.numel() for p in network.parameters())
    assert count / 1e6 == pytest.approx(parameters, abs=0.01)
    spec = GraphSpec(network, ("x",), ("low",), 3, 1, "picture", multiple=8)
    macs = count_macs(trace("resampler", spec), spec.feeds)
    assert macs / 1e3 == pytest.approx(kilo, abs=1)


def test_sizes_come_from_the_tensors() -> None:
    state = seeded(2, 6).state_dict()
    names = """sub_mean.weight ds_1.1.weight ds_2.downsample.1.bias ds_8.downsample.1.weight
    res_4.0.transform.4.weight kernels_trunk.9.upsample.0.weight kernels_trunk.11.bias
    kernels_weight.1.weight offsets_trunk.7.weight offsets_h_generation.4.weight
    offsets_v_generation.1.bias"""
    assert set(names.split()) <= set(state)
    assert Resampler.detect(state)
    network = Resampler.from_state_dict(state)
    assert (network.scale, network.size, network.wide) == (2, 7, 24)
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(picture), seeded(2, 6)(picture))
    state["kernels_weight.4.weight"] = state["kernels_weight.4.weight"][:36]
    with pytest.raises(CheckpointError, match="resampler of an unknown scale: found 36 samples"):
        Resampler.from_state_dict(state)
    assert not Resampler.detect({"ds_1.1.weight": torch.zeros(1)})
