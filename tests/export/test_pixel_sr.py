"""Pixel SR networks: recognised, brought to 0..1, exportable at any size, and of known quality."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from latentsr.errors import CheckpointError  # noqa: E402
from latentsr.image import to_rgb8  # noqa: E402
from latentsr.report.metrics import psnr_y  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.rlfn import RLFN  # noqa: E402
from latentsr_export.pixel_sr import (  # noqa: E402
    PIXEL_SR_NETWORKS,
    PixelSR,
    fold_branches,
    load_pixel_sr,
)

SIZES = [(16, 16), (33, 50), (64, 41), (15, 19)]


def _saved(tmp_path: Path, network: torch.nn.Module) -> Path:
    torch.save(network.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def _run(network: PixelSR, picture: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        y = network.module(x)[0].permute(1, 2, 0).clamp(0, 1) * 255
    return np.round(y.numpy()).astype(np.uint8)


def _reduced(picture: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = (side // scale * scale for side in picture.shape[:2])
    whole = picture[:height, :width]
    small = Image.fromarray(whole).resize((width // scale, height // scale), Image.BICUBIC)
    return whole, np.array(small)


def _same_in_onnx(network: PixelSR) -> None:
    ort = pytest.importorskip("onnxruntime")
    axes = {"x": {2: "h", 3: "w"}, "hr": {2: "hh", 3: "ww"}}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.module, (torch.zeros(1, 3, 24, 20),), buffer, dynamo=False, opset_version=17,
            input_names=["x"], output_names=["hr"], dynamic_axes=axes,
        )  # fmt: skip
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(buffer.getvalue(), options, ["CPUExecutionProvider"])
    for height, width in SIZES:
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network.module(x).numpy()
        found = session.run(None, {"x": x.numpy()})[0]
        assert found.shape == (1, 3, height * network.scale, width * network.scale)
        assert np.abs(found - expected).max() < 2e-4


@pytest.mark.parametrize(
    "network",
    [RLFN(8, 6, 4, blocks=3, scale=3), RLFN(4, 4, 2, blocks=1, scale=2), EDSR(8, 2, 4)],
    ids=["rlfn-x3", "rlfn-x2", "edsr-x4"],
)
def test_own_networks_are_recognised_by_their_shapes(tmp_path: Path, network: RLFN | EDSR) -> None:
    loaded = load_pixel_sr(_saved(tmp_path, network))
    assert (loaded.source, loaded.name, loaded.scale) == ("latentsr", network.NAME, network.scale)
    assert loaded.parameters == sum(p.numel() for p in network.parameters())
    assert not loaded.module.training
    _same_in_onnx(loaded)


@pytest.mark.parametrize("kind", PIXEL_SR_NETWORKS)
def test_registry_keeps_its_protocol(kind: type[EDSR] | type[RLFN]) -> None:
    assert kind.KIND == "pixel_sr"
    own = kind().state_dict()
    assert [other.NAME for other in PIXEL_SR_NETWORKS if other.detect(own)] == [kind.NAME]
    assert not kind.detect({})


def test_networks_of_spandrel(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.SPAN import SPAN

    compact = Compact(num_feat=8, num_conv=2, upscale=2)
    loaded = load_pixel_sr(_saved(tmp_path, compact))
    assert (loaded.source, loaded.scale, loaded.multiple_of) == ("spandrel", 2, 1)
    _same_in_onnx(loaded)

    span = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
    loaded = load_pixel_sr(_saved(tmp_path, span))
    names = [name for name, _ in loaded.module.named_modules()]
    assert not [name for name in names if ".sk" in name or "eval_conv" in name]
    x = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        span.eval()
        assert torch.allclose(loaded.module(x), span(x), atol=1e-6)
    _same_in_onnx(loaded)


def test_folding_leaves_other_networks_alone() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Sequential(torch.nn.ReLU()))
    before = str(network)
    fold_branches(network)
    assert str(network) == before


def test_networks_that_are_not_for_enlarging_rgb(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.DnCNN import DnCNN

    gray = Compact(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=2)
    with pytest.raises(CheckpointError, match="1 input and 1 output"):
        load_pixel_sr(_saved(tmp_path, gray))
    with pytest.raises(CheckpointError, match="does not enlarge"):
        load_pixel_sr(_saved(tmp_path, DnCNN(in_nc=3, out_nc=3, nc=8, nb=4)))
    with pytest.raises(CheckpointError, match="scale 1"):
        load_pixel_sr(_saved(tmp_path, EDSR(8, 1, 1)))


def test_unknown_networks_are_told_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"edsr, rlfn, or any that spandrel knows"):
        load_pixel_sr(_saved(tmp_path, torch.nn.Linear(3, 3)))


def test_own_networks_with_wrong_shapes(tmp_path: Path) -> None:
    whole = RLFN(8, 6, 4, blocks=2, scale=2).state_dict()
    for key in ("B2.esa.conv4.weight", "B1.c1_r.weight", "upsampler.0.weight", "LR_conv.bias"):
        for value in (torch.ones(5), None):
            state = {k: v for k, v in whole.items() if k != key}
            if value is not None:
                state[key] = value
            torch.save(state, tmp_path / "net.pth")
            with pytest.raises(CheckpointError, match=r"net\.pth|known"):
                load_pixel_sr(tmp_path / "net.pth")


@pytest.fixture(scope="module")
def set5(data_dir: Path) -> list[np.ndarray]:
    return [to_rgb8(path) for path in sorted((data_dir / "set5").glob("*.png"))]


def _weights(data_dir: Path, name: str) -> Path:
    path = data_dir / "weights" / name
    if not path.is_file():
        pytest.skip(f"no file {path}")
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("realesr_animevideov3/realesr_animevideov3_x4.safetensors", 28.25),
        ("rlfn_ntire_x4/team04_rlfn.pth", 32.10),
    ],
)
def test_published_weights_reach_their_figures(
    data_dir: Path, set5: list[np.ndarray], name: str, expected: float
) -> None:
    network = load_pixel_sr(_weights(data_dir, name))
    figures = []
    for picture in set5:
        whole, small = _reduced(picture, network.scale)
        figures.append(psnr_y(_run(network, small), whole, border=network.scale))
    assert np.mean(figures) == pytest.approx(expected, abs=0.02)
    _same_in_onnx(network)


def test_half_precision_rrdbnet(data_dir: Path, set5: list[np.ndarray]) -> None:
    network = load_pixel_sr(_weights(data_dir, "realesrgan_x4plus/realesrgan_x4plus.safetensors"))
    assert (network.scale, network.parameters, network.minimum) == (4, 16_697_987, 2)
    whole, small = _reduced(set5[1][64:192, 64:192], 4)
    assert psnr_y(_run(network, small), whole, border=4) > 24


def test_range_of_rlfn_is_found_from_the_weights(data_dir: Path, tmp_path: Path) -> None:
    state = torch.load(
        _weights(data_dir, "rlfn_ntire_x4/team04_rlfn.pth"), map_location="cpu", weights_only=True
    )
    published = RLFN.from_state_dict(state)
    assert published.value_range == 255.0
    # The same network, made for 0..1: the factor 255 goes into the first and last layers.
    state["fea_conv.weight"] *= 255
    for key in ("upsampler.0.weight", "upsampler.0.bias"):
        state[key] /= 255
    folded = RLFN.from_state_dict(state)
    assert folded.value_range == 1.0
    x = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        assert torch.allclose(folded(x), published(x), atol=1e-4)


@pytest.mark.parametrize("name", ["carn_m/carn_m.pth", "imdn_ntire_x4/imdn_baseline.pth"])
def test_real_networks_that_nobody_knows(data_dir: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="spandrel knows"):
        load_pixel_sr(_weights(data_dir, name))
