"""Several pixel SR networks in one bundle: names, routes, scales, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
import sr_light  # noqa: E402
from codec_cases import exported, made  # noqa: E402
from latentsr.errors import CheckpointError, ExportError  # noqa: E402
from latentsr_export.cli import split_name  # noqa: E402
from latentsr_export.load import by_name  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.rrdbnet import RRDBNet  # noqa: E402


@pytest.fixture()
def files(tmp_path: Path) -> dict[str, Path]:
    torch.manual_seed(6)
    networks: dict[str, Any] = {
        "a": EDSR(5, 1, 4), "b": EDSR(4, 2, 4), "c": EDSR(4, 1, 2), "d": RRDBNet(6, 1, 32),
    }  # fmt: skip
    for name, network in networks.items():
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    return {name: tmp_path / f"{name}.pth" for name in networks}


def test_each_network_has_a_graph_and_a_route(
    files: dict[str, Path], tmp_path: Path, picture: np.ndarray
) -> None:
    network = made("bmshj2018-factorized")
    given = [files["a"], ("edsr", files["b"]), ("wdsr", files["c"]), ("esrgan", files["d"])]
    bundle = exported(tmp_path / "many.lsr", network, picture, pixel_sr=given)
    manifest = bundle.manifest
    assert {"pixel_sr", "edsr", "wdsr", "esrgan"} <= set(manifest.graphs)
    assert set(manifest.routes) == {
        "encode", "encode_hr", "lr", "bicubic", "lanczos", "bicubic_x2", "lanczos_x2",
        "pixel_x4", "edsr_x4", "wdsr_x2", "esrgan_x4",
    }  # fmt: skip
    assert manifest.upscale == "pixel_x4" and manifest.routes["bicubic"].scale == 4
    assert set(manifest.raw["source"]) == {"codec", "pixel_sr", "edsr", "wdsr", "esrgan"}
    with latentsr.load(bundle.path, threads=1) as codec:
        stream = codec.encode(picture)
        found = {n: codec.upscale(stream, n) for n, r in manifest.routes.items() if r.scale > 1}
    for name, large in found.items():
        scale = manifest.routes[name].scale
        assert large.shape == (101 * scale, 75 * scale, 3)
    pairs = [("pixel_x4", "edsr_x4"), ("bicubic", "lanczos"), ("pixel_x4", "esrgan_x4")]
    for one, other in pairs:
        assert not np.array_equal(found[one], found[other])


def test_filters_follow_the_networks(
    files: dict[str, Path], tmp_path: Path, picture: np.ndarray
) -> None:
    network = made("bmshj2018-factorized")
    bundle = exported(tmp_path / "two.lsr", network, picture, pixel_sr=files["c"])
    routes = bundle.manifest.routes
    assert routes["bicubic"].scale == routes["lanczos"].scale == routes["pixel_x2"].scale == 2
    assert routes["encode_hr"].steps[0]["scale"] == 2 and bundle.manifest.upscale == "pixel_x2"
    alone = exported(tmp_path / "none.lsr", network, picture)
    assert alone.manifest.routes["bicubic"].scale == 4


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ("a.pth", {"pixel_sr": "a.pth"}),
        (Path("a.pth"), {"pixel_sr": Path("a.pth")}),
        (["a.pth"], {"pixel_sr": "a.pth"}),
        (["a.pth", ("edsr", "b.pth")], {"pixel_sr": "a.pth", "edsr": "b.pth"}),
        ({"edsr": "b.pth", "x2": "c.pth"}, {"edsr": "b.pth", "x2": "c.pth"}),
    ],
)
def test_names(given: Any, expected: dict[str, Any]) -> None:
    assert by_name(given) == expected
    assert list(by_name(given)) == list(expected)


@pytest.mark.parametrize(
    "given",
    [["a", "b"], [("e", "a"), ("e", "b")], {"latent": "a"}, {"lr": "a"}, {"": "a"}, {"E-1": "a"},
     {"latent_sr": "a"}, {"bicubic": "a"}, {"EDSR": "a"}, {"1a": "a"}, {"a" * 33: "a"}],
)  # fmt: skip
def test_names_that_cannot_be_used(given: Any) -> None:
    with pytest.raises(ExportError, match=r"network cannot be used.*at most 32 small letters,"):
        by_name(given)


def test_names_of_the_codecs_own_graphs(
    files: dict[str, Path], tmp_path: Path, picture: np.ndarray
) -> None:
    network = made("bmshj2018-factorized")
    with pytest.raises(ExportError, match="graphs have one name: found synthesis twice"):
        exported(tmp_path / "x.lsr", network, picture, pixel_sr={"synthesis": files["a"]})


def test_names_on_the_command_line(tmp_path: Path) -> None:
    assert split_name("edsr=a.pth") == ("edsr", "a.pth")
    assert split_name("a.pth") == (None, "a.pth")
    odd = tmp_path / "x=y.pth"
    odd.write_bytes(b"")
    assert split_name(str(odd)) == (None, str(odd))


def test_one_of_a_file_s_scales(tmp_path: Path, picture: np.ndarray) -> None:
    torch.save(sr_light.carn(8, None, (2, 3, 4)), tmp_path / "carn.pth")
    network = made("bmshj2018-factorized")
    for given, scale in ((None, 4), (2, 2)):
        bundle = exported(
            tmp_path / f"{scale}.lsr", network, picture, pixel_sr=tmp_path / "carn.pth",
            pixel_sr_scale=given,
        )  # fmt: skip
        assert bundle.manifest.upscale == f"pixel_x{scale}"
    with pytest.raises(CheckpointError, match="8"):
        exported(
            tmp_path / "8.lsr", network, picture, pixel_sr=tmp_path / "carn.pth", pixel_sr_scale=8
        )
