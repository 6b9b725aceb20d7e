"""Codecs with context models: exact bytes in every arithmetic, near the float model, proved."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
models = pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.entropy import Coder  # noqa: E402
from latentsr.entropy.context_tensors import ContextTensors, load_context  # noqa: E402
from latentsr.entropy.reference_context import Latent, encode  # noqa: E402
from latentsr.errors import BundleError, ExportError  # noqa: E402
from latentsr_export.context_integers import Ranges, integer_context  # noqa: E402
from latentsr_export.context_layers import ContextLayers, context_layers, run_float  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.integer_graph import IntegerGraph  # noqa: E402

NETWORKS = {
    "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(10, 14),
    "cheng2020-anchor": lambda: models.Cheng2020Anchor(12),
    "cheng2020-attn": lambda: models.Cheng2020Attention(12),
}
COMBINATIONS = [
    (backend, threads)
    for backend, library in (("ort", "onnxruntime"), ("openvino", "openvino"))
    for threads in (1, 2)
    if find_spec(library)
]


def made(name: str) -> Any:
    """A network with seeded weights whose latents deviate by some steps."""
    torch.manual_seed(4)
    network = NETWORKS[name]().eval()
    with torch.no_grad():
        last = [layer for layer in network.g_a if hasattr(layer, "kernel_size")][-1]
        last.weight.mul_(40)
        network.h_s[-1].weight.mul_(8)
        network.context_prediction.weight.mul_(3)
        network.entropy_parameters[-1].weight.mul_(6)
        network.entropy_parameters[-1].bias[: network.M] = 0.8
    network.update(force=True)
    return network


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    """A network and its bundle."""
    folder = tmp_path_factory.mktemp("context")
    network = made(request.param)
    torch.save(network.state_dict(), folder / "codec.pth")
    export(folder / "codec.pth", folder / "codec.lsr")
    assert Bundle(folder / "codec.lsr").manifest.family == request.param
    return network, folder / "codec.lsr"


def tensors_of(bundle: Bundle) -> ContextTensors:
    chunk = bundle.manifest.chunks[-1]
    assert chunk.context is not None and chunk.context.order == "wavefront"
    return load_context(bundle, chunk.context.tensors, chunk.channels)


def reference(bundle: Bundle, y: np.ndarray, z_hat: np.ndarray) -> tuple[bytes, Latent]:
    """Bytes of y by 64-bit integers alone, from the features graph on."""
    graph = IntegerGraph(bundle.graph("entropy_parameters_exact"))
    features = graph.run({"z_hat": z_hat})["features"][0]
    chunk = bundle.manifest.chunks[-1]
    latent = Latent.empty(tensors_of(bundle), bundle.tensors["y.thresholds"][:-1], features)
    symbols, indexes = encode(latent, y[0])
    assert len(set(indexes.tolist())) > 5
    return Coder(bundle.tables(chunk)).encode(symbols, indexes, parts=1), latent


def test_the_same_bytes_on_every_engine(exported: tuple[Any, Path], picture: np.ndarray) -> None:
    streams, decoded = [], []
    for backend, threads in COMBINATIONS:
        with latentsr.load(exported[1], backend=backend, threads=threads) as codec:
            run = codec.run_encode(picture, "encode", True)
            expected, latent = reference(codec.bundle, run.values["y"], run.values["z_hat"])
            assert run.chunks["y"] == expected
            assert np.array_equal(run.values["y_hat"][0], latent.restored())
            streams.append(codec.encode(picture))
            # Every engine decodes the first one's stream, not only its own.
            decoded.append(codec.decode(streams[0]).astype(int))
    assert len(streams[0]) > 300
    for found in decoded:
        assert np.abs(found - decoded[0]).max() <= 1


def test_the_parameters_are_near_the_float_network(
    exported: tuple[Any, Path], picture: np.ndarray
) -> None:
    network, path = exported
    with latentsr.load(path, threads=1) as codec:
        run = codec.run_encode(picture, "encode", True)
        _, latent = reference(codec.bundle, run.values["y"], run.values["z_hat"])
    with torch.no_grad():
        params = network.h_s(torch.from_numpy(run.values["z_hat"]))
        context = network.context_prediction(torch.from_numpy(latent.restored())[None])
        both = torch.cat([params, context], 1)
        scales, means = network.entropy_parameters(both)[0].chunk(2, 0)
        wanted = network.entropy_parameters[0](both)[0].numpy()
    # All positions at once: the whole latent is known now, and each sees what lies before it.
    rows, columns = np.divmod(np.arange(scales[0].numel()), scales.shape[2])
    found = latent.parameters(rows, columns)
    shape = scales.shape
    bits = latent.model.mean_bits
    for integers, unit, expected in (
        (np.maximum(found[0], 0), 10, scales.clamp(min=0)), (found[1], bits, means),
    ):  # fmt: skip
        floats = integers.T.reshape(shape) / (1 << unit)
        spread = float(expected.abs().max())
        assert spread > 1
        assert float(np.abs(floats - expected.numpy()).max()) < 0.02 * spread + 0.5 / (1 << unit)
    hyper = run.values["features"][0] / 1024
    layers, _ = context_layers(network.context_prediction, network.entropy_parameters)
    x = context[0].permute(1, 2, 0).numpy() @ layers.weights[1].T
    spread = float(np.abs(wanted).max())
    assert np.abs(hyper + x.transpose(2, 0, 1) - wanted).max() < 0.02 * spread


def test_the_float_run_is_compress(exported: tuple[Any, Path], picture: np.ndarray) -> None:
    # Calibration would mislead if it fed the context what forward() feeds it.
    network, _ = exported
    layers, first = context_layers(network.context_prediction, network.entropy_parameters)
    x = torch.from_numpy(picture[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        y = network.g_a(x)
        z_hat, _ = network.entropy_bottleneck(network.h_a(y))
        run = run_float(layers, first(network.h_s(z_hat))[0].numpy(), y[0].numpy())
        out = network.compress(x)
        decoded = network.decompress(out["strings"], out["shape"])["x_hat"]
        ours = network.g_s(torch.from_numpy(run.latent)[None]).clamp(0, 1)
    torch.testing.assert_close(ours, decoded, atol=1e-3, rtol=0)
    assert np.array_equal(np.sort(np.unique(run.symbols)), np.unique(run.symbols))
    assert max(run.largest) > 1


def test_the_proof_is_in_the_manifest(exported: tuple[Any, Path]) -> None:
    bundle = Bundle(exported[1])
    note = bundle.manifest.raw["notes"]["exact"]
    assert note["rate_cost_percent"] < 1.5 and note["rate_goal_percent"] == 0.5
    proof = {entry["layer"]: entry for entry in note["proof"]}
    model = tensors_of(bundle)
    largest = [model.input_top, *model.tops]
    for k, weight in enumerate(model.weights):
        entry = proof[f"context layer {k}"]
        wide = weight.reshape(len(weight), -1).astype(object)
        bias = model.biases[k]
        start = (
            [model.feature_top << int(lift) for lift in model.lift]
            if bias is None else [abs(int(b)) for b in bias]
        )  # fmt: skip
        sums = [
            sum(abs(w) for w in row) * largest[k] + s + (1 << (int(shift) - 1))
            for row, s, shift in zip(wide, start, model.shifts[k], strict=True)
        ]
        assert entry["largest_sum"] == max(sums) < entry["limit"] == 1 << 31
        assert entry["largest_input"] == largest[k]
        assert entry["largest_weight"] == max(abs(int(w)) for w in weight.flat) <= 32767
    assert sum(name.startswith("h_s") for name in proof) >= 4
    assert model.slope == 655


def layers_like(rng: np.random.Generator, first: np.ndarray, second: float = 1.0) -> ContextLayers:
    """A model with a given layer 0 weight (C0, T, M), and the size of layer 1's weights."""
    outputs, last = len(first), 2 * first.shape[2]
    weights = (
        first,
        second * rng.normal(size=(4, outputs)),
        rng.normal(size=(last, 4)),
    )
    taps = np.array([(0, -1 - t) for t in range(first.shape[1])], np.int32)
    return ContextLayers(
        taps,
        tuple(weight.astype(np.float32) for weight in weights),
        (np.zeros(outputs, np.float32), None, np.zeros(last, np.float32)),
        0.01,
    )


