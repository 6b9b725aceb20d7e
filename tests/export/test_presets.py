"""Presets: every one exports with untrained weights, runs from bytes to pictures, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
models = pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from command_line import latentsr as command  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.errors import CheckpointError, ExportError, UsageError  # noqa: E402
from latentsr_export import cli  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.cli_presets import describe  # noqa: E402
from latentsr_export.networks.car import ArtefactRemoval  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.latent_sr import LatentSR  # noqa: E402
from latentsr_export.presets import PRESETS  # noqa: E402
from latentsr_export.presets.export import export_preset  # noqa: E402
from latentsr_export.presets.preset import FULL, SMALL  # noqa: E402
from latentsr_export.presets.untrained import seeded  # noqa: E402
from preset_cases import high  # noqa: E402

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


@pytest.fixture(scope="module", params=NAMES)
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small_picture: Path
) -> Path:
    path = tmp_path_factory.mktemp("presets") / f"{request.param}.lsr"
    how = Writing([small_picture])
    export_preset(request.param, path, random=True, size=SMALL, how=how)
    return path


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


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        ("jin-jpeg-car-sr", "car_layers", "100000"), ("jin-jpeg-car-sr", "features", "1025"),
        ("jin-jpeg-car-sr", "blocks", "0"), ("suzuki-selective-detail", "share", "inf"),
        ("suzuki-selective-detail", "share", "nan"), ("suzuki-selective-detail", "share", "9"),
    ],
)  # fmt: skip
def test_networks_too_large_to_make(tmp_path: Path, name: str, option: str, text: str) -> None:
    message = f"option {option} is out of range: found '{text}', expected .* above 0, at most"
    with pytest.raises(UsageError, match=message):
        export_preset(name, tmp_path / "x.lsr", None, True, SMALL, {option: text})


@pytest.mark.parametrize(
    ("name", "family"),
    [("suzuki-selective-detail", "suzuki2021"), ("tun-car-lee-edsr", "lee2018")],
)
def test_codecs_of_another_family(
    files: dict[str, Path], tmp_path: Path, name: str, family: str
) -> None:
    with pytest.raises(CheckpointError, match=f"found bmshj2018-hyp.*, expected {family}"):
        export_preset(name, tmp_path / "x.lsr", {"codec": files["codec"]}, True, SMALL)


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
