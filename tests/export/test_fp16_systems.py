"""FP16 variants of presets, codecs with causal windows, and every public layout of SR networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import half_cases as cases  # noqa: E402
import latentsr  # noqa: E402
from codec_cases import exported  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.report.metrics import psnr  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.fp16.convert import convert  # noqa: E402
from latentsr_export.fp16.gate import GATE_DB, difference  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.pixel_sr import load_pixel_sr  # noqa: E402
from latentsr_export.presets import PRESETS  # noqa: E402
from latentsr_export.presets.export import export_preset  # noqa: E402
from latentsr_export.presets.preset import SMALL  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402
from sr_cases import CASES, SRCase  # noqa: E402
from windowed_cases import WINDOWED  # noqa: E402


def check(bundle: Bundle, picture: np.ndarray) -> None:
    """No variant decides a scale, all routes keep their quality, streams decode either way."""
    manifest = bundle.manifest
    decides = {*manifest.entropy_graphs, *manifest.exact, *manifest.exact.values()}
    halved = {name for name, graph in manifest.graphs.items() if graph.variants}
    assert halved and not halved & decides
    rows = manifest.raw["fp16"]["routes"]
    assert set(rows) == {name for name, r in manifest.routes.items() if r.kind == "decode"}
    assert all(row["worst_db"] >= -GATE_DB for row in rows.values())
    full, half = (latentsr.load(bundle.path, threads=1, precision=p) for p in ("fp32", "fp16"))
    for coder in (full, half):
        stream = coder.encode(picture)
        for route in rows:
            assert psnr(full.decode(stream, route), half.decode(stream, route)) > 38, route


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS])
def test_presets(name: str, picture: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture).save(tmp_path / "a.png")
    how = Writing([tmp_path / "a.png"], fp16=True)
    check(export_preset(name, tmp_path / "a.lsr", random=True, size=SMALL, how=how), picture)


@pytest.mark.parametrize("name", WINDOWED)
def test_windowed_codecs(name: str, picture: np.ndarray, tmp_path: Path) -> None:
    check(exported(tmp_path / "a.lsr", WINDOWED[name](), picture, fp16=True), picture)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_sr_networks(case: SRCase, tmp_path: Path) -> None:
    torch.save(case.state, tmp_path / "net.pth")
    network = load_pixel_sr(tmp_path / "net.pth", case.scale)
    data = trace("sr", GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture"))
    samples = [{"x": cases._values(3, *size, False)} for size in ((24, 32), (33, 21))]
    half = convert(data, samples)
    full = [cases.run(data, sample)["hr"] for sample in samples]
    for made in (half.data, half.emulation):
        found = [cases.run(made, sample)["hr"] for sample in samples]
        assert difference(full, found)["psnr_db"] > 50
