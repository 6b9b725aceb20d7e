"""Exact entropy parameters: the same integers in every arithmetic, and bounds that can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
ort = pytest.importorskip("onnxruntime", reason="graphs are run")
pytest.importorskip("compressai", reason="the exporter needs compressai")

from torch import nn  # noqa: E402

import latentsr  # noqa: E402
from latentsr.errors import ExportError, StreamError, UsageError  # noqa: E402
from latentsr.interop import to_compressai  # noqa: E402
from latentsr_export.exact import quantise, thresholds  # noqa: E402
from latentsr_export.exact_layers import LIMIT  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.integer_graph import IntegerGraph  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402


def h_s(leaky: bool, channels: int = 9) -> nn.Sequential:
    """Hyper-synthesis layers with seeded weights."""
    torch.manual_seed(2)
    activation = nn.LeakyReLU if leaky else nn.ReLU
    up = {"kernel_size": 5, "stride": 2, "padding": 2, "output_padding": 1}
    layers = nn.Sequential(
        nn.ConvTranspose2d(channels, 12, **up), activation(),
        nn.ConvTranspose2d(12, 14, **up), activation(),
        nn.Conv2d(14, 10, 3, padding=1), *([] if leaky else [nn.ReLU()]),
    )  # fmt: skip
    with torch.no_grad():
        for layer in layers:
            if hasattr(layer, "weight"):
                layer.weight.mul_(3)
    return layers


def medians(channels: int = 9) -> Any:
    return torch.rand(channels, generator=torch.Generator().manual_seed(7))


def latents(channels: int = 9) -> list[Any]:
    """Integers plus a median for each channel, as ẑ is."""
    generator = torch.Generator().manual_seed(4)
    sizes = [(1, 1), (3, 5), (8, 8)]
    return [
        torch.round(torch.randn(1, channels, *size, generator=generator) * 6)
        + medians(channels).reshape(1, -1, 1, 1)
        for size in sizes
    ]


def outputs(made: Any) -> list[np.ndarray]:
    return [t.detach().double().numpy() for t in (made if isinstance(made, tuple) else (made,))]


@pytest.mark.parametrize("leaky", [False, True])
def test_same_integers_in_every_arithmetic(leaky: bool) -> None:
    layers = h_s(leaky)
    exact = quantise(layers, latents(), medians(), leaky).module
    names = ("scales", "means") if leaky else ("scales",)
    graph = trace("exact", GraphSpec(exact, ("z_hat",), names, 9, 64, "picture"))
    sessions = []
    for threads in (1, 2):
        for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
            providers = ["CPUExecutionProvider"]
            sessions.append(ort.InferenceSession(graph, options, providers=providers))
    reference = IntegerGraph(graph)
    for z_hat in latents():
        with torch.no_grad():
            single = outputs(exact(z_hat))
            double = outputs(exact.double()(z_hat.double()))
            exact.float()
        assert np.array_equal(single[0], np.round(single[0]))
        whole = list(reference.run({"z_hat": z_hat.numpy()}).values())
        for found in [double, whole, *(s.run(None, {"z_hat": z_hat.numpy()}) for s in sessions)]:
            for a, b in zip(single, found, strict=True):
                assert np.array_equal(a, b)


@pytest.mark.parametrize("leaky", [False, True])
def test_near_the_float_network(leaky: bool) -> None:
    layers = h_s(leaky)
    exact = quantise(layers, latents(), medians(), leaky, levels=1023)
    for z_hat in latents():
        with torch.no_grad():
            expected = layers(z_hat)
            found = exact.module(z_hat)
        scales = found[0] if leaky else found
        wanted = expected.chunk(2, 1)[0].clamp(min=0) if leaky else expected
        spread = float(expected.abs().max())
        assert float((scales / 1024 - wanted).abs().max()) < 0.03 * spread
        if leaky:
            assert float((found[1] - expected.chunk(2, 1)[1]).abs().max()) < 0.03 * spread


def worst_sum(layer: Any, top: float, first: bool) -> float:
    """Largest accumulator of one layer, found by feeding it the worst input at full size."""
    channels = layer.layer.in_channels
    ones = torch.full((1, channels, 12, 12), top, dtype=torch.float64)
    if first:
        ones[:, -1] = 1  # the channel that carries the medians
    probe = type(layer.layer)(
        channels, layer.layer.out_channels, layer.layer.kernel_size, stride=layer.layer.stride,
        padding=layer.layer.padding,
    ).double()  # fmt: skip
    with torch.no_grad():
        probe.weight.copy_(layer.layer.weight.abs())
        probe.bias.copy_(layer.layer.bias.abs())
        return float(probe(ones).max())


def test_the_proof_holds_and_is_tight() -> None:
    exact = quantise(h_s(False), latents(), medians(), False)
    tops = [exact.module.limit, 255.0, 255.0]
    for number, (layer, top, entry) in enumerate(
        zip(exact.module.layers, tops, exact.proof, strict=True)
    ):
        assert entry["largest_input"] == top
        assert entry["largest_sum"] < LIMIT
        assert worst_sum(layer, top, number == 0) == pytest.approx(entry["largest_sum"], abs=1)
        assert entry["largest_weight"] <= 2047


def test_a_broken_bound_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    # With sums up to 2^34 float32 must lose bits: otherwise the equality tests prove nothing.
    monkeypatch.setattr("latentsr_export.exact_layers.LIMIT", 1 << 34)
    monkeypatch.setattr("latentsr_export.exact_layers.LARGEST", 1 << 20)
    exact = quantise(h_s(False, 40), latents(40), medians(40), False, levels=1 << 20).module
    differing = 0
    for z_hat in latents(40):
        with torch.no_grad():
            single = exact(z_hat).numpy()
            double = exact.double()(z_hat.double()).numpy()
            exact.float()
        differing += int((single != double).sum())
    assert differing > 0


def test_the_reference_refuses_fractions() -> None:
    graph = trace("float", GraphSpec(h_s(False), ("z_hat",), ("scales",), 9, 64, "picture"))
    with pytest.raises(ExportError, match="graph is not exact: found a fraction"):
        IntegerGraph(graph).run({"z_hat": latents()[0].numpy()})


def test_too_many_terms_are_refused_by_name() -> None:
    wide = nn.Sequential(nn.Conv2d(4096, 1, 5, padding=2))
    nn.init.constant_(wide[0].weight, 1.0)
    with pytest.raises(ExportError, match="h_s layer 0 cannot be made exact"):
        quantise(wide, [torch.full((1, 4096, 4, 4), 999.0)], torch.zeros(4096), False)
    with pytest.raises(ExportError, match="found Sigmoid"):
        layers = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sigmoid())
        quantise(layers, [torch.ones(1, 1, 4, 4)], torch.zeros(1), False)


def test_thresholds_split_integers_where_the_table_splits_scales() -> None:
    table = np.array([0.11, 0.5, 1.0, 256.0], np.float32)
    scales = np.arange(0, 300 * 1024)
    expected = (scales[:, None] / 1024 > table.astype(np.float64)).sum(1)
    assert np.array_equal((scales[:, None] > thresholds(table)).sum(1), expected)


def test_streams_say_which_scales_they_use(picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        exact, plain = codec.encode(picture), codec.encode(picture, exact=False)
        streams = codec.open_stream(exact), codec.open_stream(plain)
        assert [s.exact for s in streams] == [True, False]
        assert np.array_equal(codec.decode(exact), codec.decode(plain))
        assert len(exact) < 1.02 * len(plain)
        with pytest.raises(UsageError, match="exact=False"):
            to_compressai(codec.bundle, streams[0])


def test_a_bundle_without_exact_graphs(picture: np.ndarray, tmp_path: Path) -> None:
    from compressai.models import ScaleHyperprior

    from latentsr.stream import Padding, Stream, pack

    torch.manual_seed(1)
    torch.save(ScaleHyperprior(8, 12).state_dict(), tmp_path / "codec.pth")
    export(tmp_path / "codec.pth", tmp_path / "codec.lsr", exact=False)
    with latentsr.load(tmp_path / "codec.lsr", threads=1) as codec:
        stream = codec.open_stream(codec.encode(picture))
        assert not stream.exact
        claimed = Stream(64, 64, Padding(), stream.fingerprint, stream.chunks, exact=True)
        with pytest.raises(StreamError, match="wants exact graphs"):
            codec.decode(pack(claimed))
