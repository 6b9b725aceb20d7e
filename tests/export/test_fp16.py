"""FP16 variants of bundles: every family, exact graphs untouched, the gate, black pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import half_cases as cases  # noqa: E402
import latentsr  # noqa: E402
from codec_cases import NETWORKS, exported, made  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.errors import BundleError, ExportError  # noqa: E402
from latentsr.report.metrics import psnr  # noqa: E402
from latentsr_export.fp16 import gate, variants  # noqa: E402
from latentsr_export.fp16.emulation import emulated  # noqa: E402
from windowed_cases import WINDOWED  # noqa: E402

WEIGHTLESS = ("split", "join", "blend")


@pytest.fixture(scope="module", params=[*NETWORKS, *WINDOWED])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray
) -> tuple[Bundle, Bundle]:
    """A family's bundle without and with FP16 variants."""
    folder = tmp_path_factory.mktemp("fp16")
    # The many exact graphs of ELIC take half a minute; the checkerboard has the same kind.
    exact = not request.param.startswith("elic")
    network = WINDOWED[request.param]() if request.param in WINDOWED else made(request.param)
    plain = exported(folder / "plain.lsr", network, picture, exact=exact)
    return plain, variants.add_fp16(plain, folder / "half.lsr", [picture])


def test_every_computing_graph_has_a_variant_but_those_that_decide_scales(
    pair: tuple[Bundle, Bundle],
) -> None:
    plain, half = pair
    exact = plain.manifest.exact
    for name, graph in half.manifest.graphs.items():
        decides = name in {*plain.manifest.entropy_graphs, *exact, *exact.values()}
        assert bool(graph.variants) == (not decides and name not in WEIGHTLESS), name
        assert half.graph(name) == plain.graph(name) == half.graph(name, "fp32")
        assert (half.graph(name, "fp16") == plain.graph(name)) == (not graph.variants)
    assert half.fingerprint == plain.fingerprint


def test_what_the_manifest_says(pair: tuple[Bundle, Bundle]) -> None:
    raw = pair[1].manifest.raw
    for name, graph in raw["graphs"].items():
        for facts in graph.get("variants", {}).values():
            assert facts["ports"] == "fp32" and facts["nodes"]["fp16"] > 0, name
            assert 2 * facts["weights_bytes"] <= graph["weights_bytes"] * 1.02 + 64
            assert set(facts["parity"]["fp32"]) == set(graph["outputs"])
            for entry in facts["parity"]["fp32"].values():
                # Lee et al. round y before z is made of it: some values fall to the other side.
                assert entry["psnr_db"] > (40 if name == "hyper_analysis" else 50)
    for row in raw["fp16"]["routes"].values():
        assert row["worst_db"] >= -gate.GATE_DB


def test_streams_decode_in_either_precision(
    pair: tuple[Bundle, Bundle], picture: np.ndarray
) -> None:
    """The symbols do not depend on the precision: the symbol CRC would tell."""
    full, half = (latentsr.load(pair[1].path, threads=1, precision=p) for p in ("fp32", "fp16"))
    for coder in (full, half):
        stream = coder.encode(picture)
        pictures = [codec.decode(stream) for codec in (full, half)]
        assert psnr(*pictures) > 45


def test_the_same_bytes_every_time(
    pair: tuple[Bundle, Bundle], picture: np.ndarray, tmp_path: Path
) -> None:
    again = variants.add_fp16(pair[0], tmp_path / "half.lsr", [picture])
    manifests = [(bundle.path / "manifest.json").read_bytes() for bundle in (pair[1], again)]
    assert manifests[0] == manifests[1]


def loud(gain: float) -> Any:
    """A codec whose first layers are `gain` times as loud: GDN's x·x leaves FP16's range."""
    network = made("bmshj2018-hyperprior")
    with torch.no_grad():
        for layer in (network.g_a[0], network.g_s[0]):
            layer.weight.mul_(gain)
            layer.bias.mul_(gain)
        # Behind x · root everything is gain² times as large.
        network.g_s[2].weight.mul_(gain**-2)
    return network


@pytest.mark.parametrize(("gain", "choice"), [(1000, "rescaled"), (3000, "fp32")])
def test_black_pictures(gain: float, choice: str, picture: np.ndarray, tmp_path: Path) -> None:
    plain = exported(tmp_path / "plain.lsr", loud(gain), picture)
    half = variants.add_fp16(plain, tmp_path / "half.lsr", [picture])
    first = [half.manifest.raw["graphs"][name]["variants"]["fp16"]["gdn"][0]
             for name in ("analysis", "synthesis")]  # fmt: skip
    assert [layer["choice"] for layer in first] == ["rescaled", choice]
    codec = latentsr.load(plain.path, threads=1)
    given = gate.cases(codec, [picture])
    samples, _ = gate.record(codec, given)
    full = codec.engine("synthesis").run(samples["synthesis"][0])["x_hat"]
    assert np.isfinite(full).all() and full.std() > 1e-3
    ours = cases.run(emulated(half.graph("synthesis", "fp16")), samples["synthesis"][0])["x_hat"]
    assert np.abs(ours - full).max() < 4e-3 * np.abs(full).max()
    naive = cases.naive_result(plain.graph("synthesis"), samples["synthesis"][0])["x_hat"]
    assert np.isnan(naive).any()
    black = cases.engine(emulated(cases.naive(plain.graph("synthesis"))))
    with pytest.raises(BundleError, match="samples that are not finite"):
        gate.with_engines(codec, lambda n: black if n == "synthesis" else codec.engine(n), given)
    latent = codec.engine("analysis").run(samples["analysis"][0])["y"]
    wrong = cases.naive_result(plain.graph("analysis"), samples["analysis"][0])["y"]
    assert not np.abs(wrong - latent).max() < 0.5 * np.abs(latent).max()


