"""Tiles of exported systems: every codec family, SR networks, masks, JPEG, odd and centred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai", reason="the exporter needs compressai")

import latentsr  # noqa: E402
import windowed_cases  # noqa: E402
from codec_cases import exported, made  # noqa: E402
from latentsr.bundle import DEMO  # noqa: E402
from latentsr.codec import Codec  # noqa: E402
from latentsr.errors import UsageError  # noqa: E402
from latentsr.image import to_rgb8  # noqa: E402
from latentsr.windows import NoWindow, Window  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.presets.export import export_preset  # noqa: E402
from latentsr_export.presets.preset import SMALL  # noqa: E402
from preset_cases import high  # noqa: E402
from sr_cases import CASES  # noqa: E402
from tiling_cases import assert_same  # noqa: E402

# Random networks are wild: a decoded sample on the border between two moves many enlarged ones.
PIXEL_SR = ("edsr-x4", "rrdbnet-x4", "wdsr-b-x3", "carn-m-x3", "msrresnet-x4", "rlfn-x4")


def check_route(codec: Codec, stream: bytes, route: str) -> int:
    """All of a route's picture in tiles, and a part of it; the number of engine runs more."""
    expected = codec.decode(stream, route)
    found = None
    for budget in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64):
        try:
            found = codec.decode(stream, route, memory=budget << 20)
            break
        except UsageError as error:
            assert "memory budget is too small" in str(error)
    assert found is not None
    assert_same(found, expected)
    height, width = expected.shape[:2]
    x, y, w, h = width // 3, height // 4, max(width // 2, 1), max(height // 5, 1)
    part = codec.decode(stream, route, region=(x, y, w, h))
    assert_same(part, expected[y : y + h, x : x + w])
    return budget


def check(path: Path, picture: np.ndarray, **options: Any) -> None:
    with latentsr.load(path, threads=1) as codec:
        for centred in (False, True):
            stream = codec.encode(picture, centred=centred, **options)
            for name, route in codec.bundle.manifest.routes.items():
                if route.kind == "decode":
                    check_route(codec, stream, name)


@pytest.mark.parametrize(
    "name", ["bmshj2018-factorized", "mbt2018-mean", "cheng2020-attn", "elic2022-official"]
)
def test_codec_families(name: str, tmp_path: Path, picture: np.ndarray) -> None:
    exported(tmp_path / "a.lsr", made(name), picture)
    check(tmp_path / "a.lsr", picture[:61, :47])


def test_passes_within_a_budget(tmp_path: Path, picture: np.ndarray) -> None:
    """Columns in turn have windows: no graph has to see the whole latent."""
    large = np.tile(picture, (3, 4, 1))
    bundle = exported(tmp_path / "a.lsr", made("cheng2020-anchor-checkerboard"), picture)
    assert all(isinstance(graph.window, Window) for graph in bundle.manifest.graphs.values())
    with latentsr.load(bundle.path, threads=1) as codec:
        stream = codec.encode(large)
        assert codec.encode(large, memory="4MiB") == stream
        assert check_route(codec, stream, "lr") <= 4


@pytest.mark.parametrize("name", windowed_cases.WINDOWED)
def test_families_with_causal_windows(name: str, tmp_path: Path, picture: np.ndarray) -> None:
    exported(tmp_path / "a.lsr", windowed_cases.WINDOWED[name](), picture)
    check(tmp_path / "a.lsr", picture[:70, :45])


@pytest.mark.parametrize("name", PIXEL_SR)
def test_pixel_networks(name: str, tmp_path: Path, picture: np.ndarray) -> None:
    torch.save(CASES[name].state, tmp_path / "sr.pth")
    network = made("bmshj2018-factorized")
    bundle = exported(tmp_path / "a.lsr", network, picture, pixel_sr=tmp_path / "sr.pth",
                      pixel_sr_scale=CASES[name].scale)  # fmt: skip
    with latentsr.load(bundle.path, threads=1) as codec:
        stream = codec.encode(picture[:61, :47])
        check_route(codec, stream, f"pixel_x{CASES[name].scale}")
        whole = isinstance(bundle.manifest.graphs["pixel_sr"].window, NoWindow)
        assert whole == (name == "rlfn-x4")
        if whole:
            with pytest.raises(UsageError, match="graph pixel_sr has no window: Resize"):
                codec.upscale(codec.encode(np.tile(picture, (3, 3, 1))), memory="2MiB")


@pytest.mark.parametrize(
    "preset", ["jin-jpeg-car-sr", "suzuki-selective-detail", "tun-car-lee-edsr", "cdsr-latent"]
)
def test_presets(preset: str, tmp_path: Path, small_picture: Path) -> None:
    path = tmp_path / "a.lsr"
    export_preset(preset, path, None, True, SMALL, {}, Writing([small_picture]))
    with latentsr.load(path, threads=1) as codec:
        stream = codec.encode(high(67, 101))
        for name, route in codec.bundle.manifest.routes.items():
            if route.kind == "decode":
                check_route(codec, stream, name)


def test_trained_weights(tmp_path: Path, data_dir: Path) -> None:
    """SRVGG as people have it, on the demo codec's picture."""
    from latentsr_export.pixel_sr import load_pixel_sr

    weights = data_dir / "weights" / "realesr_animevideov3" / "realesr_animevideov3_x4.safetensors"
    if not weights.is_file():
        pytest.skip(f"no weights at {weights}")
    assert load_pixel_sr(weights).scale == 4
    picture = to_rgb8(DEMO.parent / "coffee.png")[:96, :128]
    bundle = exported(tmp_path / "a.lsr", made("bmshj2018-factorized"), picture, pixel_sr=weights)
    with latentsr.load(bundle.path, threads=1) as codec:
        check_route(codec, codec.encode(picture[:61, :47]), "pixel_x4")
