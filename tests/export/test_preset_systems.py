"""Single presets: costs as in the literature, and pictures as their networks make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the exporter needs torch")
models = pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from latentsr.errors import ExportError, UsageError  # noqa: E402
from latentsr.evaluate.plan import Settings  # noqa: E402
from latentsr.evaluate.protocol import run_evaluation  # noqa: E402
from latentsr.report.metrics import psnr  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.networks.resampler import Resampler  # noqa: E402
from latentsr_export.presets import find_preset  # noqa: E402
from latentsr_export.presets.cost import graph_costs, route_costs  # noqa: E402
from latentsr_export.presets.export import export_preset, make_system  # noqa: E402
from latentsr_export.presets.preset import FULL, SMALL, Preset  # noqa: E402
from preset_cases import high  # noqa: E402


def test_car_before_sr_is_the_fused_graph(tmp_path: Path, small_picture: Path) -> None:
    path = tmp_path / "jin.lsr"
    how = Writing([small_picture])
    options = {"quality": 30, "scale": 2, "subsampling": "4:4:4"}
    export_preset("jin-jpeg-car-sr", path, None, True, SMALL, options, how)
    with latentsr.load(path, threads=1) as codec:
        assert codec.bundle.manifest.upscale == "sr_x2"
        stream = codec.encode(high())
        assert codec.open_stream(stream).chunks[0] == stream
        two, one = codec.decode(stream, "sr_x2"), codec.decode(stream, "fused_x2")
        assert np.abs(two.astype(int) - one).max() <= 1
        assert not np.array_equal(two, codec.decode(stream, "decoded_x2"))
        assert psnr(codec.decode(stream, "car"), codec.decode(stream)) > 25
    assumed = " ".join(codec.bundle.manifest.raw["assumptions"])
    assert "The scale is 2" in assumed and "quality 30 with chroma 4:4:4" in assumed


def costs(preset: Preset) -> tuple[dict[str, Any], dict[str, Any]]:
    system = make_system(preset, {}, True, FULL, {})
    graphs = graph_costs(system)
    return graphs, route_costs(system, graphs)


def test_costs_of_cdsr_are_those_of_the_literature() -> None:
    latent, _ = costs(find_preset("cdsr-latent"))
    decoded, routes = costs(find_preset("cdsr-decoded"))
    assert decoded["pixel_sr"].parameters == 16_697_987
    assert decoded["pixel_sr"].macs_per_lr_pixel == pytest.approx(17.927e6, rel=1e-4)
    assert decoded["edsr"].parameters == pytest.approx(1.518e6, rel=1e-3)
    assert decoded["edsr"].macs_per_lr_pixel == pytest.approx(1.983e6, rel=1e-3)
    for graphs in (latent, decoded):  # quality 6
        assert graphs["synthesis"].parameters == pytest.approx(3.506e6, rel=1e-3)
        assert graphs["synthesis"].macs_per_lr_pixel == pytest.approx(93.7e3, rel=1e-3)
        assert graphs["entropy_parameters"].macs_per_lr_pixel == pytest.approx(3.29e3, rel=2e-3)
    assert routes["pixel_x4"].macs_per_hr_pixel == pytest.approx(
        (93.7e3 + 17.927e6 + 3.29e3) / 16, rel=1e-3
    )
    wide = make_system(find_preset("cdsr-latent"), {}, True, SMALL, {"head": "full"})
    assert "with 16, 16, 16, 16, 16, 16 features" in " ".join(wide.facts["assumptions"])
    # 23 blocks on the latent's grid: an order of magnitude less than on pixels.
    assert 16e6 < latent["latent_sr"].parameters < 18e6
    assert latent["latent_sr"].macs_per_lr_pixel < decoded["pixel_sr"].macs_per_lr_pixel / 10


def test_costs_of_jin_are_those_of_the_literature() -> None:
    graphs, _ = costs(find_preset("jin-jpeg-car-sr"))
    assert graphs["car"].parameters == pytest.approx(0.594e6, rel=1e-3)
    assert graphs["car"].macs_per_lr_pixel == pytest.approx(593e3, rel=1e-3)
    assert graphs["pixel_sr"].parameters == pytest.approx(43.09e6, rel=1e-3)
    assert graphs["pixel_sr"].macs_per_lr_pixel == pytest.approx(50.253e6, rel=1e-3)
    assert graphs["fused"].parameters == graphs["car"].parameters + graphs["pixel_sr"].parameters


def test_costs_of_tun_are_those_of_the_literature() -> None:
    graphs, _ = costs(find_preset("tun-car-lee-edsr"))
    assert graphs["resampler"].parameters == pytest.approx(9.90e6, abs=1e4)
    assert graphs["resampler"].macs_per_lr_pixel == pytest.approx(432e3, rel=2e-3)
    assert graphs["pixel_sr"].macs_per_lr_pixel == pytest.approx(50.253e6, rel=1e-3)


def test_suzuki_s_widths_are_the_paper_s() -> None:
    system = make_system(find_preset("suzuki-selective-detail"), {}, True, FULL, {})
    state = {name: dict(spec.module.named_parameters()) for name, spec in
             system.parts.graphs.items()}  # fmt: skip
    widths = {name: [p.shape[0] for key, p in found.items() if key.endswith("weight") and
                     p.ndim == 4 and p.shape[2] > 1] for name, found in state.items()}  # fmt: skip
    assert widths["analysis"] == [32, 64, 128, 192, 64]
    # Transposed convolutions name their inputs first.
    assert widths["main"][1:] == [192, 128, 64, 32]
    assert widths["detail"][1:] == [192, 96, 64, 32]
    assert state["main"]["layers.0.weight"].shape == (192, 32, 3, 3)
    assert system.parts.channels == (32, 64)


def test_the_blend_and_the_enlarged_picture_are_the_network_s(
    tmp_path: Path, small_picture: Path
) -> None:
    path = tmp_path / "s.lsr"
    export_preset(
        "suzuki-selective-detail", path, None, True, SMALL, how=Writing([small_picture])
    )  # fmt: skip
    network: Any = find_preset("suzuki-selective-detail").networks(
        {}, find_preset("suzuki-selective-detail").settings(SMALL, {}), True
    )["codec"]
    with latentsr.load(path, threads=1) as codec:
        run = codec.run_encode(high()[:64, :128], "encode", True)
        stream = codec.encode(high()[:64, :128])
        with torch.no_grad():
            wanted = network.decode(torch.from_numpy(run.values["y_hat"]))
        for route, value in (("native", "x_hat"), ("x2", "x_m2"), ("lr", "x_hat")):
            made = wanted[value][0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
            assert np.abs(codec.decode(stream, route) - made).max() <= 0.51, route
        mask = wanted["mask"]
        assert float(mask.min()) > 0 and float(mask.max()) < 1


def test_the_resampler_s_reduction_is_eight_bits(tmp_path: Path, small_picture: Path) -> None:
    path = tmp_path / "t.lsr"
    export_preset("tun-car-lee-edsr", path, None, True, SMALL, how=Writing([small_picture]))
    with latentsr.load(path, threads=1) as codec:
        low = codec.run_encode(high()[:96, :128], "encode_hr", True).values["picture"]
        assert low.dtype == np.uint8 and low.shape == (24, 32, 3)
        plain = codec.run_encode(high()[:96, :128], "encode_bicubic", True).values["picture"]
        # It starts as a mean of the pixels that it covers.
        assert psnr(low, plain) > 25
        assert codec.encode(high()[:96, :128], "encode_hr") == codec.encode(low)
    with pytest.raises(ExportError, match="resampler and SR network do not fit"):
        torch.save(Resampler(2, 4).state_dict(), tmp_path / "two.pth")
        given = {"resampler": tmp_path / "two.pth"}
        export_preset("tun-car-lee-edsr", tmp_path / "u.lsr", given, True, SMALL)


def test_evaluating_with_the_bundle_s_own_reduction(tmp_path: Path, small_picture: Path) -> None:
    path = tmp_path / "t.lsr"
    export_preset("tun-car-lee-edsr", path, None, True, SMALL, how=Writing([small_picture]))
    Image.fromarray(high(100, 75)).save(tmp_path / "hr.png")  # neither a multiple of 8
    given = str(tmp_path / "hr.png")
    found = run_evaluation(
        Settings((str(path),), given, ("pixel_x4",), reduction="bundle", threads=1)
    )
    (row,) = (row for row in found["rows"] if row["anchor"] == "decoded")
    assert (row["width"], row["height"], row["lr_width"], row["lr_height"]) == (72, 100, 18, 25)
    with latentsr.load(path, threads=1) as codec:
        original = high(100, 75)[:, :72]
        low = codec.run_encode(original, "encode_hr", True).values["picture"][:25, :18]
        made = codec.decode(codec.encode(low), "pixel_x4")
    assert row["figures"]["psnr"] == psnr(made, original)
    with pytest.raises(UsageError, match="found 'encode_hr'"):
        run_evaluation(Settings(("demo",), given, reduction="bundle"))
