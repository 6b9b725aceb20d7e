"""Chunks decoded on a device: every kind, with the bits and the words of the processor's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from device_models import CODING, SHAPE, SIZE, count_waits, model_of, on_device

from latentsr.backends.device import Device
from latentsr.backends.device_pool import DeviceArray, pools_of
from latentsr.errors import StreamError
from latentsr.pipeline.entropy_step import EntropyModel


def compare(model: EntropyModel, data: bytes, size: tuple[int, int], *given: Any) -> None:
    expected = model.decode(data, size, *given, CODING)
    start = 0xDEADBEEF
    crc = model.crc(expected[1], start)
    found = on_device(model).decode(data, size, *given, CODING)
    for each, array in zip(found, expected, strict=True):
        assert isinstance(each, DeviceArray)
        np.testing.assert_array_equal(np.asarray(each), array)
    assert model.crc(found[1], start) == crc


@pytest.mark.parametrize("skip", [0, 20])
@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("resident", [False, True])
def test_gaussian_chunks(device: Device, skip: int, means: bool, resident: bool) -> None:
    rng = np.random.default_rng(4)
    model = model_of("gaussian", SHAPE[1], skip)
    scales = np.exp(rng.normal(0, 2, SHAPE)).astype(np.float32)
    mean = rng.normal(0, 3, SHAPE).astype(np.float32) if means else None
    latent = (scales * rng.normal(0, 1, SHAPE)).astype(np.float32)
    data, _, _ = model.encode(latent, scales, mean, CODING)
    given: list[Any] = [scales, mean]
    if resident:
        given = [None if value is None else pools_of(0).resident(value) for value in given]
    compare(model, data, SIZE, *given)


@pytest.mark.parametrize("channels", [7, 300])
def test_factorized_chunks(device: Device, channels: int) -> None:
    model = model_of("factorized", channels)
    for shape, size in (((1, channels, 3, 5), (48, 80)), ((1, channels, 4, 2), (64, 32))):
        latent = np.random.default_rng(6).normal(0, 2, shape).astype(np.float32)
        data, _, _ = model.encode(latent, None, None, CODING)
        compare(model, data, size, None, None)
        model.on_gpu = None


def test_a_scale_that_is_no_number(device: Device) -> None:
    model = model_of("gaussian", SHAPE[1])
    scales = np.ones(SHAPE, np.float32)
    data, _, _ = model.encode(np.zeros(SHAPE, np.float32), scales, None, CODING)
    scales[0, 3, 2, 1] = np.nan
    with pytest.raises(StreamError, match="found NaN") as expected:
        model.decode(data, SIZE, scales, None, CODING)
    with pytest.raises(StreamError, match="found NaN") as found:
        on_device(model).decode(data, SIZE, scales, None, CODING)
    assert str(found.value) == str(expected.value)


def test_scales_of_another_threads_stream_are_waited_for(device: Device) -> None:
    rng, model = np.random.default_rng(7), model_of("gaussian", SHAPE[1])
    scales = np.exp(rng.normal(0, 2, SHAPE)).astype(np.float32)
    data, _, symbols = model.encode(scales * 2, scales, None, CODING)
    with ThreadPoolExecutor(1) as pool:
        given = pool.submit(lambda: pools_of(0).resident(scales)).result()
    found = on_device(model).decode(data, SIZE, given, None, CODING)
    np.testing.assert_array_equal(np.asarray(found[1]), symbols)


def test_the_host_waits_once(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    model = on_device(model_of("gaussian", SHAPE[1]))
    scales = np.ones(SHAPE, np.float32)
    data, _, symbols = model.encode(scales * 3, scales, None, CODING)
    expected = model_of("gaussian", SHAPE[1]).crc(np.asarray(symbols), 7)
    model.decode(data, SIZE, scales, None, CODING)  # tables come once
    waited = count_waits(monkeypatch)
    found = model.decode(data, SIZE, scales, None, CODING)[1]
    assert model.crc(found, 7) == expected
    assert len(waited) == 1


def test_memory_goes_round(device: Device) -> None:
    """Streams of many sizes do not each keep memory of their own."""
    model, rng = on_device(model_of("gaussian", SHAPE[1])), np.random.default_rng(8)
    scales = np.full(SHAPE, 0.2, np.float32)
    for spread in np.linspace(0, 8, 12):
        latent = rng.normal(0, spread, SHAPE).astype(np.float32)
        data, _, symbols = model.encode(latent, scales, None, CODING)
        found = model.decode(data, SIZE, scales, None, CODING)
        np.testing.assert_array_equal(np.asarray(found[1]), symbols)
    shelves = pools_of(0).blocks.free
    assert sum(len(shelf) for shelf in shelves.values()) <= 12
