"""Chunks with context models coded on a device: the bits and the words of the processor's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_models import count_waits

from context_bundle import context_bundle
from latentsr.backends.base import EngineOptions
from latentsr.backends.device import Device
from latentsr.backends.device_pool import DeviceArray, pools_of
from latentsr.bundle import Bundle
from latentsr.errors import BundleError, LatentSRError
from latentsr.pipeline.context_step import ContextEntropy
from latentsr.pipeline.device_coding import LEAST_PREDICTED, attach
from latentsr.pipeline.run import Run
from latentsr.stream import Padding

SHAPE = (1, 96, 5, 7)
SIZE = 5 * 16, 7 * 16
CODING = Run(SIZE[1], SIZE[0], Padding(), "lanes", exact=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(context_bundle(tmp_path_factory.mktemp("context") / "c.lsr"))


@pytest.fixture
def models(device: Device, bundle: Bundle) -> list[ContextEntropy]:
    """The same on the processor and on the device."""
    chunk = next(chunk for chunk in bundle.manifest.chunks if chunk.name == "y")
    made = [ContextEntropy(bundle, chunk) for _ in range(2)]
    attach(made[1:], EngineOptions("cuda", coder="cuda"))
    return made


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and a latent."""
    rng = np.random.default_rng(seed)
    features = rng.integers(-30000, 30000, SHAPE).astype(np.float32)
    return features, rng.normal(0, 3, SHAPE).astype(np.float32)


@pytest.mark.parametrize("resident", [False, True])
def test_both_ways(models: list[ContextEntropy], resident: bool) -> None:
    plain, other = models
    for seed in range(3):
        features, latent = drawn(seed)
        expected = plain.encode(latent, features, CODING)
        given: list[Any] = [latent, features]
        if resident:
            given = [pools_of(0).resident(value) for value in given]
        data, *found = other.encode(*given, CODING)
        assert data == expected[0]
        decoded = other.decode(data, SIZE, given[1], CODING)
        for each, array in zip((*found, *decoded), (*expected[1:],) * 2, strict=True):
            assert isinstance(each, DeviceArray)
            assert np.asarray(each).tobytes() == array.tobytes()
        for symbols in (found[1], decoded[1]):
            assert other.crc(symbols, 0xDEADBEEF) == plain.crc(expected[2], 0xDEADBEEF)


def test_the_host_waits_once(models: list[ContextEntropy], monkeypatch: pytest.MonkeyPatch) -> None:
    features, latent = drawn(4)
    other = models[1]
    data, _, _ = other.encode(latent, features, CODING)
    other.decode(data, SIZE, features, CODING)
    waited = count_waits(monkeypatch)
    other.decode(data, SIZE, features, CODING)
    assert len(waited) == 1
    assert other.encode(latent, features, CODING)[0] == data  # of the size that was guessed
    assert len(waited) == 2


def outcome(model: ContextEntropy, way: str, *given: Any) -> object:
    """The error, or what was made."""
    try:
        made = getattr(model, way)(*given, CODING)
        return [one if isinstance(one, bytes) else np.asarray(one).tobytes() for one in made]
    except LatentSRError as error:
        return type(error), str(error)


def test_damaged_streams(models: list[ContextEntropy]) -> None:
    rng, (features, latent) = np.random.default_rng(5), drawn(5)
    data, _, _ = models[0].encode(latent, features, CODING)
    said = set()
    for _ in range(60):
        damaged = bytearray(data)
        at = int(rng.integers(0, len(data)))
        if rng.random() < 0.3:
            del damaged[at:]
        else:
            damaged[at] ^= 1 << int(rng.integers(0, 8))
        expected, found = (
            outcome(model, "decode", bytes(damaged), SIZE, features) for model in models
        )
        assert found == expected
        said.add(str(expected)[:90])
    assert len(said) > 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e9])
def test_values_that_no_network_should_make(models: list[ContextEntropy], value: float) -> None:
    features, latent = drawn(6)
    data, _, _ = models[0].encode(latent, features, CODING)
    latent[0, 3, 2, 1] = latent[0, 90, 4, 6] = value
    expected, found = (outcome(model, "encode", latent, features) for model in models)
    assert found == expected and "out of range" in str(found)
    features[0, 70, 1, 2] = features[0, 7, 4, 6] = value
    for way, given in (("encode", (latent, features)), ("decode", (data, SIZE, features))):
        expected, found = (outcome(model, way, *given) for model in models)
        assert found == expected
        assert ("no finite number" in str(found)) == (not np.isfinite(value))


def test_features_that_do_not_fit(models: list[ContextEntropy]) -> None:
    features, latent = drawn(7)
    data, _, _ = models[1].encode(latent, features, CODING)
    for wrong in (features[:, :, :4], features.astype(np.float64), None):
        with pytest.raises(BundleError, match="features"):
            models[1].decode(data, SIZE, wrong, CODING)


def test_auto_takes_large_latents(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = next(chunk for chunk in bundle.manifest.chunks if chunk.name == "y")
    model = ContextEntropy(bundle, chunk)
    monkeypatch.setattr("latentsr.cuda.module.usable", lambda: True)
    attach([model], EngineOptions("cuda", coder="auto"))
    assert model.on_gpu is not None
    for side, taken in ((13, False), (14, True)):
        shape = (1, 96, side, side)
        assert (np.prod(shape) >= LEAST_PREDICTED) == taken
        assert model.on_gpu.codes(shape, np.zeros(shape, np.float32)) == taken
