"""Presets: every one exports with untrained weights, runs from bytes to pictures, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the exporter needs torch")
models = pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from command_line import latentsr as command  # noqa: E402
from latentsr.bundle import DEMO, Bundle  # noqa: E402
from latentsr.errors import CheckpointError, ExportError, UsageError  # noqa: E402
from latentsr.evaluate.plan import Settings  # noqa: E402
from latentsr.evaluate.protocol import run_evaluation  # noqa: E402
from latentsr.report.metrics import psnr  # noqa: E402
from latentsr_export import cli  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.cli_presets import describe  # noqa: E402
from latentsr_export.networks.car import ArtefactRemoval  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.latent_sr import LatentSR  # noqa: E402
from latentsr_export.networks.resampler import Resampler  # noqa: E402
from latentsr_export.presets import PRESETS, find_preset  # noqa: E402
from latentsr_export.presets.cost import graph_costs, route_costs  # noqa: E402
from latentsr_export.presets.export import export_preset, make_system  # noqa: E402
from latentsr_export.presets.preset import FULL, SMALL, Preset  # noqa: E402
from latentsr_export.presets.untrained import seeded  # noqa: E402

NAMES = [preset.name for preset in PRESETS]
# The routes that each paper asks for, beside encode, encode_hr, lr, bicubic and lanczos.
ROUTES = {
    "cdsr-latent": {"latent_x4", "edsr_x4"},
    "cdsr-decoded": {"pixel_x4", "edsr_x4"},
    "jin-jpeg-car-sr": {"sr_x4", "fused_x4", "decoded_x4", "car"},
    "suzuki-selective-detail": {"x2", "native"},
    "tun-car-lee-edsr": {"pixel_x4", "encode_bicubic"},
}
COMMON = {"encode", "encode_hr", "lr", "bicubic", "lanczos"}


@pytest.fixture(scope="module")
def small_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For calibration and parity: one small picture saves seconds."""
    path = tmp_path_factory.mktemp("calibration") / "small.png"
    with Image.open(DEMO.parent / "coffee.png") as image:
        image.resize((150, 110), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module", params=NAMES)
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small_picture: Path
) -> Path:
    path = tmp_path_factory.mktemp("presets") / f"{request.param}.lsr"
    how = Writing([small_picture])
    export_preset(request.param, path, random=True, size=SMALL, how=how)
    return path


def high(height: int = 133, width: int = 201) -> np.ndarray:
    with Image.open(DEMO.parent / "coffee.png") as image:
        resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(resized)


def test_every_preset_is_tested() -> None:
    assert set(NAMES) == set(ROUTES)
    assert len(set(NAMES)) == len(NAMES)


def test_manifest(bundle: Path) -> None:
    raw = Bundle(bundle).manifest.raw
    assert raw["random_weights"] is True and raw["source"] == {}
    assert raw["preset"]["name"] == bundle.stem and raw["preset"]["size"] == SMALL
    assert len(raw["assumptions"]) >= 3
    assert all(isinstance(line, str) and line.endswith(".") for line in raw["assumptions"])
    assert set(raw["routes"]) == COMMON | ROUTES[bundle.stem]
    assert raw["upscale"] in ROUTES[bundle.stem]
    for name, graph in raw["graphs"].items():
        for entry in graph["parity"]["torch"].values():
            assert entry["max_abs"] <= 1e-4 * max(entry["peak"], 1.0), name
            assert entry["peak"] > 0


@pytest.mark.parametrize("size", [(37, 53), (8, 9)])
def test_bytes_to_pictures_on_odd_sizes(bundle: Path, size: tuple[int, int]) -> None:
    picture = high()[: size[0], : size[1]]
    with latentsr.load(bundle, threads=1) as codec:
        stream = codec.encode(picture)
        again = codec.encode(picture)
        assert stream == again
        for name, route in codec.bundle.manifest.routes.items():
            if route.kind == "decode":
                made = codec.decode(stream, name)
                assert made.shape == (size[0] * route.scale, size[1] * route.scale, 3), name
                assert made.std() > 1, name


