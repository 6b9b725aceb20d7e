"""Training recipes: a few steps on small random pictures, resuming, and user errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train_case import common, training_pictures

torch = pytest.importorskip("torch")
pytest.importorskip("compressai")

import latentsr  # noqa: E402
from latentsr.errors import CheckpointError, ImageError, UsageError  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.networks.car import ArtefactRemoval  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.latent_sr import LatentSR  # noqa: E402
from latentsr_export.networks.latent_sr_light import LatentSRLight  # noqa: E402
from latentsr_export.networks.rrdbnet import RRDBNet  # noqa: E402
from latentsr_export.train import (  # noqa: E402
    codec,
    data,
    jpeg_sr,
    latent_sr,
    pixel_sr,
)
from latentsr_export.train.loop import (  # noqa: E402
    Batch,
    Settings,
    Trainer,
    load_weights,
    resume_path,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def codec_file(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("codec") / "codec.pth"
    sizes = ["--features", "6", "--latent", "9", "--crop", "64", "--batch", "2"]
    return codec.main([*common(pictures, out, 3), *sizes])


def test_codec_has_entropy_tables_and_codes(codec_file: Path) -> None:
    network = codec.load_codec(codec_file)
    assert not any(p.requires_grad for p in network.parameters())
    picture = torch.rand(1, 3, 64, 64)
    packed = network.compress(picture)
    again = network.decompress(packed["strings"], packed["shape"])["x_hat"]
    # decode() must be what the coder gives, or SR networks learn from other pictures.
    torch.testing.assert_close(again, codec.decode(network, picture), atol=1e-4, rtol=0)


def test_mean_scale_codec_starts_from_another(
    pictures: Path, codec_file: Path, tmp_path: Path
) -> None:
    from compressai.models import MeanScaleHyperprior

    start = torch.load(codec_file, weights_only=True)
    network = MeanScaleHyperprior(6, 9)
    codec.start_from(network, codec_file)
    assert torch.equal(network.state_dict()["g_a.0.weight"], start["g_a.0.weight"])
    out = tmp_path / "means.pth"
    sizes = ["--features", "6", "--latent", "9", "--crop", "64", "--batch", "1"]
    codec.main([*common(pictures, out, 1), *sizes, "--means", "--start", str(codec_file)])
    state = torch.load(out, weights_only=True)
    assert MeanScaleHyperprior.from_state_dict(state).M == 9
    torch.save({"other": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="nothing to start from"):
        codec.start_from(network, tmp_path / "other.pth")


def test_context_codec_starts_from_another_and_codes(
    pictures: Path, codec_file: Path, tmp_path: Path
) -> None:
    from compressai.models import JointAutoregressiveHierarchicalPriors

    out = tmp_path / "context.pth"
    sizes = ["--features", "6", "--latent", "9", "--crop", "64", "--batch", "1", "--rate", "1e-9"]
    codec.main([*common(pictures, out, 1), *sizes, "--context", "--start", str(codec_file)])
    state = torch.load(out, weights_only=True)
    start = torch.load(codec_file, weights_only=True)
    torch.testing.assert_close(state["g_s.2.weight"], start["g_s.2.weight"])
    network = JointAutoregressiveHierarchicalPriors.from_state_dict(state).eval()
    packed = network.compress(torch.rand(1, 3, 64, 64))
    assert network.decompress(packed["strings"], packed["shape"])["x_hat"].shape[2:] == (64, 64)
    with pytest.raises(SystemExit):
        codec.main([*common(pictures, out, 1), "--context", "--means"])


def test_decode_keeps_odd_sizes(codec_file: Path) -> None:
    network = codec.load_codec(codec_file)
    assert codec.decode(network, torch.rand(2, 3, 65, 33)).shape == (2, 3, 65, 33)
    assert codec.latent_of(network, torch.rand(2, 3, 65, 33)).shape == (2, 9, 8, 4)


def test_pixel_sr_trains_and_resumes(pictures: Path, codec_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sr.pth"
    sizes = ["--codec", str(codec_file), "--features", "4", "--blocks", "1", "--crop", "16"]
    argv = [*sizes, "--batch", "2"]
    assert pixel_sr.main([*common(pictures, out, 2), *argv]) == out
    first = load_weights(out)
    assert EDSR.detect(first)
    assert EDSR.from_state_dict(first).scale == 4
    pixel_sr.main([*common(pictures, out, 5), *argv, "--resume"])
    state = load_weights(resume_path(out))
    assert state["step"] == 5
    assert state["seconds"] > 0
    assert any(not torch.equal(first[key], value) for key, value in load_weights(out).items())
    assert [p.name for p in out.parent.iterdir() if p.suffix == ".part"] == []


def test_rrdbnet_trains(pictures: Path, codec_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "rrdbnet.pth"
    sizes = ["--features", "4", "--blocks", "1", "--crop", "16", "--batch", "1"]
    argv = ["--codec", str(codec_file), "--network", "rrdbnet", *sizes]
    pixel_sr.main([*common(pictures, out, 2), *argv])
    assert RRDBNet.from_state_dict(load_weights(out)).scale == 4


def test_jpeg_sr_trains_in_three_steps_and_resumes(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "jin.pth"
    argv = ["--features", "4", "--blocks", "1", "--car-features", "4", "--car-layers", "2",
            "--crop", "16", "--batch", "2", "--scale", "2"]  # fmt: skip
    with pytest.raises(CheckpointError, match=r"no checkpoint.*resume"):
        jpeg_sr.main([*common(pictures, out, 8), *argv, "--resume"])
    assert jpeg_sr.main([*common(pictures, out, 8), *argv]) == out
    steps = [jpeg_sr.beside(out, "step1"), jpeg_sr.beside(out, "step2"), out]
    assert [load_weights(resume_path(path))["step"] for path in steps] == [2, 4, 2]
    both, car = load_weights(out), load_weights(jpeg_sr.beside(out, "car"))
    assert all(torch.equal(both[f"car.{key}"], value) for key, value in car.items())
    ArtefactRemoval.from_state_dict(car)
    sr = load_weights(jpeg_sr.beside(out, "sr"))
    assert EDSR.from_state_dict(sr).scale == 2
    # The second step leaves the first one's network alone, the third one trains both.
    first = load_weights(steps[0])
    assert any(not torch.equal(first[key], car[key]) for key in first)
    jpeg_sr.main([*common(pictures, out, 16), *argv, "--resume"])
    assert [load_weights(resume_path(path))["step"] for path in steps] == [4, 8, 4]


def test_jpeg_sr_alone_is_an_edsr(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "alone.pth"
    argv = ["--features", "4", "--blocks", "1", "--crop", "16", "--batch", "2", "--scale", "2"]
    jpeg_sr.main([*common(pictures, out, 2), *argv, "--alone"])
    assert EDSR.from_state_dict(load_weights(out)).scale == 2
    assert not jpeg_sr.beside(out, "car").exists()


def test_jpeg_batches_are_of_one_place(pictures: Path) -> None:
    loaded = data.load_pictures([pictures], 64)
    triples = jpeg_sr.make_triples(loaded, 4, 90, "4:4:4")
    decoded, low, high = next(jpeg_sr.batches(triples, 4, 16, 3, 1))
    assert decoded.shape == low.shape == (3, 3, 16, 16) and high.shape == (3, 3, 64, 64)
    assert 0 < (decoded - low).abs().mean() < 0.05
    reduced = torch.nn.functional.interpolate(high, scale_factor=0.25, mode="area")
    assert (reduced - low).abs().mean() < 0.05


@pytest.mark.parametrize("kind", [LatentSRLight, LatentSR])
def test_latent_sr_trains_on_a_frozen_codec(
    kind: type, pictures: Path, codec_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sr.pth"
    argv = ["--codec", str(codec_file), "--crop", "64", "--batch", "1", "--network", kind.NAME]
    latent_sr.main([*common(pictures, out, 2), *argv])
    network = kind.from_state_dict(load_weights(out))
    assert network.latent_channels == 9


def test_light_decoder_starts_as_the_enlarged_codec_picture(codec_file: Path) -> None:
    frozen = codec.load_codec(codec_file)
    latent = torch.randint(-3, 4, (1, 9, 2, 2)).float()
    with torch.no_grad():
        expected = torch.nn.functional.interpolate(
            frozen.g_s(latent), scale_factor=4.0, mode="bilinear", align_corners=False
        )
        torch.testing.assert_close(latent_sr.build(LatentSRLight.NAME, frozen)(latent), expected)


def test_resuming_another_network_is_refused(
    pictures: Path, codec_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sr.pth"
    argv = [*common(pictures, out, 1), "--codec", str(codec_file), "--crop", "16", "--batch", "1"]
    with pytest.raises(CheckpointError, match=r"no checkpoint.*resume"):
        pixel_sr.main([*argv, "--resume"])
    pixel_sr.main([*argv, "--features", "4", "--blocks", "1"])
    with pytest.raises(CheckpointError, match="cannot resume"):
        pixel_sr.main([*argv, "--features", "5", "--blocks", "1", "--resume"])


def test_bad_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no folder"):
        data.load_pictures([tmp_path / "nowhere"], 8)
    with pytest.raises(ImageError, match="found none in"):
        data.load_pictures([tmp_path], 8)
    Image.new("L", (9, 7)).save(tmp_path / "gray.png")
    assert data.load_pictures([tmp_path], 7)[0].shape == (7, 9, 3)
    with pytest.raises(ImageError, match=r"too small.*7 at most.*8 or more"):
        data.load_pictures([tmp_path], 8)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(ImageError, match=r"broken\.png"):
        data.load_pictures([tmp_path], 7)


def test_bad_codec_is_explained(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="no ScaleHyperprior"):
        codec.load_codec(tmp_path / "other.pth")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cannot read"):
        codec.load_codec(tmp_path / "junk.pth")


@pytest.mark.parametrize("length", [[], ["--steps", "1", "--minutes", "1"], ["--steps", "0"]])
def test_length_of_training_is_asked_once(length: list[str], tmp_path: Path) -> None:
    argv = ["--pictures", str(tmp_path), "--out", str(tmp_path / "x.pth"), *length]
    with pytest.raises(UsageError):
        codec.main(argv)


def test_schedule_by_minutes_or_steps() -> None:
    out = Path("x.pth")
    assert Settings(out, minutes=2.0).progress(99, 60.0) == 0.5
    assert Settings(out, steps=200).progress(50, 1e9) == 0.25
    assert Settings(out, steps=200).progress(500, 0.0) == 1.0


def test_symmetries_of_the_square_differ() -> None:
    crop = torch.arange(4.0).reshape(1, 2, 2)
    assert len({tuple(data.flip(crop, k).flatten().tolist()) for k in range(8)}) == 8


def test_windowed_codec_is_exported_and_codes(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "window.pth"
    sizes = ["--features", "6", "--latent", "9", "--crop", "64", "--batch", "1"]
    codec.main([*common(pictures, out, 2), *sizes, "--window", "4"])
    export(out, tmp_path / "window.lsr")
    picture = np.zeros((50, 70, 3), np.uint8)
    with latentsr.load(tmp_path / "window.lsr", threads=1) as loaded:
        assert loaded.decode(loaded.encode(picture)).shape == picture.shape
    with pytest.raises(UsageError, match=r"--window: found 9, expected 0\.\.8"):
        codec.main([*common(pictures, out, 2), *sizes, "--window", "9"])


def test_parts_have_rates_of_their_own_and_are_clipped_by_themselves(tmp_path: Path) -> None:
    network = torch.nn.ModuleDict({"old": torch.nn.Linear(1, 1), "new": torch.nn.Linear(1, 1)})
    settings = Settings(tmp_path / "x.pth", steps=2, rate=1e-3)
    trainer = Trainer(network, settings, {"new.": 10.0})

    def loss(made: Any, batch: Batch) -> torch.Tensor:
        # The new part's gradients are a million times the old one's.
        return (made["old"](batch[0]) + 1e6 * made["new"](batch[0])).sum()

    trainer.fit(iter([(torch.ones(1, 1),)] * 2), loss)
    found = {g["factor"]: g for g in trainer.optimizer.param_groups}
    assert set(found) == {1.0, 10.0}
    assert found[10.0]["lr"] == pytest.approx(10 * found[1.0]["lr"])
    norms = {f: sum(float(p.grad.norm() ** 2) for p in g["params"]) for f, g in found.items()}
    assert norms[10.0] == pytest.approx(1.0, rel=1e-4)
    assert norms[1.0] == pytest.approx(1.0, rel=1e-4)
