"""Latent SR decoders: sizes found again from shapes, GDN folding, and the demo's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("compressai")

from compressai.layers import GDN, GDN1  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.load import load_latent_sr  # noqa: E402
from latentsr_export.networks.gdn import FoldedGDN, fold_gdn  # noqa: E402
from latentsr_export.networks.latent_sr import LatentSR  # noqa: E402
from latentsr_export.networks.latent_sr_light import LatentSRLight  # noqa: E402

BUILDS: list[tuple[type[nn.Module], Callable[[], nn.Module], int]] = [
    (LatentSR, lambda: LatentSR(5, 7, 2, 3, (6, 5, 4, 3, 2, 1)), 5),
    (LatentSR, lambda: LatentSR(12, 8, 1, 4, (8, 8, 6, 6, 3, 3)), 12),
    (LatentSRLight, lambda: LatentSRLight(7, 5, 3, 2), 7),
    (LatentSRLight, lambda: LatentSRLight(4, 9, 1, 1), 4),
    (LatentSRLight, lambda: LatentSRLight(4, 3, 0, 0), 4),
]


@pytest.mark.parametrize(("kind", "build", "channels"), BUILDS)
def test_saved_network_is_found_again(
    kind: type, build: Callable[[], nn.Module], channels: int, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    network = build().eval()
    torch.save(network.state_dict(), tmp_path / "sr.pth")
    state = torch.load(tmp_path / "sr.pth", weights_only=True)
    assert [k for k in (LatentSR, LatentSRLight) if k.detect(state)] == [kind]
    again = kind.from_state_dict(state)
    assert again.latent_channels == channels
    assert not again.training
    latent = torch.randint(-6, 7, (2, channels, 2, 3)).float()
    with torch.no_grad():
        expected, found = network(latent), again(latent)
    side = kind.LATENT_STRIDE * kind.SCALE
    assert found.shape == (2, 3, 2 * side, 3 * side)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "build", "key"),
    [
        (LatentSR, BUILDS[0][1], "head.2.weight"),
        (LatentSR, BUILDS[0][1], "body.1.rdb2.conv3.bias"),
        (LatentSRLight, BUILDS[2][1], "trunk.1.conv2.weight"),
        (LatentSRLight, BUILDS[2][1], "synthesis.3.gamma"),
    ],
)
def test_wrong_shape_and_missing_key_are_named(
    kind: type, build: Callable[[], nn.Module], key: str
) -> None:
    state = dict(build().state_dict())
    tensor = state[key]
    state[key] = torch.zeros(*(side + 1 for side in tensor.shape))
    with pytest.raises(CheckpointError, match=f"{key}.*found.*expected"):
        kind.from_state_dict(state)
    del state[key]
    with pytest.raises(CheckpointError, match=key):
        kind.from_state_dict(state)


def test_unknown_key_is_refused() -> None:
    state = dict(LatentSRLight(4, 3, 1, 1).state_dict()) | {"attention.weight": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"attention\.weight"):
        LatentSRLight.from_state_dict(state)


def test_endless_block_numbers_are_refused() -> None:
    state = dict(LatentSRLight(4, 3, 1, 1).state_dict())
    state |= {f"body.{k}.conv1.weight": torch.zeros(1) for k in range(400)}
    with pytest.raises(CheckpointError, match="too many blocks"):
        LatentSRLight.from_state_dict(state)


def test_other_checkpoints_are_not_detected() -> None:
    for state in ({}, {"conv_first.weight": torch.zeros(4, 3, 3, 3)}, {"head.weight": Tensor()}):
        assert not LatentSR.detect(state)
        assert not LatentSRLight.detect(state)


@pytest.mark.parametrize("layer", [GDN, GDN1])
@pytest.mark.parametrize("inverse", [False, True])
def test_folded_gdn_is_equal(layer: type[nn.Module], inverse: bool) -> None:
    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Sequential(layer(6, inverse=inverse)))
    with torch.no_grad():
        for weight in network[1].parameters():
            weight.add_(0.3 * torch.rand_like(weight))
    picture = torch.randn(2, 3, 9, 8)
    with torch.no_grad():
        expected = network(picture)
        folded = fold_gdn(network)
        assert folded is network
        torch.testing.assert_close(folded(picture), expected, rtol=1e-5, atol=1e-6)
    assert isinstance(network[1][0], FoldedGDN)
    assert not any(isinstance(part, GDN) for part in network.modules())


def test_folding_a_lone_gdn_returns_the_folded_layer() -> None:
    assert isinstance(fold_gdn(GDN(4)), FoldedGDN)


def test_a_decoder_inside_another_module(tmp_path: Path) -> None:
    network = LatentSR(7, 8, 1, 4, (8, 7, 6, 5, 4, 3))
    kept = {f"model.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": kept, "epoch": 2}, tmp_path / "latent.ckpt")
    loaded, latent = load_latent_sr(tmp_path / "latent.ckpt"), torch.randn(1, 7, 3, 2)
    assert torch.equal(loaded(latent), network.eval()(latent))


def test_demo_weights_load_strictly(data_dir: Path) -> None:
    path = data_dir / "weights" / "demo" / "latent_sr.pth"
    if not path.is_file():
        pytest.skip(f"no demo weights in {path}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert LatentSRLight.detect(state)
    network = LatentSRLight.from_state_dict(state)
    assert network.latent_channels == 96
    trainable = LatentSRLight.trainable_from_state_dict(state).eval()
    assert trainable.state_dict().keys() == state.keys()
    latent = torch.randint(-3, 4, (1, 96, 2, 2)).float()
    with torch.no_grad():
        torch.testing.assert_close(network(latent), trainable(latent), rtol=1e-4, atol=1e-5)
