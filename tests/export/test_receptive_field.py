"""Windows against brute force: which outputs move, and parts of pictures against whole ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import windowed_cases  # noqa: E402
from codec_cases import NETWORKS, made  # noqa: E402
from latentsr.backends import get_backend  # noqa: E402
from latentsr.backends.base import Engine, EngineOptions  # noqa: E402
from latentsr_export.load import codec_parts  # noqa: E402
from latentsr_export.networks.latent_sr import LatentSR  # noqa: E402
from latentsr_export.networks.latent_sr_light import LatentSRLight  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.passes import columns_in_turn, rows_in_turn  # noqa: E402
from latentsr_export.pixel_sr import load_pixel_sr  # noqa: E402
from latentsr_export.receptive_field import window_of  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402
from sr_cases import CASES  # noqa: E402

WHOLE = ("rfdn", "rlfn", "imdn-x2")  # attention over the picture, or a size made of the picture's

PASSES = ("cheng2020-anchor-checkerboard", "elic2022-official")

# Graphs between pictures and latents; those that decide scales run whole, as latents are small.
TRANSFORMS = ("analysis", "synthesis", "main", "detail", "residual", "blend")


def _spec(module: nn.Module, channels: int = 3) -> GraphSpec:
    return GraphSpec(module.eval(), ("x",), ("y",), channels, 1, "picture")


def _engine(graph: bytes) -> Engine:
    return get_backend("ort").load(graph, "graph", EngineOptions(threads=1))


def _ports(graph: bytes) -> list[tuple[str, int]]:
    inputs = onnx.load_from_string(graph).graph.input
    return [(port.name, port.type.tensor_type.shape.dim[1].dim_value) for port in inputs]


def _random(graph: bytes, window: dict[str, Any], blocks: tuple[int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(blocks)
    found = {}
    for (name, channels), taken in zip(_ports(graph), window["inputs"], strict=True):
        sides = [n * step for n, step in zip(blocks, taken["step"], strict=True)]
        found[name] = rng.normal(0, 1, (1, channels, *sides)).astype(np.float32)
    return found


def _margin(window: dict[str, Any], axis: int) -> int:
    """Blocks beside a block that it depends on."""
    return max(-(-one[side][axis] // one["step"][axis])
               for one in window["inputs"] for side in ("before", "after"))  # fmt: skip


def check_parts(graph: bytes, window: dict[str, Any]) -> None:
    """A block in the middle, and one at a border, from no more than the window says."""
    engine = _engine(graph)
    margins = [_margin(window, axis) for axis in (0, 1)]
    blocks = tuple(2 * margin + 3 for margin in margins)
    inputs = _random(graph, window, blocks)
    whole = engine.run(inputs)
    for first in ([margins[0] + 1, margins[1] + 1], [0, blocks[1] - 1]):
        spans = [(max(k - m, 0), min(k + 1 + m, n))
                 for k, m, n in zip(first, margins, blocks, strict=True)]  # fmt: skip
        cut = {}
        for (name, values), one in zip(inputs.items(), window["inputs"], strict=True):
            (top, bottom), (left, right) = (
                (a * s, b * s) for (a, b), s in zip(spans, one["step"], strict=True)
            )
            cut[name] = np.ascontiguousarray(values[:, :, top:bottom, left:right])
        part = engine.run(cut)
        for (name, expected), steps in zip(whole.items(), window["outputs"], strict=True):
            places = [slice(k * s, (k + 1) * s) for k, s in zip(first, steps, strict=True)]
            inside = [slice((k - span[0]) * s, (k + 1 - span[0]) * s)
                      for k, span, s in zip(first, spans, steps, strict=True)]  # fmt: skip
            found = part[name][:, :, inside[0], inside[1]]
            peak = max(1.0, float(np.abs(expected).max()))
            assert found.shape[2:] == tuple(steps)
            assert np.abs(found - expected[:, :, places[0], places[1]]).max() < 1e-5 * peak


def check_moves(graph: bytes, window: dict[str, Any], tight: bool) -> None:
    """Outputs of a middle block move with inputs inside the window only, and do so at its ends."""
    engine = _engine(graph)
    for axis in (0, 1):
        blocks = [2 * _margin(window, axis) + 3] * 2
        blocks[1 - axis] = 2 * _margin(window, 1 - axis) + 1
        inputs = _random(graph, window, (blocks[0], blocks[1]))
        before = engine.run(inputs)
        for number, name in enumerate(inputs):
            one = window["inputs"][number]
            step, middle = one["step"][axis], _margin(window, axis) + 1
            first = middle * step - one["before"][axis]
            last = (middle + 1) * step - 1 + one["after"][axis]
            moved = {}
            for place in (first - 1, first, last, last + 1):
                if not 0 <= place < inputs[name].shape[2 + axis]:
                    continue
                other = inputs[name].copy()
                np.moveaxis(other, 2 + axis, 0)[place] += 3.0
                after = engine.run({**inputs, name: other})
                moved[place] = any(
                    _block(after[port] - before[port], axis, middle, steps[axis]).any()
                    for port, steps in zip(before, window["outputs"], strict=True)
                )
            assert not moved.get(first - 1, False)
            assert not moved.get(last + 1, False)
            if tight:
                assert moved[first]
                assert moved[last]


def _block(values: np.ndarray, axis: int, block: int, step: int) -> np.ndarray:
    return np.moveaxis(values, 2 + axis, 0)[block * step : (block + 1) * step]


LAYERS: dict[str, nn.Module] = {
    "dilated": nn.Conv2d(3, 4, (3, 5), padding=(2, 4), dilation=2),
    "strided": nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.Conv2d(4, 4, 3, 2, 1)),
    "down-up": nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.ConvTranspose2d(4, 3, 4, 2, 1)),
    "deconvolution": nn.ConvTranspose2d(3, 4, 5, 2, 2, output_padding=1),
    "shuffle": nn.Sequential(nn.Conv2d(3, 27, 3, padding=1), nn.PixelShuffle(3)),
    "pool": nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 3, 3, padding=1)),
    "nearest": nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1)),
    "bilinear": nn.Upsample(scale_factor=4, mode="bilinear"),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "reflected": nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, 3, 7)),
    "replicated": nn.Sequential(nn.ReplicationPad2d((1, 1, 2, 2)), nn.Conv2d(3, 3, (5, 3))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    torch.manual_seed(1)
    graph = trace("layer", _spec(LAYERS[name]))
    window = window_of(graph)
    assert "inputs" in window, window
    check_parts(graph, window)
    # What lies behind a border is read from inside: there the window is wider than needed.
    check_moves(graph, window, tight=name not in ("reflected", "replicated"))


class Global(nn.Module):
    """Scales by the mean of the picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.mean((2, 3), keepdim=True)


