"""Codecs with causal windows of any size: the same bytes everywhere, near the float network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from latentsr.bundle import DEMO, Bundle  # noqa: E402
from latentsr.chunks import Chunk  # noqa: E402
from latentsr.entropy import Coder  # noqa: E402
from latentsr.entropy.context_tensors import load_context  # noqa: E402
from latentsr.entropy.reference_context import Latent, encode  # noqa: E402
from latentsr.errors import CheckpointError, ExportError, UsageError  # noqa: E402
from latentsr.image import to_rgb8  # noqa: E402
from latentsr_export.causal import CausalConv2d, WindowConv2d, summed_layers  # noqa: E402
from latentsr_export.context_layers import run_float  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.integer_graph import IntegerGraph  # noqa: E402
from windowed_cases import WINDOWED, lee  # noqa: E402

COMBINATIONS = [
    (backend, threads)
    for backend, library in (("ort", "onnxruntime"), ("openvino", "openvino"))
    for threads in (1, 2)
    if find_spec(library)
]


@pytest.fixture(scope="module", params=list(WINDOWED))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    """A network and its bundle."""
    folder = tmp_path_factory.mktemp("windowed")
    network = WINDOWED[request.param]()
    torch.save(network.state_dict(), folder / "codec.pth")
    export(folder / "codec.pth", folder / "codec.lsr")
    assert Bundle(folder / "codec.lsr").manifest.family == request.param.split()[0]
    return network, folder / "codec.lsr"


def with_context(bundle: Bundle) -> Chunk:
    """The chunk that has a context model."""
    (chunk,) = (chunk for chunk in bundle.manifest.chunks if chunk.context is not None)
    return chunk


def reference(bundle: Bundle, run: Any) -> tuple[bytes, Latent]:
    """Bytes of the chunk with a context by 64-bit integers alone, and its latent."""
    chunk = with_context(bundle)
    assert chunk.context is not None
    name = "entropy_parameters" if chunk.name == "y" else f"entropy_parameters_{chunk.name}"
    graph = IntegerGraph(bundle.graph(f"{name}_exact"))
    features = graph.run({"z_hat": run.values["z_hat"]})["features"][0]
    tensors = load_context(bundle, chunk.context.tensors, chunk.channels)
    latent = Latent.empty(tensors, bundle.tensors[f"{chunk.name}.thresholds"][:-1], features)
    symbols, indexes = encode(latent, run.values[chunk.name][0])
    assert len(set(indexes.tolist())) > 5
    return Coder(bundle.tables(chunk)).encode(symbols, indexes, parts=1), latent


def test_the_same_bytes_on_every_engine(exported: tuple[Any, Path], picture: np.ndarray) -> None:
    streams, decoded = [], []
    for backend, threads in COMBINATIONS:
        with latentsr.load(exported[1], backend=backend, threads=threads) as codec:
            run = codec.run_encode(picture, "encode", True)
            chunk = with_context(codec.bundle)
            expected, latent = reference(codec.bundle, run)
            assert run.chunks[chunk.name] == expected
            assert np.array_equal(run.values[f"{chunk.name}_hat"][0], latent.restored())
            streams.append(codec.encode(picture))
            decoded.append(codec.decode(streams[0]).astype(int))
    assert len(streams[0]) > 300 and len(set(streams)) == 1
    for found in decoded:
        assert found.shape == picture.shape
        assert np.abs(found - decoded[0]).max() <= 1


def test_the_picture_is_the_float_network_s(exported: tuple[Any, Path]) -> None:
    network, path = exported
    picture = np.random.default_rng(2).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    with latentsr.load(path, threads=1) as codec:
        run = codec.run_encode(picture, "encode", True)
        found = codec.decode(codec.encode(picture))
        hats = [run.values[f"{chunk.name}_hat"] for chunk in codec.bundle.manifest.chunks[1:]]
    y_hat = torch.from_numpy(np.concatenate(hats, 1))
    with torch.no_grad():
        made = network.decode(y_hat)["x_hat"] if hasattr(network, "decode") else network.g_s(y_hat)
    wanted = made[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
    assert np.abs(found - wanted).max() <= 0.51


def test_bytes_are_near_what_the_float_network_estimates(exported: tuple[Any, Path]) -> None:
    network, path = exported
    picture = to_rgb8(DEMO.parent / "coffee.png")[:256, :320]
    with latentsr.load(path, threads=1) as codec:
        size = sum(map(len, codec.run_encode(picture, "encode", True).chunks.values()))
    x = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float() / 255
    with torch.no_grad():
        found = network(x)["likelihoods"].values()
    # A symbol far from its mean goes past the table; the estimate knows no end there.
    bits = sum(torch.clamp(-torch.log2(p), max=20).sum() for p in found)
    assert size == pytest.approx(float(bits) / 8, rel=0.06)


def test_layers_are_the_float_network_s(exported: tuple[Any, Path]) -> None:
    network, _ = exported
    estimator = getattr(network, "estimator", None)
    window = network.context if estimator is None else estimator.latent
    layers = summed_layers(window, None if estimator is None else estimator.layers)
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(1, window.out_channels, 7, 9, generator=generator)
    y = 3 * torch.randn(1, window.in_channels, 7, 9, generator=generator)
    run = run_float(layers, features[0].numpy(), y[0].numpy())
    with torch.no_grad():
        summed = window(torch.from_numpy(run.latent)[None]) + features
        parameters = summed if estimator is None else estimator.layers(summed)
    _, means = parameters[0].chunk(2, 0)
    # All positions at once: the latent is known now, and each sees what lies before it.
    symbols = torch.round(y[0] - means)
    assert np.allclose(run.latent, (symbols + means).numpy(), atol=1e-4)
    assert np.count_nonzero(run.symbols) > 100


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (1, 3), (5, 2)])
def test_a_causal_window_sees_what_was_before(size: tuple[int, int]) -> None:
    window = CausalConv2d(2, 3, size)
    x = torch.randn(1, 2, 8, 9, requires_grad=True)
    window(x)[0, :, 5, 4].sum().backward()
    assert x.grad is not None
    rows, columns = np.nonzero(x.grad[0].abs().sum(0).numpy())
    offsets = {(r - 5, c - 4) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}
    height, width = size
    assert offsets == {
        (dy, dx) for dy in range(1 - height, 1)
        for dx in range(-(width // 2), width - width // 2) if (dy, dx) < (0, 0)
    }  # fmt: skip
    taps, weight = window.taps()
    assert set(map(tuple, taps.tolist())) == offsets and weight.shape == (3, len(offsets), 2)
    whole = WindowConv2d(2, 3, size)
    assert whole(x).shape == (1, 3, 8, 9)


def test_these_codecs_have_no_float_strings(tmp_path: Path, exported: tuple[Any, Path]) -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    with (
        latentsr.load(exported[1], threads=1) as codec,
        pytest.raises(UsageError, match="no context model in floating point"),
    ):
        codec.encode(picture, exact=False)
    torch.save(exported[0].state_dict(), tmp_path / "codec.pth")
    with pytest.raises(ExportError, match="needs exact graphs"):
        export(tmp_path / "codec.pth", tmp_path / "codec.lsr", exact=False)
    assert not (tmp_path / "codec.lsr").exists()


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = lee(6).state_dict()
    state["estimator.latent.weight"] = state["estimator.latent.weight"][:, :, :3]
    torch.save(state, tmp_path / "codec.pth")
    with pytest.raises(CheckpointError, match=r"estimator.latent.weight.* expected .*4, 4"):
        export(tmp_path / "codec.pth", tmp_path / "codec.lsr")
