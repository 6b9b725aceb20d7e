"""Certain zeros from the exporter's option to the decoded picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from latentsr.errors import ExportError, StreamError  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from compressai.models import MeanScaleHyperprior

    torch.manual_seed(3)
    network = MeanScaleHyperprior(8, 12)
    with torch.no_grad():
        # Latents of a size that gives symbols beside 0, scales on both sides of the threshold.
        network.g_a[-1].weight.mul_(40)
        network.h_s[-1].bias[:12] = torch.linspace(0.05, 0.6, 12)
    path = tmp_path_factory.mktemp("certain") / "codec.pth"
    torch.save(network.state_dict(), path)
    return path


def test_symbols_of_small_scales_are_left_out(
    checkpoint: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    export(checkpoint, tmp_path / "plain.lsr")
    bundle = export(checkpoint, tmp_path / "skip.lsr", skip_scale=0.15)
    (chunk,) = [chunk for chunk in bundle.manifest.chunks if chunk.name == "y"]
    table = bundle.tensors["y.scale_table"]
    assert chunk.skip == (table <= np.float32(0.15)).sum() > 0
    with (
        latentsr.load(tmp_path / "plain.lsr", threads=1) as plain,
        latentsr.load(tmp_path / "skip.lsr", threads=1) as codec,
    ):
        before = plain.run_encode(picture, "encode", True)
        run = codec.run_encode(picture, "encode", True)
        model = codec.machine.entropy["y"]
        rows = model.indexes(run.values["scales"], run.values["y"].shape, True)
        low = rows < chunk.skip
        assert 0 < low.sum() < low.size
        assert np.array_equal(run.values["y_hat"][low], run.values["means"][low])
        assert not np.array_equal(before.values["y_hat"][low], run.values["y_hat"][low])
        assert np.array_equal(before.values["y_hat"][~low], run.values["y_hat"][~low])
        assert len(run.chunks["y"]) < len(before.chunks["y"])
        stream = codec.encode(picture)
        assert codec.decode(stream).shape == picture.shape  # with the symbols' CRC-32
        with pytest.raises(StreamError, match="another bundle"):
            plain.decode(stream)
        # CompressAI codes every symbol, so its form leaves none out.
        runs = [c.run_encode(picture, "encode", False) for c in (plain, codec)]
        assert runs[0].chunks == runs[1].chunks


def test_thresholds_that_make_no_sense(checkpoint: Path, tmp_path: Path) -> None:
    for scale in (-0.1, 0.31, float("nan")):
        with pytest.raises(ExportError, match=r"found (-0\.1|0\.31|nan), expected 0\.\.0\.3"):
            export(checkpoint, tmp_path / "wrong.lsr", skip_scale=scale)