def test_too_many_terms_are_refused_by_name() -> None:
    layers = layers_like(np.random.default_rng(1), np.ones((1, 16, 2048)))
    with pytest.raises(ExportError, match="context layer 0 cannot be made exact: found no weights"):
        integer_context(layers, Ranges([500.0, 9.0, 9.0, 9.0], 9.0), 6, 2047)
    # Features that dwarf the context leave its half of layer 1 no bits.
    rng = np.random.default_rng(1)
    with pytest.raises(ExportError, match="context layer 1 cannot be made exact"):
        small = layers_like(rng, np.ones((1, 1, 3)), 1e-5)
        integer_context(small, Ranges([5.0, 9.0, 1e6, 9.0], 1e6), 6, 2047)


def test_outputs_are_coarser_where_sums_are() -> None:
    # Layer 0's outputs are said to be far smaller than its weights let them be.
    layers = layers_like(np.random.default_rng(1), np.full((1, 1, 3), 900.0))
    found = integer_context(layers, Ranges([5.0, 0.1, 9.0, 9.0], 9.0), 6, 2047)
    assert found.tensors.shifts[0].tolist() == [1]
    with pytest.raises(ExportError, match="context layer 0 cannot be made exact"):
        integer_context(layers, Ranges([5.0, 1e-5, 9.0, 9.0], 9.0), 6, 2047)


def test_a_broken_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(made("mbt2018").state_dict(), tmp_path / "codec.pth")

    def careless(*given: Any) -> Any:
        found = integer_context(*given)
        weights = tuple(np.full_like(weight, 32767) for weight in found.tensors.weights)
        tensors = dataclasses.replace(found.tensors, weights=weights)
        return dataclasses.replace(found, tensors=tensors)

    monkeypatch.setattr("latentsr_export.exact_context.integer_context", careless)
    with pytest.raises(BundleError, match=r"context model, layer \d, channel \d+: found"):
        export(tmp_path / "codec.pth", tmp_path / "codec.lsr")
    assert not (tmp_path / "codec.lsr").exists()


def test_costly_integers_and_skipped_scales_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(made("mbt2018").state_dict(), tmp_path / "codec.pth")
    with pytest.raises(ExportError, match="certain zeros do not go with context models"):
        export(tmp_path / "codec.pth", tmp_path / "codec.lsr", skip_scale=0.15)
    monkeypatch.setattr("latentsr_export.exact_context.GATE", -100.0)
    with pytest.raises(ExportError, match=r"exact context model costs too much: found .* %"):
        export(tmp_path / "codec.pth", tmp_path / "codec.lsr")
    assert not (tmp_path / "codec.lsr").exists()


def test_only_the_float_path_without_exact_graphs(tmp_path: Path, picture: np.ndarray) -> None:
    torch.save(made("mbt2018").state_dict(), tmp_path / "codec.pth")
    export(tmp_path / "codec.pth", tmp_path / "codec.lsr", exact=False)
    with latentsr.load(tmp_path / "codec.lsr", threads=1) as codec:
        parts = codec.open_stream(codec.encode(picture))
        assert (parts.form, parts.exact) == ("compressai", False)
