"""Codecs that decode y in passes: halves, their networks, and integers on every engine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

from compressai.layers import CheckerboardMaskedConv2d  # noqa: E402
from torch import nn  # noqa: E402

import latentsr  # noqa: E402
from codec_cases import made  # noqa: E402
from damage import flipped  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.errors import ExportError, LatentSRError  # noqa: E402
from latentsr.pipeline.routes import Run  # noqa: E402
from latentsr_export.exact_layers import Grid  # noqa: E402
from latentsr_export.exact_passes import Enter, send  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.integer_graph import IntegerGraph  # noqa: E402
from latentsr_export.passes import (  # noqa: E402
    EVEN,
    ODD,
    Join,
    SpatialContext,
    Split,
    half,
    modules,
    spatial_layer,
    whole,
)
from latentsr_export.registry import find_codec  # noqa: E402

FAMILIES = ("cheng2020-anchor-checkerboard", "elic2022-official", "elic2022-chandelier")
COMBINATIONS = [
    (backend, threads)
    for backend, library in (("ort", "onnxruntime"), ("openvino", "openvino"))
    for threads in (1, 2)
    if find_spec(library)
]


@pytest.fixture(scope="module", params=FAMILIES)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    """A network and its bundle."""
    folder = tmp_path_factory.mktemp("passes")
    network = made(request.param)
    torch.save(network.state_dict(), folder / "codec.pth")
    export(folder / "codec.pth", folder / "codec.lsr")
    assert Bundle(folder / "codec.lsr").manifest.family == request.param
    return network, folder / "codec.lsr"


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (10, 8)])
def test_halves_are_a_checkerboard(size: tuple[int, int]) -> None:
    x = torch.arange(2 * 3 * size[0] * size[1]).reshape(2, 3, *size).float()
    rows, columns = np.indices(size)
    for colour in (EVEN, ODD):
        expected = x.numpy()[:, :, (rows + columns) % 2 == colour]
        assert np.array_equal(half(x, colour).numpy().reshape(2, 3, -1), expected)
    assert torch.equal(whole(half(x, EVEN), half(x, ODD)), x)
    assert torch.equal(Join()(*Split([1, 2])(x)), x)


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (10, 8)])
def test_spatial_context_is_the_masked_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    masked = CheckerboardMaskedConv2d(3, 4, kernel_size=5, stride=1, padding=2)
    x = torch.randn(1, 3, *size)
    anchors = whole(half(x, EVEN), torch.zeros(1, 3, size[0], size[1] // 2))
    with torch.no_grad():
        expected = half(masked(anchors), ODD)
        found = SpatialContext(spatial_layer(masked), nn.Identity(), 2)(half(x, EVEN))
    torch.testing.assert_close(found, expected)


def test_what_enters_is_clipped_by_channel() -> None:
    grid = Grid(torch.tensor([4.0, 4.0]).double(), torch.tensor([3.0, 100.0]).double())
    x = torch.tensor([[0.5, -9.0], [0.626, -9.0]]).reshape(1, 2, 1, 2)
    assert Enter(grid)(x).flatten().tolist() == [2.0, -3.0, 3.0, -36.0]


def test_passes_are_compress(exported: tuple[Any, Path], picture: np.ndarray) -> None:
    # Calibration would mislead if it fed the context what forward() feeds it.
    network, _ = exported
    state = network.state_dict()
    parts = find_codec(state, "state").parts(network)
    assert parts.passes is not None
    x = torch.from_numpy(picture[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        y = network.g_a(x)
        z_hat = network.latent_codec["hyper"].compress(y)
        medians = network.latent_codec["hyper"].entropy_bottleneck.quantiles[:, 0, 1]
        z = network.latent_codec["hyper"].h_a(y)
        z_hat = torch.round(z - medians.reshape(1, -1, 1, 1)) + medians.reshape(1, -1, 1, 1)
        expected = network.compress(x)["y_hat"]
    trace = send(parts.passes, modules(parts.passes), y, z_hat)
    halves = [value for name, value in trace.values.items()
              if name.startswith("y") and name.endswith("_hat")]  # fmt: skip
    torch.testing.assert_close(Join()(*halves), expected, atol=1e-3, rtol=0)
    assert max(float(symbols.abs().max()) for symbols, _ in trace.coded.values()) > 2


def steps_of(run: Run, bundle: Bundle) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each exact graph that an encode ran: its name, inputs and outputs."""
    found = []
    for step in bundle.manifest.routes["encode"].steps:
        twin = bundle.manifest.exact.get(str(step.get("graph")))
        if twin is not None:
            graph = bundle.manifest.graphs[twin]
            given = dict(zip(graph.inputs, (run.values[v] for v in step["in"]), strict=True))
            made_ = dict(zip(graph.outputs, (run.values[v] for v in step["out"]), strict=True))
            found.append((twin, given, made_))
    return found


