"""Pixel SR checkpoints: what the loader refuses and says, and the quality of public weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from latentsr.backends import get_backend  # noqa: E402
from latentsr.backends.base import EngineOptions  # noqa: E402
from latentsr.errors import CheckpointError  # noqa: E402
from latentsr.image import to_rgb8  # noqa: E402
from latentsr.report.metrics import psnr_y  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.pixel_sr import PixelSR, fold_branches, load_pixel_sr  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402

# Y-channel PSNR on Set5 as published with the weights (for Pillow's bicubic).
RRDBNET = "realesrgan_x4plus/realesrgan_x4plus.safetensors"
FIGURES = [
    ("realesr_animevideov3/realesr_animevideov3_x4.safetensors", 4, 28.25),
    ("carn_m/carn_m.pth", 2, 37.68),
    ("carn_m/carn_m.pth", 3, 34.07),
    ("carn_m/carn_m.pth", 4, 31.89),
    ("rfdn_x4/RFDN_AIM.pth", 4, 32.15),
    ("imdn_ntire_x4/imdn_baseline.pth", 4, 32.25),
    ("rlfn_ntire_x4/team04_rlfn.pth", 4, 32.10),
    ("srgan/netG_epoch_2_100.pth", 2, 35.48),
    ("srgan/netG_epoch_4_100.pth", 4, 30.66),
    ("wdsr_b_x4/wdsr_b_32_x4.safetensors", 4, 29.30),
]


def _saved(tmp_path: Path, network: torch.nn.Module) -> Path:
    torch.save(network.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def _reduced(picture: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = (side // scale * scale for side in picture.shape[:2])
    whole = picture[:height, :width]
    small = Image.fromarray(whole).resize((width // scale, height // scale), Image.BICUBIC)
    return whole, np.array(small)


@pytest.mark.parametrize("owner", ["model.", "net.", "lit.generator."])
def test_networks_inside_other_modules(tmp_path: Path, owner: str) -> None:
    network = EDSR(5, 1, 2)
    state = {f"{owner}{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "net.pth")
    loaded, sample = load_pixel_sr(tmp_path / "net.pth"), torch.rand(1, 3, 6, 7)
    assert loaded.name == "edsr" and loaded.scale == 2
    assert torch.equal(loaded.module(sample), network.eval()(sample))


def test_span_in_one_convolution_each(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    from spandrel.architectures.SPAN import SPAN

    span = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
    loaded = load_pixel_sr(_saved(tmp_path, span))
    names = [name for name, _ in loaded.module.named_modules()]
    assert not [name for name in names if ".sk" in name or "eval_conv" in name]
    x = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        span.eval()
        assert torch.allclose(loaded.module(x), span(x), atol=1e-6)


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
    with pytest.raises(CheckpointError, match="does not enlarge pictures: found DnCNN"):
        load_pixel_sr(_saved(tmp_path, DnCNN(in_nc=3, out_nc=3, nc=8, nb=4)))
    with pytest.raises(CheckpointError, match="scale 1"):
        load_pixel_sr(_saved(tmp_path, EDSR(8, 1, 1)))


def test_unknown_networks_are_told_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"edsr, wdsr, .* rrdbnet, or any that spandrel knows"
    ):
        load_pixel_sr(_saved(tmp_path, torch.nn.Linear(3, 3)))


@pytest.fixture(scope="module")
def set5(data_dir: Path) -> dict[str, np.ndarray]:
    return {path.stem: to_rgb8(path) for path in sorted((data_dir / "set5").glob("*.png"))}


def _weights(data_dir: Path, name: str) -> Path:
    path = data_dir / "weights" / name
    if not path.is_file():
        pytest.skip(f"no file {path}")
    return path


@pytest.mark.parametrize(
    ("name", "scale", "expected"), FIGURES, ids=[f"{n.split('/')[1]}-x{s}" for n, s, _ in FIGURES]
)
def test_published_weights_reach_their_figures(
    data_dir: Path, set5: dict[str, np.ndarray], name: str, scale: int, expected: float
) -> None:
    network = load_pixel_sr(_weights(data_dir, name), scale)
    figures = _psnr_y(network, list(set5.values()))
    assert np.mean(figures) == pytest.approx(expected, abs=0.02)


def test_rrdbnet_on_one_picture(data_dir: Path, set5: dict[str, np.ndarray]) -> None:
    """As benchmarks/results/set5_pixel_sr.json has it: the whole set takes a minute."""
    network = load_pixel_sr(_weights(data_dir, RRDBNET), 4)
    assert _psnr_y(network, [set5["bird"]]) == [pytest.approx(28.88, abs=0.02)]


def _psnr_y(network: PixelSR, pictures: list[np.ndarray]) -> list[float]:
    """Quality of what the runtime's engine makes from bicubic reductions."""
    graph = trace("pixel_sr", GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture"))
    engine = get_backend("ort").load(graph, "pixel_sr", EngineOptions(threads=2))
    figures = []
    for picture in pictures:
        whole, small = _reduced(picture, network.scale)
        x = small.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
        made = engine.run({"x": np.ascontiguousarray(x)})["hr"][0].transpose(1, 2, 0)
        enlarged = np.rint(made.clip(0, 1) * 255).astype(np.uint8)
        figures.append(psnr_y(enlarged, whole, border=network.scale))
    return figures


def test_sizes_of_published_weights(data_dir: Path) -> None:
    sizes = {}
    for name, scale, _ in (*FIGURES, (RRDBNET, 4, None)):
        network = load_pixel_sr(_weights(data_dir, name), scale)
        sizes[Path(name).stem, scale] = (network.name, network.parameters, network.minimum)
    assert sizes["realesrgan_x4plus", 4] == ("rrdbnet", 16_697_987, 1)
    assert sizes["RFDN_AIM", 4] == ("rfdn", 433_448, 15)
    assert sizes["imdn_baseline", 4] == ("imdn", 893_936, 1)
    assert sizes["wdsr_b_32_x4", 4] == ("wdsr", 606_992, 1)
    # One upsampler of three, the mean shifts in biases; batch norms in their convolutions.
    assert sizes["carn_m", 2] == ("carn", 414_811 - 24 - 83_520 - 2 * 37_120, 1)
    assert sizes["netG_epoch_4_100", 4] == ("srresnet", 735_372 - 10 * 4 * 64, 1)