def test_values_stay_in_range(bundle: Path) -> None:
    """Untrained networks neither die away nor clip: pictures keep a spread of samples."""
    with latentsr.load(bundle, threads=1) as codec:
        parts = codec.open_stream(codec.encode(high()[:96, :128]))
        low = codec.decode(codec.encode(high()[:96, :128]), codec.bundle.manifest.upscale)
        extreme = np.mean((low == 0) | (low == 255))
        assert extreme < 0.2 and len(np.unique(low)) > 40
        if parts.form != "jpeg":
            run = codec.run_encode(high()[:96, :128], "encode", True)
            chunks = [chunk.name for chunk in codec.bundle.manifest.chunks if chunk.stride == 16]
            symbols = np.concatenate([run.values[f"{name}_hat"] for name in chunks], 1)
            assert 0.5 < symbols.std() < 30 and np.abs(symbols).max() < 1000


def test_encoding_from_hr(bundle: Path) -> None:
    with latentsr.load(bundle, threads=1) as codec:
        stream = codec.encode(high(), "encode_hr")
        parts = codec.open_stream(stream)
        # 133x201: by 4, by 2, and by 4 of what a multiple of 8 is filled up to.
        coded = {"suzuki-selective-detail": (67, 101), "tun-car-lee-edsr": (34, 52)}
        height, width = coded.get(bundle.stem, (34, 51))
        assert (parts.height, parts.width) == (height, width)
        k = 2 if bundle.stem == "suzuki-selective-detail" else 4
        assert codec.upscale(stream).shape == (k * height, k * width, 3)


