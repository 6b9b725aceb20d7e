"""Chunks with a context model in the runtime: what the reference gives, and refusals by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import latentsr
from context_bundle import context_bundle, random_context, thresholds
from entropy_cases import gaussian_tables
from guarded import same_bits
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.entropy import Coder, isa
from latentsr.entropy.context import ContextCoder
from latentsr.entropy.context_tensors import load_context
from latentsr.entropy.reference_context import Latent, encode
from latentsr.errors import BundleError, CorruptStream, DesyncError, ImageError, StreamError
from latentsr.interop import from_compressai, to_compressai
from latentsr.report.verify import verify
from latentsr.stream import pack

LIMITS = thresholds()


@pytest.fixture(params=isa.supported())
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, request.param)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return context_bundle(tmp_path_factory.mktemp("context") / "context.lsr")


def given(rng: np.random.Generator, size: tuple[int, int]) -> tuple[NDArray, NDArray]:
    features = rng.integers(-9000, 9000, (14, *size)).astype(np.float32)
    return features, rng.normal(0, 6, (7, *size)).astype(np.float32)


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 2), (11, 19)])
def test_the_coder_is_the_reference(size: tuple[int, int], threads: int) -> None:
    rng = np.random.default_rng(size[0])
    model, tables = random_context(rng, 7), Coder(gaussian_tables())
    coder = ContextCoder(model, LIMITS, tables)
    for _ in range(3):
        features, y = given(rng, size)
        plain = Latent.empty(model, LIMITS[:-1], features)
        expected = tables.encode(*encode(plain, y), parts=1)
        data, latent, symbols = coder.encode(features, y, threads)
        assert data == expected
        assert np.array_equal(symbols, plain.symbols)
        assert same_bits(latent, plain.restored())
        decoded = coder.decode(features, data, threads)
        assert same_bits(decoded[0], latent) and same_bits(decoded[1], symbols)


def test_what_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(2)
    model, tables = random_context(rng, 7), Coder(gaussian_tables())
    coder = ContextCoder(model, LIMITS, tables)
    features, y = given(rng, (4, 5))
    data, _, _ = coder.encode(features, y)
    for wrong in (features[:3], features[0], features.astype(np.float64)):
        with pytest.raises(BundleError, match="features of a context model: found float"):
            coder.encode(wrong, y)
        with pytest.raises(BundleError, match="features of a context model: found float"):
            coder.decode(wrong, data)
    with pytest.raises(BundleError, match="latent of a context model: found float64"):
        coder.encode(features, y.astype(np.float64))
    for bad in (np.nan, 2.0**31):
        with pytest.raises(ImageError, match="latent of a context model is out of range"):
            coder.encode(features, np.full_like(y, bad))
    broken = features.copy()
    broken[3, 2, 1] = np.nan
    for call in (lambda: coder.encode(broken, y), lambda: coder.decode(broken, data)):
        with pytest.raises(StreamError, match=r"features of a context model, element \d+: found"):
            call()
    for damaged in (b"", data[:-2], data + b"\0\0", b"\x70" + data[1:]):
        with pytest.raises(CorruptStream):
            coder.decode(features, damaged)
    with pytest.raises(BundleError, match="found 5 thresholds, expected 64"):
        ContextCoder(model, LIMITS[:5], tables)


def plain_stream(codec: Codec, run: Any) -> bytes:
    """The chunk's bytes from the reference, with the features that the run met."""
    entropy = codec.machine.entropy["y"]
    assert not hasattr(entropy, "indexes")
    features = run.values["features"][0]
    found = Latent.empty(load(codec), codec.bundle.tensors["y.thresholds"][:-1], features)
    return entropy.coder.encode(*encode(found, run.values["y"][0]), parts=1)


def load(codec: Codec) -> Any:
    return load_context(codec.bundle, "y.context", codec.bundle.manifest.chunks[-1].channels)


def test_a_bundle_codes_through_its_context_model(bundle: Path, picture: np.ndarray) -> None:
    with latentsr.load(bundle, threads=1) as codec:
        run = codec.run_encode(picture, "encode", True)
        assert (run.form, run.exact) == ("lanes", True)
        assert run.chunks["y"] == plain_stream(codec, run)
        stream = codec.encode(picture)
        first = codec.decode(stream)
        assert codec.upscale(stream).shape == (404, 300, 3)
    with latentsr.load(bundle, threads=2) as codec:
        assert codec.encode(picture) == stream
        assert np.array_equal(codec.decode(stream), first)
        assert "entropy" in {stage.kind for stage in codec.timeline.stages}


def test_damage_and_odd_forms(bundle: Path, picture: np.ndarray) -> None:
    with latentsr.load(bundle, threads=1) as codec:
        parts = codec.open_stream(codec.encode(picture))
        plain = codec.open_stream(codec.encode(picture, exact=False))
        cut = replace(parts, chunks=(parts.chunks[0], parts.chunks[1][:-2]))
        with pytest.raises(DesyncError, match="chunk y ran out of step"):
            codec.decode(pack(cut))
        for odd in (replace(parts, exact=False), replace(plain, exact=True)):
            with pytest.raises(StreamError, match="chunk y has a context model: found form"):
                codec.decode(pack(odd))


def test_float_streams_come_and_go(bundle: Path, picture: np.ndarray) -> None:
    with latentsr.load(bundle, threads=1) as codec:
        data = codec.encode(picture, exact=False)
        parts = codec.open_stream(data)
        assert (parts.form, parts.exact) == ("compressai", False)
        picture_there = codec.decode(data)
        assert [repair.chunk for repair in codec.repairs] == ["y"]
        strings, shape = to_compressai(codec.bundle, parts)
        size = (picture.shape[1], picture.shape[0])
        again = from_compressai(codec.bundle, strings, shape, size)
        assert np.array_equal(codec.decode(again), picture_there)


def test_verification_compares_symbols(bundle: Path, picture: np.ndarray) -> None:
    codecs = {f"ort-{n}": latentsr.load(bundle, threads=n) for n in (1, 2)}
    result = verify(codecs, [picture]).as_dict()
    assert result["symbols_alone"] == ["y"]
    assert result["differing_symbols"] == result["desyncs"] == 0
    assert result["symbols"] > 1000 and result["parity"]["features"] == 0.0


def command(*arguments: object) -> str:
    """Run the command line; it must succeed."""
    latentsr_command = Path(sys.executable).with_name("latentsr")
    done = subprocess.run(
        [str(latentsr_command), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_commands_know_context_models(bundle: Path, picture: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    Image.fromarray(picture).save(file)
    assert "context model (wavefront)" in command("inspect", bundle)
    assert "a context model; its symbols are compared" in command("verify", bundle, file)
    for name, options in {"a.lss": [], "a.bin": ["--format", "compressai"]}.items():
        command("encode", file, "-m", bundle, "-o", tmp_path / name, *options)
        command("decode", tmp_path / name, "-m", bundle, "-o", tmp_path / "b.png", *options)


def test_a_bundle_without_exact_graphs_keeps_to_floats(
    bundle: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "float.lsr"
    shutil.copytree(bundle, path)
    raw = json.loads((path / "manifest.json").read_text())
    raw["entropy"]["exact"] = {}
    (path / "manifest.json").write_text(json.dumps(raw))
    with latentsr.load(path, threads=1) as codec:
        stream = codec.encode(picture)
        parts = codec.open_stream(stream)
        assert (parts.form, parts.exact) == ("compressai", False)
        assert codec.decode(stream).shape == picture.shape
        assert codec.bundle.fingerprint != Bundle(bundle).fingerprint
