"""A bundle's networks back in PyTorch: the same weights, the same symbols, the same pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402

import latentsr  # noqa: E402
from codec_cases import NETWORKS, exported, made  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.codec import Codec  # noqa: E402
from latentsr.errors import BundleError  # noqa: E402
from latentsr.manifest import parse  # noqa: E402
from latentsr_export.baselines.strings import (  # noqa: E402
    decode_symbols,
    encode_symbols,
    transcode,
)
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.rlfn import RLFN  # noqa: E402
from latentsr_export.restore import FAMILIES, restore_codec, restore_pixel_sr  # noqa: E402

# The density model, of which a bundle has only the tables.
NOT_IN_BUNDLE = ("matrices", "biases", "factors", "quantiles", "_matrix", "_bias", "_factor")


RESTORABLE = [name for name in NETWORKS if name.removesuffix("-relu") in FAMILIES]


@pytest.fixture(scope="module", params=RESTORABLE)
def restored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray
) -> tuple[Any, Any, Codec]:
    """A network, what a bundle gives back of it, and the bundle."""
    folder = tmp_path_factory.mktemp("restore")
    network = made(request.param)
    bundle = exported(folder / "codec.lsr", network, picture)
    return network, restore_codec(bundle), latentsr.load(bundle.path, threads=1)


def hyper_of(network: Any) -> Any:
    """Scales as the network's own ``decompress`` computes them."""
    split = type(network).__name__ == "MeanScaleHyperprior"

    def hyper(z_hat: Any) -> Any:
        with torch.inference_mode():
            made = network.h_s(z_hat)
        return made.chunk(2, 1)[0] if split else made

    return hyper


class Altered(Bundle):
    """A bundle with some of its graphs replaced."""

    def __init__(self, bundle: Bundle, **graphs: bytes) -> None:
        super().__init__(bundle.path)
        self._altered = graphs

    def graph(self, name: str) -> bytes:
        return self._altered.get(name) or super().graph(name)


def test_every_family_is_tested() -> None:
    assert {name.removesuffix("-relu") for name in RESTORABLE} == set(FAMILIES)


def test_weights_and_tables_come_back(restored: tuple[Any, Any, Codec]) -> None:
    network, again, _ = restored
    found, expected = again.state_dict(), network.state_dict()
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        if not any(part in name for part in NOT_IN_BUNDLE):
            # GDN's square roots are rounded once more; all else is the same to the bit.
            near = 1e-6 if name.endswith(("gamma", "beta")) else 0.0
            torch.testing.assert_close(found[name], tensor, rtol=near, atol=near, msg=name)
    medians = [n.entropy_bottleneck.quantiles[:, 0, 1] for n in (again, network)]
    assert torch.equal(*medians)