def test_a_second_run_gives_the_same_bytes(
    bundle: Path, small_picture: Path, tmp_path: Path
) -> None:
    torch.manual_seed(12345)  # the generator's state must not matter
    path = tmp_path / bundle.name
    export_preset(bundle.stem, path, random=True, size=SMALL, how=Writing([small_picture]))
    assert (path / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()


def test_seeded_networks_leave_the_generator_alone() -> None:
    state = torch.random.get_rng_state()
    first, second = (seeded(lambda: torch.nn.Conv2d(3, 3, 3)) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(state, torch.random.get_rng_state())


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


@pytest.fixture()
def files(tmp_path: Path) -> dict[str, Path]:
    """Checkpoints of sizes that no preset has."""
    torch.manual_seed(4)
    networks = {
        "codec": models.ScaleHyperprior(6, 10), "latent_sr": LatentSR(10, 6, 2, 3),
        "edsr": EDSR(5, 3, 4), "edsr_x3": EDSR(5, 3, 3), "car": ArtefactRemoval(7, 3),
    }  # fmt: skip
    for name, network in networks.items():
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    return {name: tmp_path / f"{name}.pth" for name in networks}


def test_sizes_come_from_checkpoints(
    files: dict[str, Path], small_picture: Path, tmp_path: Path
) -> None:
    how = Writing([small_picture], exact=False)
    given = {"codec": files["codec"], "latent_sr": files["latent_sr"]}
    made = export_preset("cdsr-latent", tmp_path / "a.lsr", given, how=how).manifest.raw
    assert made["random_weights"] is False and set(made["source"]) == set(given)
    assert made["codec"]["channels"] == [6, 10] and "edsr_x4" not in made["routes"]
    assert made["preset"]["options"] == {}
    assert "latent has 10 channels" in " ".join(made["assumptions"])
    # A network that is not given is made for the codec that is.
    mixed = export_preset(
        "cdsr-latent", tmp_path / "b.lsr", {"codec": files["codec"]}, True, SMALL, how=how
    )
    assert mixed.manifest.raw["random_weights"] is True
    assert set(mixed.manifest.raw["source"]) == {"codec"}
    pair = {"car": files["car"], "pixel_sr": files["edsr_x3"]}
    jin = export_preset("jin-jpeg-car-sr", tmp_path / "c.lsr", pair, how=how).manifest.raw
    assert {"sr_x3", "fused_x3", "bicubic", "car"} <= set(jin["routes"])
    assert jin["routes"]["bicubic"]["scale"] == 3
    assert jin["routes"]["encode_hr"]["steps"][0]["scale"] == 3
    assert "has 3 residual blocks" in " ".join(jin["assumptions"])
    assert jin["preset"]["options"] == {"quality": 10, "subsampling": "4:2:0", "first_relu": True}


def test_what_does_not_fit_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "x.lsr"
    with pytest.raises(UsageError, match="no such preset: found 'cdsr', expected one of cdsr-lat"):
        export_preset("cdsr", out, random=True)
    with pytest.raises(ExportError, match="found no codec, expected codec, latent_sr, srgan"):
        export_preset("cdsr-latent", out)
    with pytest.raises(ExportError, match="found 'codec', expected car, pixel_sr"):
        export_preset("jin-jpeg-car-sr", out, {"codec": files["codec"]}, True)
    with pytest.raises(UsageError, match="no such size: found 'tiny', expected one of full, small"):
        export_preset("jin-jpeg-car-sr", out, random=True, size="tiny")
    for options, message in [
        ({"quality": 0}, "option quality is out of range: found '0'"),
        ({"quality": "ten"}, "found 'ten'"),
        ({"first_relu": "maybe"}, "found 'maybe', expected bool"),
        ({"subsampling": "4:1:1"}, "expected 4:4:4, 4:2:2, 4:2:0"),
        ({"features": -3}, "found '-3'"),
        ({"lambda": 1}, "no such option: found 'lambda'"),
    ]:
        with pytest.raises(UsageError, match=message):
            export_preset("jin-jpeg-car-sr", out, None, True, SMALL, options)
    with pytest.raises(CheckpointError, match=r"no network for artefact removal.*codec\.pth"):
        pair = {"car": files["codec"], "pixel_sr": files["edsr"]}
        export_preset("jin-jpeg-car-sr", out, pair)
    torch.save(LatentSR(11, 6, 1, 3).state_dict(), tmp_path / "other.pth")
    given = {"codec": files["codec"], "latent_sr": tmp_path / "other.pth"}
    with pytest.raises(CheckpointError, match="found 11 input channels"):
        export_preset("cdsr-latent", out, given)
    assert not out.exists()


def test_listing() -> None:
    listed = [describe(preset, SMALL) for preset in PRESETS]
    assert [one["name"] for one in listed] == NAMES
    for one in listed:
        assert one["sizes"] == [FULL, SMALL] and one["paper"] and one["assumptions"]
        costs = one["graphs"].values()
        assert all((c["parameters"] > 0) == (c["macs_per_lr_pixel"] > 0) for c in costs)
        assert sum(c["parameters"] for c in costs) > 1000
        assert {n for n, r in one["roles"].items() if r["required"]} <= set(one["roles"])
        json.dumps(one)


def test_command_line(files: dict[str, Path], small_picture: Path, tmp_path: Path) -> None:
    shown = command("presets", "jin-jpeg-car-sr", "--size", "small", cwd=tmp_path).stdout
    assert "fused_x4" in shown and "assumes: The scale is 4" in shown
    done = command(
        "export", "--preset", "jin-jpeg-car-sr", "--random", "--size", "small", "--set",
        "quality=20", "--picture", small_picture, "-o", "jin.lsr", "--json", cwd=tmp_path,
    )  # fmt: skip
    facts = json.loads(done.stdout)
    assert facts["random_weights"] is True and "fused_x4" in facts["routes"]
    assert "random: only speed" in command("inspect", "jin.lsr", cwd=tmp_path).stdout
    command("encode", small_picture, "-m", "jin.lsr", "-o", "a.jpg", cwd=tmp_path)
    command("upscale", "a.jpg", "-m", "jin.lsr", "-o", "a.png", cwd=tmp_path)


def test_checkpoints_on_the_command_line(
    files: dict[str, Path],
    small_picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.export(
        tmp_path / "decoded.lsr", str(files["codec"]), preset="cdsr-decoded",
        pixel_sr=[str(files["edsr"])], weights=[f"wdsr={files['edsr']}"],
        picture=[small_picture], exact=False, as_json=True,
    )  # fmt: skip
    facts = json.loads(capsys.readouterr().out)
    assert facts["random_weights"] is False and {"pixel_x4", "wdsr_x4"} <= set(facts["routes"])
    out = tmp_path / "y.lsr"
    for given, message in [
        ({}, "nothing to export from: found no codec checkpoint"),
        ({"checkpoint": str(files["codec"]), "random": True}, "found options of presets"),
        ({"preset": "cdsr-latent", "options": ["quality"]}, "--set is malformed"),
        ({"preset": "cdsr-decoded", "weights": ["edsr=a", "edsr=b"]}, "several for edsr"),
    ]:
        with pytest.raises(UsageError, match=message):
            cli.export(out, **given)


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