class ToSize(nn.Module):
    """Brings a smaller map back to the picture's size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(functional.max_pool2d(x, 7, 3), x.shape[2:], mode="bilinear")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Global(), "ReduceMean"),
        (nn.AdaptiveAvgPool2d(1), "GlobalAveragePool"),
        (ToSize(), "Resize"),
        (nn.Conv2d(3, 3, 3), "output"),
        (nn.InstanceNorm2d(3), "InstanceNormalization"),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "Resize"),
    ],
)
def test_graphs_without_a_window_say_why(module: nn.Module, reason: str) -> None:
    window = window_of(trace("layer", _spec(module)))
    assert "inputs" not in window
    assert reason in window["whole"]


def test_bytes_of_values_that_are_alive_together() -> None:
    """Budgets count on them: inputs and outputs stay to the end, others to their last reader."""
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    assert window_of(trace("layer", _spec(layers)))["bytes"] == 4 * (3 + 8 + 8)
    whole = window_of(trace("layer", _spec(Global())))
    assert "whole" in whole and whole["bytes"] == 4 * (3 + 3)


@pytest.mark.parametrize("name", CASES)
def test_pixel_networks(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    torch.save(case.state, tmp_path / "net.pth")
    graph = trace(name, _spec(load_pixel_sr(tmp_path / "net.pth", case.scale).module))
    window = window_of(graph)
    if name.startswith(WHOLE):
        assert "inputs" not in window
        assert window["whole"]
        return
    assert window["outputs"] == [[case.scale] * 2]
    assert window["bytes"] > 12 * (1 + case.scale**2)
    check_parts(graph, window)
    check_moves(graph, window, tight=False)


@pytest.mark.parametrize("name", [*NETWORKS, *windowed_cases.WINDOWED])
def test_codecs(name: str) -> None:
    network = made(name) if name in NETWORKS else windowed_cases.WINDOWED[name]()
    for key, spec in codec_parts(network).graphs.items():
        if key not in TRANSFORMS:
            continue
        graph = trace(key, spec)
        window = window_of(graph)
        assert "inputs" in window, (key, window)
        check_parts(graph, window)
        check_moves(graph, window, tight=False)


class Turns(nn.Module):
    """Columns and rows of two values in turn, every second one of a third."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = columns_in_turn(functional.max_pool2d(x, 3, 2, 1), x[:, :, ::2, 1::2])
        return rows_in_turn(columns, x[:, :, 1::2] + 1)


class Turned(nn.Module):
    """Rows exchanged with columns."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(2, 3)


class Apart(nn.Module):
    """Values of five axes that are not put in turn."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack((x, 2 * x), 4).sum(4)


def test_values_in_turn() -> None:
    graph = trace("layer", _spec(Turns()))
    window = window_of(graph)
    assert window["inputs"][0]["step"] == [2, 2] and window["outputs"] == [[2, 2]]
    check_parts(graph, window)
    check_moves(graph, window, tight=True)


@pytest.mark.parametrize(
    ("module", "reason"), [(Turned(), "has other axes"), (Apart(), "are not rows and columns")]
)
def test_axes_that_have_no_window(module: nn.Module, reason: str) -> None:
    window = window_of(trace("layer", _spec(module)))
    assert reason in window["whole"]


@pytest.mark.parametrize("name", PASSES)
def test_graphs_of_passes(name: str) -> None:
    graphs = codec_parts(made(name)).graphs
    assert {"split", "join", "entropy_parameters", "anchor_0", "rest_0"} < graphs.keys()
    for key in graphs.keys() - set(TRANSFORMS):
        graph = trace(key, graphs[key])
        window = window_of(graph)
        assert "inputs" in window, (key, window)
        check_parts(graph, window)
        check_moves(graph, window, tight=False)


@pytest.mark.parametrize("network", [LatentSR(8, 8, 1, 4, (8, 8, 4, 4, 4, 4)), LatentSRLight(6, 8)])
def test_latent_networks(network: nn.Module) -> None:
    from latentsr_export.networks.gdn import fold_gdn

    graph = trace("sr", _spec(fold_gdn(network), network.latent_channels))
    window = window_of(graph)
    assert window["outputs"] == [[64, 64]]
    check_parts(graph, window)
    check_moves(graph, window, tight=False)
