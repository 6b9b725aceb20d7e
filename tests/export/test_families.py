"""Every codec family: detected from shapes, exported, equal to CompressAI in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
models = pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from codec_cases import NETWORKS, made  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.errors import CheckpointError, ExportError  # noqa: E402
from latentsr.interop import from_compressai, to_compressai  # noqa: E402
from latentsr.pipeline.routes import check  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.registry import CODECS, find_codec  # noqa: E402
from windowed_cases import WINDOWED  # noqa: E402


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    """A network and its bundle."""
    folder = tmp_path_factory.mktemp("families")
    network = made(request.param)
    torch.save(network.state_dict(), folder / "codec.pth")
    export(folder / "codec.pth", folder / "codec.lsr")
    return network, folder / "codec.lsr"


def test_every_family_is_tested() -> None:
    # Those that CompressAI does not have are compared with other things elsewhere.
    others = {name.split()[0] for name in WINDOWED}
    assert {family.NAME for family in CODECS} == set(NETWORKS) - {
        "bmshj2018-factorized-relu"
    } | others


def test_manifest(exported: tuple[Any, Path]) -> None:
    bundle = Bundle(exported[1])
    network = exported[0]
    with torch.no_grad():
        latent = network.g_a(torch.zeros(1, 3, 64, 64)).shape[1]
    beside = getattr(network, "latent_codec", {"hyper": network})["hyper"]
    hyper = beside.entropy_bottleneck.channels if hasattr(beside, "h_a") else 10
    assert bundle.manifest.raw["codec"]["channels"] == [hyper, latent]
    for name, graph in bundle.manifest.graphs.items():
        assert set(graph.parity["torch"]) == set(graph.outputs), name
        assert (graph.macs_per_position > 0) == (name not in ("split", "join"))
    for name, route in bundle.manifest.routes.items():
        check(name, route, bundle)


@pytest.mark.parametrize("size", [(64, 128), (101, 75)])
def test_compressai_strings_decode_here(
    exported: tuple[Any, Path], picture: np.ndarray, size: tuple[int, int]
) -> None:
    network, path = exported
    tiled = np.tile(picture, (1, 2, 1))[: size[0], : size[1]]
    x = torch.from_numpy(tiled.copy()).permute(2, 0, 1)[None].float() / 255
    right, bottom = -size[1] % 64, -size[0] % 64
    padded = torch.nn.functional.pad(x, (0, right, 0, bottom))
    with torch.no_grad():
        out = network.compress(padded)
        expected = network.decompress(out["strings"], out["shape"])["x_hat"]
    expected = expected[0, :, : size[0], : size[1]].permute(1, 2, 0).numpy() * 255
    with latentsr.load(path, threads=1) as codec:
        stream = from_compressai(codec.bundle, out["strings"], out["shape"], size[::-1])
        found = codec.decode(stream)
    assert np.abs(found - expected).max() <= 1


def test_our_strings_decode_in_compressai(exported: tuple[Any, Path], picture: np.ndarray) -> None:
    network, path = exported
    with latentsr.load(path, threads=1) as codec:
        data = codec.encode(picture, exact=False)
        found = codec.decode(data)
        strings, shape = to_compressai(codec.bundle, codec.open_stream(data))
    with torch.no_grad():
        x_hat = network.decompress(strings, shape)["x_hat"][0]
    expected = x_hat[:, : picture.shape[0], : picture.shape[1]].permute(1, 2, 0).numpy() * 255
    assert np.abs(found - expected).max() <= 1


def test_small_pictures_for_parity_and_places_that_are_taken(
    exported: tuple[Any, Path], picture: np.ndarray, tmp_path: Path
) -> None:
    from PIL import Image

    Image.fromarray(picture[:9, :11]).save(tmp_path / "small.png")
    codec = exported[1].parent / "codec.pth"
    export(codec, tmp_path / "a.lsr", pictures=[tmp_path / "small.png"], exact=False)
    (tmp_path / "b.lsr").mkdir()
    for name, message in [("b.lsr", "is no bundle"), ("a.zip", "NAME.lsr"), ("x/a.lsr", "missing")]:
        with pytest.raises(ExportError, match=message):
            export(codec, tmp_path / name)


def test_export_is_reproducible(exported: tuple[Any, Path], tmp_path: Path) -> None:
    codec = exported[1].parent / "codec.pth"
    export(codec, tmp_path / "codec.lsr")
    first, second = (p / "manifest.json" for p in (exported[1], tmp_path / "codec.lsr"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "wrap", ["nested", "prefixed", "lightning", "without tables", "safetensors"]
)
def test_checkpoints_as_people_save_them(wrap: str, tmp_path: Path) -> None:
    network = made("bmshj2018-hyperprior")
    state = network.state_dict()
    path = tmp_path / "plain.pth"
    torch.save(state, path)
    export(path, tmp_path / "plain.lsr")
    if wrap == "nested":
        torch.save({"epoch": 3, "state_dict": state, "loss": 0.1}, path)
    elif wrap == "prefixed":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    elif wrap == "lightning":
        kept = {f"model.{key}": value for key, value in state.items()}
        torch.save({"state_dict": kept, "hyper_parameters": {"N": 10}, "callbacks": {}}, path)
    elif wrap == "without tables":
        tables = ("_quantized_cdf", "_cdf_length", "_offset", "scale_table")
        torch.save({k: v for k, v in state.items() if not k.endswith(tables)}, path)
    else:
        from safetensors.torch import save_file

        path = tmp_path / "plain.safetensors"
        save_file(state, path)
    export(path, tmp_path / "other.lsr")
    fingerprints = [Bundle(tmp_path / f"{n}.lsr").fingerprint for n in ("plain", "other")]
    assert fingerprints[0] == fingerprints[1]


def test_unknown_networks_are_refused_with_the_known_ones() -> None:
    ours = models.FactorizedPrior(8, 12).state_dict()
    no_synthesis = {key: value for key, value in ours.items() if not key.startswith("g_s")}
    for state in (no_synthesis, {"weight": torch.zeros(3)}, {}):
        with pytest.raises(CheckpointError, match="bmshj2018-hyperprior, mbt2018-mean"):
            find_codec(state, "some.pth")


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError):
        export(tmp_path / "other.pth", tmp_path / "other.lsr")
    torch.save({**made("mbt2018-mean").state_dict(), "g_a.2.weight": torch.zeros(3)},
               tmp_path / "other.pth")  # fmt: skip
    with pytest.raises(CheckpointError):
        export(tmp_path / "other.pth", tmp_path / "other.lsr")
    assert [p.name for p in tmp_path.iterdir()] == ["other.pth"]


@pytest.mark.parametrize("name", ["compressai:none/mse/3", "compressai:mbt2018-mean/mse/9"])
def test_zoo_names_that_do_not_exist(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such zoo model"):
        export(name, tmp_path / "zoo.lsr")
