"""RRDBNet and SRVGG, through spandrel where we have none: key layouts, pixel unshuffle, sizes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

import sr_rrdb  # noqa: E402
from latentsr.backends import get_backend  # noqa: E402
from latentsr.backends.base import EngineOptions  # noqa: E402
from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr  # noqa: E402
from latentsr_export.trace import count_macs, trace  # noqa: E402
from sr_reference import Maker, State, conv  # noqa: E402

SIZES = [(24, 32), (33, 21)]
BLOCKS, FEATURES = 2, 8


def rrdbnet(inputs: int = 3) -> State:
    return sr_rrdb.rrdbnet(FEATURES, BLOCKS, 32, inputs)


def run_rrdbnet(state: State, x: Tensor) -> Tensor:
    return sr_rrdb.run_rrdbnet(state, x, BLOCKS, 4)


def old_names(state: State) -> State:
    """As the first release of ESRGAN wrote it."""
    fixed = {"conv_first": "model.0", "conv_body": f"model.1.sub.{BLOCKS}", "conv_up1": "model.3",
             "conv_up2": "model.6", "conv_hr": "model.8", "conv_last": "model.10"}  # fmt: skip
    renamed = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        inner = re.sub(r"body\.(\d+)\.rdb(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", layer)
        renamed[f"{fixed.get(layer, inner)}.{kind}"] = tensor
    return renamed


def _check(network: PixelSR, expected: list[Tensor]) -> None:
    spec = GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture")
    graph = trace("pixel_sr", spec)
    engine = get_backend("ort").load(graph, "pixel_sr", EngineOptions())
    for size, wanted in zip(SIZES, expected, strict=True):
        with torch.no_grad():
            found = network.module(_picture(size))
        assert found.shape == wanted.shape
        peak = max(1.0, float(wanted.abs().max()))
        assert float((found - wanted).abs().max()) < 1e-5 * peak
        in_onnx = engine.run({"x": _picture(size).numpy()})["hr"]
        assert np.abs(in_onnx - wanted.numpy()).max() < 1e-5 * peak
    assert count_macs(graph, spec.feeds) > 0


def _picture(size: tuple[int, int]) -> Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(size[0]))


@pytest.mark.parametrize("names", [dict, sr_rrdb.middle_names, old_names])
def test_rrdbnet_in_all_names(names: Callable[[State], State], tmp_path: Path) -> None:
    state = rrdbnet()
    torch.save({"params_ema": names(state)}, tmp_path / "net.pth")
    network = load_pixel_sr(tmp_path / "net.pth", 4)
    own = ("rrdbnet", 4, "latentsr"), ("ESRGAN", 4, "spandrel")
    assert (network.name, network.scale, network.source) == own[names is old_names]
    assert network.parameters == sum(tensor.numel() for tensor in state.values())
    with torch.no_grad():
        expected = [run_rrdbnet(state, _picture(size)) for size in SIZES]
        if names is dict:
            _check(network, expected)
        for size, wanted in zip(SIZES, expected, strict=True):
            torch.testing.assert_close(network.module(_picture(size)), wanted, rtol=0, atol=1e-4)


def test_rrdbnet_that_does_not_enlarge(tmp_path: Path) -> None:
    torch.save(rrdbnet(3 * 4 * 4), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="found ESRGAN for Restoration, scale 1"):
        load_pixel_sr(tmp_path / "net.pth")


def test_rrdbnet_that_folds_pixels_takes_any_size(tmp_path: Path) -> None:
    """Real-ESRGAN x2: pixel unshuffle in front, sides padded by mirroring."""
    state = rrdbnet(3 * 2 * 2)
    torch.save(state, tmp_path / "net.pth")
    network = load_pixel_sr(tmp_path / "net.pth")
    assert (network.scale, network.multiple_of) == (2, 1)
    expected = []
    for height, width in SIZES:
        padded = F.pad(_picture((height, width)), (0, width % 2, 0, height % 2), mode="reflect")
        with torch.no_grad():
            made = run_rrdbnet(state, F.pixel_unshuffle(padded, 2))
        expected.append(made[:, :, : 2 * height, : 2 * width])
    _check(network, expected)


@pytest.mark.parametrize("scale", [2, 4])
def test_srvgg(scale: int, tmp_path: Path) -> None:
    made, layers = Maker(22), 4
    for index in range(layers):
        made.conv(f"body.{2 * index}", 3 if index == 0 else FEATURES, FEATURES, 3)
        made.slope(f"body.{2 * index + 1}", FEATURES)
    made.conv(f"body.{2 * layers}", FEATURES, 3 * scale**2, 3)
    torch.save({"params": made.state}, tmp_path / "net.pth")
    network = load_pixel_sr(tmp_path / "net.pth", scale)
    assert (network.scale, network.source) == (scale, "spandrel")
    expected = []
    for size in SIZES:
        x = out = _picture(size)
        for index in range(layers):
            out = conv(made.state, f"body.{2 * index}", out)
            out = F.prelu(out, made.state[f"body.{2 * index + 1}.weight"])
        out = F.pixel_shuffle(conv(made.state, f"body.{2 * layers}", out), scale)
        expected.append(out + F.interpolate(x, scale_factor=scale, mode="nearest"))
    _check(network, expected)