def test_the_exporter_writes_them(picture: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(4)
    network, _ = cases.NETWORKS["edsr"]
    torch.save(network().state_dict(), tmp_path / "sr.pth")
    bundle = exported(
        tmp_path / "a.lsr", made("bmshj2018-factorized"), picture, fp16=True,
        pixel_sr=tmp_path / "sr.pth", half_weights=True,
    )  # fmt: skip
    assert [n for n, g in bundle.manifest.graphs.items() if g.variants] == [
        "analysis", "synthesis", "pixel_sr"
    ]  # fmt: skip
    routes = {"lr", "bicubic", "lanczos", "pixel_x4"}
    assert set(bundle.manifest.raw["fp16"]["routes"]) == routes
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.lsr", "a.png", "a.pth", "sr.pth"
    ]  # fmt: skip


def test_a_loss_beyond_the_gate_fails_and_names_the_node(
    picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "GATE_DB", -100.0)
    with pytest.raises(ExportError, match=r"route lr loses quality.*graph synthesis node /\S+ \("):
        exported(tmp_path / "a.lsr", made("bmshj2018-factorized"), picture, fp16=True)
    assert not (tmp_path / "a.lsr").exists()


def test_pictures_unlike_those_of_the_calibration(tmp_path: Path) -> None:
    """Noise, black and white, and single dots in the shipped bundle: what the safety is for."""
    half = variants.add_fp16(Bundle("demo"), tmp_path / "half.lsr")
    codec = latentsr.load(half.path, threads=1)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    checks = 255 * (np.indices((64, 64, 3)).sum(0) % 2).astype(np.uint8)
    dots = np.zeros((64, 64, 3), np.uint8)
    dots[::9, ::7] = 255
    routes = ("lr", "latent_x4", "pixel_x4")
    given = [
        gate.Case("encode", r, shown, shown) for shown in (noise, checks, dots) for r in routes
    ]
    full = gate.with_engines(codec, codec.engine, given)
    engines = {name: cases.engine(emulated(half.graph(name, "fp16")))
               for name in variants.convertible(half)}  # fmt: skip
    found = gate.with_engines(codec, lambda n: engines.get(n) or codec.engine(n), given)
    for case, expected, result in zip(given, full, found, strict=True):
        assert psnr(expected[0], result[0]) > 40, case.decode


def test_graphs_that_scales_depend_on_are_left_alone() -> None:
    steps = [
        {"op": "graph", "graph": "analysis", "in": ["x"], "out": ["y"]},
        {"op": "entropy_encode", "chunk": "z", "in": "y", "out": "z_hat"},
        {"op": "graph", "graph": "first", "in": ["z_hat"], "out": ["a"]},
        {"op": "clamp", "in": "a", "out": "b"},
        {"op": "graph", "graph": "second", "in": ["b"], "out": ["s", "m"]},
        {"op": "entropy_encode", "chunk": "y", "in": "y", "out": "y_hat", "scales": "s"},
        {"op": "graph", "graph": "synthesis", "in": ["y_hat"], "out": ["x_hat"]},
    ]
    assert variants._deciding(steps) == {"first", "second"}


def test_small_pictures_for_the_calibration(picture: np.ndarray, tmp_path: Path) -> None:
    """A picture of 9x11 is mirrored: RLFN's pooling wants sides of 15 or more after the codec."""
    torch.save(cases.NETWORKS["rlfn"][0]().state_dict(), tmp_path / "sr.pth")
    plain = exported(
        tmp_path / "a.lsr", made("bmshj2018-factorized"), picture, pixel_sr=tmp_path / "sr.pth"
    )
    half = variants.add_fp16(plain, tmp_path / "a.lsr", [picture[:9, :11]])
    assert half.manifest.graphs["pixel_sr"].variants


def test_half_ports(picture: np.ndarray, tmp_path: Path) -> None:
    plain = exported(tmp_path / "plain.lsr", made("bmshj2018-hyperprior"), picture)
    half = variants.add_fp16(plain, tmp_path / "half.lsr", [picture], ports="fp16")
    assert half.manifest.graphs["synthesis"].variants["fp16"].ports == "fp16"
    full, fast = (latentsr.load(half.path, threads=1, precision=p) for p in ("fp32", "fp16"))
    stream = full.encode(picture)
    assert psnr(full.decode(stream), fast.decode(stream)) > 45


def test_variants_of_an_exact_graph_are_refused(
    pair: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    spoiled = Path(shutil.copytree(pair[1].path, tmp_path / "a.lsr"))
    raw = json.loads((spoiled / "manifest.json").read_text())
    for name in (*raw["entropy"]["exact"].values(), *raw["entropy"]["graphs"]):
        graphs = json.loads(json.dumps(raw["graphs"]))
        graphs[name]["variants"] = graphs["analysis"]["variants"]
        (spoiled / "manifest.json").write_text(json.dumps({**raw, "graphs": graphs}))
        with pytest.raises(BundleError, match="none, as it decides scales"):
            Bundle(spoiled)
