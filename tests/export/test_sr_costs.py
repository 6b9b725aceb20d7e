"""Work and size of the published full-size networks, with random weights, as in the literature."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from latentsr_export.baselines.rrdbnet import count_macs, random_rrdbnet  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.msrresnet import MSRResNet  # noqa: E402
from latentsr_export.networks.wdsr import WDSR  # noqa: E402
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr  # noqa: E402

# Millions of parameters and thousands of multiply-accumulates per LR pixel.
PUBLISHED = [
    pytest.param(EDSR, (64, 16, 2, True), 1.370, 1373, id="edsr-baseline-x2"),
    pytest.param(EDSR, (64, 16, 4, True), 1.518, 1983, id="edsr-baseline-x4"),
    pytest.param(EDSR, (256, 32, 2, True), 40.73, 40732, id="edsr-x2"),
    pytest.param(EDSR, (256, 32, 4, True), 43.09, 50253, id="edsr-x4"),
    pytest.param(WDSR, (32, 128, 16, 4), 1.201, 1198, id="wdsr-a-x4"),
    pytest.param(MSRResNet, (64, 16, 4), 1.518, 2536, id="msrresnet-x4"),
]


def _agrees(network: PixelSR, millions: float, thousands: float) -> None:
    digits = 3 if millions < 10 else 2
    assert round(network.parameters / 1e6, digits) == millions
    assert round(count_macs(network) / 1e3) == thousands


@pytest.mark.parametrize(("kind", "sizes", "millions", "thousands"), PUBLISHED)
def test_parameters_and_macs(
    kind: type[nn.Module], sizes: tuple[int, ...], millions: float, thousands: float, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    torch.save(kind(*sizes).state_dict(), tmp_path / "net.pth")
    network = load_pixel_sr(tmp_path / "net.pth")
    assert network.source == "latentsr"
    _agrees(network, millions, thousands)


def test_rrdbnet() -> None:
    _agrees(random_rrdbnet(), 16.70, 17927)
