"""EDSR: sizes found again from shapes, what the loader refuses, the bilinear start."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.networks.edsr import EDSR, STAGES, initialise_as_bilinear  # noqa: E402


@pytest.mark.parametrize(
    ("features", "blocks", "scale", "mean_shift"),
    [(5, 3, 2, False), (7, 1, 3, True), (6, 2, 4, False), (3, 2, 4, True), (4, 1, 8, False)],
)
def test_saved_network_is_found_again(
    features: int, blocks: int, scale: int, mean_shift: bool, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    network = EDSR(features, blocks, scale, mean_shift).eval()
    torch.save(network.state_dict(), tmp_path / "edsr.pth")
    state = torch.load(tmp_path / "edsr.pth", weights_only=True)
    assert EDSR.detect(state)
    again = EDSR.from_state_dict(state)
    assert (again.scale, again.mean_shift) == (scale, mean_shift)
    picture = torch.rand(1, 3, 7, 5)
    with torch.no_grad():
        found = again(picture)
        torch.testing.assert_close(found, network(picture))
    assert found.shape == (1, 3, 7 * scale, 5 * scale)


def test_keys_are_those_of_the_public_files() -> None:
    keys = set(EDSR(4, 2, 4, mean_shift=True).state_dict())
    weights = {
        "head.0.weight", "body.0.body.0.weight",
        "body.0.body.2.weight", "body.1.body.0.weight", "body.1.body.2.weight", "body.2.weight",
        "tail.0.0.weight", "tail.0.2.weight", "tail.1.weight",
    }  # fmt: skip
    assert keys == {"mean"} | weights | {key.replace("weight", "bias") for key in weights}


def test_only_the_wide_network_scales_its_residuals() -> None:
    assert [EDSR(f, 1, 2).body[0].res_scale for f in (64, 128, 256)] == [1.0, 1.0, 0.1]


@pytest.mark.parametrize("key", ["head.0.weight", "body.0.body.2.weight", "tail.0.2.weight"])
def test_wrong_shapes_are_named(key: str) -> None:
    state = dict(EDSR(8, 2, 4).state_dict())
    state[key] = torch.zeros(8, 5, 3, 3)
    with pytest.raises(CheckpointError, match=f"{key}.*found.*expected"):
        EDSR.from_state_dict(state)


def test_odd_upsampler_is_refused() -> None:
    state = dict(EDSR(4, 1, 2).state_dict())
    state["tail.0.0.weight"] = torch.zeros(4 * 25, 4, 3, 3)
    with pytest.raises(CheckpointError, match=r"stages \[5\]"):
        EDSR.from_state_dict(state)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bilinear_start(scale: int) -> None:
    torch.manual_seed(7)
    network = EDSR(6, 2, scale)
    initialise_as_bilinear(network)
    with torch.no_grad():  # silence what training will use, to see the carried picture alone
        network.tail[1].weight[:, 3:] = 0.0
        for block in (*network.body[:-1], network.body[-1]):
            layer = block.body[2] if hasattr(block, "body") else block
            layer.weight.zero_()
        picture = expected = torch.rand(1, 3, 9, 8)
        for ratio in STAGES[scale]:
            expected = torch.nn.functional.interpolate(
                expected, scale_factor=float(ratio), mode="bilinear", align_corners=False
            )
        inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
        torch.testing.assert_close(network(picture)[inner], expected[inner])
