"""Recipes of the papers' systems: a few steps with and without their special parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from train_case import common, training_pictures

torch = pytest.importorskip("torch")
pytest.importorskip("compressai")

from latentsr.errors import UsageError  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.resampler import Resampler  # noqa: E402
from latentsr_export.networks.suzuki import Suzuki2021  # noqa: E402
from latentsr_export.train import resampler, selective  # noqa: E402
from latentsr_export.train.loop import load_weights  # noqa: E402


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize("part", [None, "mask", "residual", "both"])
def test_selective_detail_without_a_part(pictures: Path, tmp_path: Path, part: str | None) -> None:
    out = tmp_path / "selective.pth"
    sizes = ["--share", "0.05", "--features", "4", "--blocks", "1", "--crop", "128", "--batch", "1"]
    left_out = ["--without", part] if part else []
    selective.main([*common(pictures, out, 2), *sizes, *left_out])
    network = Suzuki2021().build(torch.load(out, weights_only=True)).eval()
    with torch.no_grad():
        made = network(torch.rand(1, 3, 64, 128))
    enlarged = torch.nn.functional.interpolate(made["x_m"], scale_factor=2, mode="bilinear")
    assert bool((made["mask"] < 1e-9).all()) == (part in ("mask", "both"))
    assert torch.allclose(made["x_m2"], enlarged, atol=1e-6) == (part in ("residual", "both"))
    again = tmp_path / "again.pth"
    selective.main([*common(pictures, again, 1), *sizes, *left_out, "--start", str(out)])
    begun, kept = (torch.load(path, weights_only=True)["encoder.0.weight"] for path in (again, out))
    assert torch.allclose(begun, kept, atol=0.01)
    with pytest.raises(UsageError, match="--crop: found 64, expected a multiple of 128"):
        selective.main([*common(pictures, out, 1), "--crop", "64"])


def test_the_residual_learns_at_a_rate_of_its_own(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "selective.pth"
    sizes = ["--share", "0.05", "--features", "4", "--blocks", "1", "--crop", "128", "--batch", "1"]
    start = tmp_path / "start.pth"
    selective.main([*common(pictures, start, 1), *sizes, "--without", "residual"])
    rates = ["--rate", "1e-9", "--residual-rate", "1e-2", "--start", str(start)]
    selective.main([*common(pictures, out, 3), *sizes, *rates])
    begun, made = load_weights(start), load_weights(out)
    assert torch.allclose(begun["main.0.weight"], made["main.0.weight"], atol=1e-6)
    assert not begun["residual.tail.weight"].any() and made["residual.tail.weight"].any()
    with pytest.raises(UsageError, match=r"--residual-rate: found -1\.0, expected one above 0"):
        selective.main([*common(pictures, out, 1), *sizes, "--residual-rate", "-1"])


@pytest.mark.parametrize("scale", [2, 4])
def test_resampler_and_upscaler_learn_together(pictures: Path, tmp_path: Path, scale: int) -> None:
    out = tmp_path / "pair.pth"
    sizes = ["--width", "4", "--features", "6", "--blocks", "1", "--crop", "64", "--batch", "1"]
    resampler.main([*common(pictures, out, 2), *sizes, "--scale", str(scale)])
    state = torch.load(tmp_path / "pair-resampler.pth", weights_only=True)
    assert Resampler.detect(state) and Resampler.from_state_dict(state).scale == scale
    state = torch.load(tmp_path / "pair-upscaler.pth", weights_only=True)
    assert EDSR.from_state_dict(state).scale == scale
    resampler.main([*common(pictures, tmp_path / "b.pth", 1), *sizes, "--bicubic"])
    assert not (tmp_path / "b-resampler.pth").exists()


@pytest.mark.parametrize("scale", [2, 4])
def test_an_untrained_resampler_starts_as_an_antialiased_reduction(scale: int) -> None:
    torch.manual_seed(1)
    network = Resampler(scale, 4).eval()
    resampler.initialise_as_triangle(network)
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        made = network(picture)
    wanted = torch.nn.functional.interpolate(
        picture, (64 // scale, 96 // scale), mode="bilinear", antialias=True
    )
    inner = (..., slice(3, -3), slice(3, -3))  # borders are reflected here, cut off there
    assert float((made - wanted)[inner].abs().max()) < 0.01


def test_a_learned_reduction_goes_on_from_a_bicubic_pair(pictures: Path, tmp_path: Path) -> None:
    sizes = ["--width", "4", "--features", "6", "--blocks", "1", "--crop", "64", "--batch", "1"]
    first, out = tmp_path / "first.pth", tmp_path / "pair.pth"
    resampler.main([*common(pictures, first, 2), *sizes, "--bicubic"])
    resampler.main([*common(pictures, out, 3), *sizes, "--rate", "1e-9", "--start", str(first)])
    begun, made = load_weights(first), load_weights(out)
    assert len(made) > len(begun)
    for name, tensor in begun.items():
        assert torch.allclose(made[name], tensor, atol=1e-6), name