def test_the_same_bytes_on_every_engine(exported: tuple[Any, Path], picture: np.ndarray) -> None:
    streams, decoded = [], []
    for backend, threads in COMBINATIONS:
        with latentsr.load(exported[1], backend=backend, threads=threads) as codec:
            run = codec.run_encode(picture, "encode", True)
            graphs = steps_of(run, codec.bundle)
            assert len(graphs) == len(codec.bundle.manifest.exact) >= 3
            for name, given, expected in graphs:
                found = IntegerGraph(codec.bundle.graph(name)).run(given)
                for port, value in expected.items():
                    assert np.array_equal(found[port], value), (backend, threads, name, port)
            streams.append(codec.encode(picture))
            # Every engine decodes the first one's stream, not only its own.
            decoded.append(codec.decode(streams[0]).astype(int))
    assert len(streams[0]) > 300
    for found in decoded:
        assert np.abs(found - decoded[0]).max() <= 1


def test_integers_are_near_the_float_network(
    exported: tuple[Any, Path], picture: np.ndarray
) -> None:
    with latentsr.load(exported[1], threads=1) as codec:
        exact = codec.run_encode(picture, "encode", True)
        plain = codec.run_encode(picture, "encode", False)
        chunks = [chunk.name for chunk in codec.bundle.manifest.chunks[1:]]
        sizes = [sum(len(run.chunks[name]) for name in chunks) for run in (exact, plain)]
    # Ten short chunks: the forms differ by some bytes in each.
    assert abs(sizes[0] / sizes[1] - 1) < 0.06
    name = f"{chunks[0]}_means"  # the first pass: nothing coded otherwise has moved it yet
    spread = float(np.abs(plain.values[name]).max())
    assert np.abs(exact.values[name] - plain.values[name]).max() < 0.03 * spread


def test_proof_and_shared_tables(exported: tuple[Any, Path]) -> None:
    with latentsr.load(exported[1], threads=1) as codec:
        bundle = codec.bundle
        models = [codec.machine.entropy[chunk.name] for chunk in bundle.manifest.chunks[1:]]
    assert sorted(n for n in bundle.tensors if n.endswith(".cdf")) == ["y.cdf", "z.cdf"]
    assert len({id(model.coder) for model in models}) == 1
    note = bundle.manifest.raw["notes"]["exact"]
    assert note["rate_cost_percent"] < 1.5
    names = {entry["layer"] for entry in note["proof"]}
    groups = len(models) // 2
    for k in range(groups):
        assert {f"spatial {k} layer 0", f"anchor {k} layer 2", f"rest {k} layer 2"} <= names
    assert ("channel 1 layer 2" in names) == (groups > 1)
    assert all(entry["largest_sum"] < entry["limit"] == 1 << 24 for entry in note["proof"])


def test_damaged_streams_are_refused_or_decode(
    exported: tuple[Any, Path], picture: np.ndarray
) -> None:
    rng = np.random.default_rng(1)
    with latentsr.load(exported[1], threads=1) as codec:
        for data in (codec.encode(picture), codec.encode(picture, exact=False)):
            refused = 0
            for _ in range(30):
                try:
                    found = codec.decode(flipped(rng, data, b""))
                except LatentSRError:
                    refused += 1
                else:
                    assert found.shape == picture.shape
            assert refused > 20


def test_too_many_terms_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentsr_export.exact_layers.LIMIT", 1 << 12)
    torch.save(made("elic2022-official").state_dict(), tmp_path / "codec.pth")
    with pytest.raises(ExportError, match=r"h_s layer \d cannot be made exact"):
        export(tmp_path / "codec.pth", tmp_path / "codec.lsr")