def test_strings_of_the_original_decode_alike(
    restored: tuple[Any, Any, Codec], picture: np.ndarray
) -> None:
    network, again, _ = restored
    x = torch.from_numpy(picture[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        strings = network.compress(x)
        assert again.compress(x) == strings
        expected, found = (n.decompress(**strings)["x_hat"] for n in (network, again))
    assert float((found - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("exact", [True, False])
def test_transcoding_keeps_symbols_and_picture(
    restored: tuple[Any, Any, Codec], picture: np.ndarray, tmp_path: Path, exact: bool
) -> None:
    _, again, codec = restored
    data = codec.encode(picture, exact=exact, centred=True)
    stream = codec.open_stream(data)
    symbols = decode_symbols(codec, stream)
    strings = encode_symbols(again, symbols, hyper_of(again))
    if not exact:
        assert strings == tuple(reversed(stream.chunks))
    coded = transcode(codec, data, again, hyper_of(again), tmp_path / "a.bin")
    assert abs(coded.path.stat().st_size - len(data)) < 0.1 * len(data) + 32
    latents: list[Any] = []
    again.g_s.register_forward_pre_hook(lambda _, inputs: latents.append(inputs[0]))
    shape = next(iter(symbols.values())).shape[2:]
    with torch.inference_mode():
        x_hat = again.decompress([[s] for s in strings], shape)["x_hat"]
    again.g_s._forward_pre_hooks.clear()
    if type(again).__name__ == "ScaleHyperprior":
        assert torch.equal(latents[0].int(), symbols["y"])
    found = coded.crop(x_hat)[0].permute(1, 2, 0).numpy() * 255
    assert found.shape == picture.shape
    # Exact means are fixed-point: they differ from the float network's by up to a step.
    near = 4 if exact and type(again).__name__ == "MeanScaleHyperprior" else 1
    assert np.abs(found - codec.decode(data)).max() <= near


@pytest.mark.parametrize("exact", [True, False])
def test_the_shipped_bundle(picture: np.ndarray, tmp_path: Path, exact: bool) -> None:
    with latentsr.load("demo", threads=1) as codec:
        again = restore_codec(codec.bundle)
        data = codec.encode(picture, exact=exact)
        coded = transcode(codec, data, again, hyper_of(again), tmp_path / "a.bin")
        symbols = decode_symbols(codec, codec.open_stream(data))
        strings = encode_symbols(again, symbols, hyper_of(again))
        with torch.inference_mode():
            x_hat = again.decompress([[s] for s in strings], symbols["z"].shape[2:])["x_hat"]
        found = coded.crop(x_hat)[0].permute(1, 2, 0).numpy() * 255
        assert np.abs(found - codec.decode(data)).max() <= 1


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("network", [EDSR(9, 2), RLFN(12, 10, 4, 2)], ids=["edsr", "rlfn"])
def test_pixel_sr_network_comes_back(
    network: Any, half: bool, picture: np.ndarray, tmp_path: Path
) -> None:
    torch.save(network.state_dict(), tmp_path / "sr.pth")
    bundle = exported(
        tmp_path / "a.lsr", made("bmshj2018-factorized-relu"), picture,
        pixel_sr=tmp_path / "sr.pth", half_weights=half,
    )  # fmt: skip
    again = restore_pixel_sr(bundle)
    assert (again.name, again.scale) == (network.NAME, 4)
    for name, tensor in network.state_dict().items():
        expected = tensor.half().float() if half and tensor.numel() >= 1024 else tensor
        assert torch.equal(again.module.state_dict()[name], expected), name


def test_bundles_that_do_not_fit(picture: np.ndarray, tmp_path: Path) -> None:
    bundle = exported(tmp_path / "a.lsr", made("bmshj2018-hyperprior"), picture, exact=False)
    with pytest.raises(BundleError, match="no such graph"):
        restore_pixel_sr(bundle)
    synthesis = bundle.graph("synthesis")
    for graphs, message in [
        ({"analysis": bundle.graph("hyper_analysis")}, "cannot be restored.*3 layers"),
        ({"synthesis": bundle.graph("analysis")}, "synthesis, layer 0: found weights of shape"),
        ({"synthesis": bundle.graph("hyper_analysis")}, "found 3 layers .* expected 7"),
        ({"synthesis": synthesis[: len(synthesis) // 2]}, "cannot be read"),
        ({"synthesis": _elsewhere(synthesis)}, "does not fit"),
        ({"synthesis": _cut(synthesis)}, "cannot be read"),
    ]:
        with pytest.raises(BundleError, match=message):
            restore_codec(Altered(bundle, **graphs))
    with pytest.raises(BundleError, match="expected those of EDSR or RLFN"):
        restore_pixel_sr(_with_graph(bundle, "pixel_sr", "synthesis"))
    text = json.dumps(bundle.manifest.raw).replace("bmshj2018-hyperprior", "cheng2020-anchor")
    bundle.manifest = parse(text)
    with pytest.raises(BundleError, match=r"found family cheng2020-anchor.*expected one of bmshj"):
        restore_codec(bundle)


def _with_graph(bundle: Bundle, name: str, like: str) -> Bundle:
    """A bundle whose manifest lists one graph a second time."""
    altered = Altered(bundle, **{name: bundle.graph(like)})
    raw = json.loads(json.dumps(bundle.manifest.raw))
    raw["graphs"][name] = raw["graphs"][like]
    altered.manifest = parse(json.dumps(raw))
    return altered


def _elsewhere(graph: bytes) -> bytes:
    """The graph with one tensor said to lie in another file, which must not be opened."""
    model = onnx.load_from_string(graph)
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../codec.pth")
    return bytes(model.SerializeToString())


def _cut(graph: bytes) -> bytes:
    """The graph with one tensor shorter than its shape says."""
    model = onnx.load_from_string(graph)
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    tensor.raw_data = tensor.raw_data[:-4]
    return bytes(model.SerializeToString())
