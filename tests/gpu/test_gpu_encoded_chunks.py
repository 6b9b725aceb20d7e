"""Chunks encoded on a device: every kind, with the bits and the words of the processor's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from device_models import CODING, SHAPE, SIZE, count_waits, model_of, on_device

from latentsr.backends.device import Device
from latentsr.backends.device_pool import DeviceArray, pools_of
from latentsr.cuda import EncodePlan
from latentsr.errors import ImageError, LatentSRError, StreamError, UsageError
from latentsr.pipeline import device_stream
from latentsr.pipeline.entropy_step import EntropyModel


def drawn(seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, ...]:
    """A latent, many of whose values lie in the middle between two symbols; scales; means."""
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.normal(0, 2, shape)).astype(np.float32)
    means = rng.normal(0, 3, shape).astype(np.float32)
    means[rng.random(shape) < 0.1] = -0.0
    latent = (scales * rng.normal(0, 1, shape)).astype(np.float32)
    halves = rng.random(shape) < 0.3
    latent[halves] = np.floor(latent[halves]) + np.float32(0.5) + means[halves]
    return latent, scales, means


def compare(model: EntropyModel, latent: Any, scales: Any, means: Any) -> bytes:
    """Encode on both; the device's stream must decode, too."""
    given = [None if v is None else np.asarray(v) for v in (latent, scales, means)]
    model.on_gpu = None
    expected = model.encode(*given, CODING)
    start = 0xDEADBEEF
    crc = model.crc(expected[2], start)
    data, *found = on_device(model).encode(latent, scales, means, CODING)
    assert data == expected[0]
    for each, array in zip(found, expected[1:], strict=True):
        assert isinstance(each, DeviceArray)
        assert np.asarray(each).tobytes() == array.tobytes()  # zeros have their sign
    assert model.crc(found[1], start) == crc
    return data


@pytest.mark.parametrize("skip", [0, 20, 64])
@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("resident", [False, True])
def test_gaussian_chunks(device: Device, skip: int, means: bool, resident: bool) -> None:
    model = model_of("gaussian", SHAPE[1], skip)
    given: list[Any] = list(drawn(4))
    given[2] = given[2] if means else None
    if resident:
        given = [None if value is None else pools_of(0).resident(value) for value in given]
    data = compare(model, *given)
    assert (len(data) < 20) == (skip == 64)  # all rows left out
    latent, _ = model.decode(data, SIZE, given[1], given[2], CODING)
    restored = model.encode(*given, CODING)[1]
    np.testing.assert_array_equal(np.asarray(latent), np.asarray(restored))


@pytest.mark.parametrize("channels", [7, 300])
def test_factorized_chunks(device: Device, channels: int) -> None:
    model = model_of("factorized", channels)
    for shape in ((1, channels, 3, 5), (1, channels, 4, 2), (1, channels, 1, 1)):
        compare(model, np.random.default_rng(6).normal(0, 2, shape).astype(np.float32), None, None)


def test_batches_of_latents(device: Device) -> None:
    shape = (3, *SHAPE[1:])
    compare(model_of("gaussian", SHAPE[1], 20), *drawn(5, shape))
    compare(model_of("factorized", SHAPE[1]), drawn(5, shape)[0] % 4, None, None)


def test_a_stream_that_its_room_does_not_hold(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values far beside their tables take several bytes each; the first room is for two."""
    rooms: list[int] = []
    plan = EncodePlan.of

    def of(counts: Any, parts: int, room: int) -> EncodePlan:
        rooms.append(room)
        return plan(counts, parts=parts, room=room)

    monkeypatch.setattr(device_stream.EncodePlan, "of", of)
    shape = (1, 7, 30, 31)
    latent = np.random.default_rng(8).normal(0, 2**27, shape).astype(np.float32)
    data = compare(model_of("gaussian", 7), latent, np.full(shape, 0.2, np.float32), None)
    assert rooms == [1 << 13, 1 << 16] and rooms[1] >= len(data) > 1 << 15
    rooms.clear()
    compare(model_of("gaussian", 7), *drawn(9, shape))
    assert rooms == [1 << 13]


def outcome(model: EntropyModel, *given: Any) -> object:
    """The stream, or the error."""
    try:
        return model.encode(*given, CODING)[0]
    except LatentSRError as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("which", "value", "kind"),
    [(0, np.nan, ImageError), (0, np.inf, ImageError), (0, 1.1e9, ImageError),
     (0, -2.0e9, ImageError), (1, np.nan, StreamError), (2, np.nan, ImageError),
     (1, np.inf, None), (1, -1.0, None)],
)  # fmt: skip
def test_values_that_cannot_be_coded(
    device: Device, which: int, value: float, kind: type[LatentSRError] | None
) -> None:
    model, given = model_of("gaussian", SHAPE[1], 20), drawn(10)
    given[which].reshape(-1)[[500, 123, 124]] = value
    expected = outcome(model, *given)
    assert outcome(on_device(model), *given) == expected
    if kind is None:
        assert isinstance(expected, bytes)
    else:
        assert isinstance(expected, tuple)
        assert expected[0] is kind and "element 123" in expected[1]


def test_of_two_faults_the_processors_is_named(device: Device) -> None:
    model, given = model_of("gaussian", SHAPE[1]), drawn(11)
    given[0].reshape(-1)[700] = given[1].reshape(-1)[3] = np.nan
    expected = outcome(model, *given)
    assert isinstance(expected, tuple) and expected[0] is ImageError
    assert outcome(on_device(model), *given) == expected


def test_rows_that_the_tables_lack(device: Device) -> None:
    """More channels than tables: the coder's own fault, with its words."""
    model = model_of("factorized", 5)
    object.__setattr__(model.chunk, "channels", 7)
    model.medians = np.zeros(7, np.float32)
    latent = np.random.default_rng(2).normal(0, 2, (1, 7, 4, 6)).astype(np.float32)
    expected = outcome(model, latent, None, None)
    assert isinstance(expected, tuple) and expected[0] is UsageError
    assert outcome(on_device(model), latent, None, None) == expected


def test_an_encode_after_a_fault_is_whole(device: Device) -> None:
    model, given = model_of("gaussian", SHAPE[1], 20), drawn(12)
    spoilt = given[0].copy()
    spoilt[0, 0, 0, 0] = np.nan
    with pytest.raises(ImageError):
        on_device(model).encode(spoilt, *given[1:], CODING)
    compare(model, *given)


@pytest.mark.parametrize("late", [0, 1, 2], ids=["latent", "scales", "means"])
def test_values_of_another_threads_stream_are_waited_for(device: Device, late: int) -> None:
    model, given = model_of("gaussian", SHAPE[1], 20), list(drawn(13))
    expected = model.encode(*given, CODING)[0]
    with ThreadPoolExecutor(1) as pool:
        given[late] = pool.submit(pools_of(0).resident, given[late]).result()
    assert on_device(model).encode(*given, CODING)[0] == expected


def test_the_host_waits_once_for_a_stream_of_the_size_that_was_guessed(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more for one whose end is missing; either way the bytes are all there."""
    processor, model = model_of("gaussian", SHAPE[1]), on_device(model_of("gaussian", SHAPE[1]))
    scales = np.full(SHAPE, 0.2, np.float32)
    latents = [drawn(15)[0] * factor for factor in np.float32([0.1, 0.1, 4, 4, 0.1])]
    waited, found = count_waits(monkeypatch), []
    for latent in latents:
        expected = processor.encode(latent, scales, None, CODING)
        before = len(waited)
        data, _, symbols = model.encode(latent, scales, None, CODING)
        assert model.crc(symbols, 7) == processor.crc(expected[2], 7)
        found.append(len(waited) - before)
        assert data == expected[0]
    assert found == [2, 1, 2, 1, 1]


def test_memory_goes_round(device: Device) -> None:
    """Streams of many sizes do not each keep memory of their own."""
    model, rng = on_device(model_of("gaussian", SHAPE[1])), np.random.default_rng(14)
    scales, sizes = np.full(SHAPE, 0.2, np.float32), set()
    for spread in np.linspace(0, 8, 12):
        latent = rng.normal(0, spread, SHAPE).astype(np.float32)
        sizes.add(len(model.encode(latent, scales, None, CODING)[0]))
    assert len(sizes) == 12
    assert sum(len(shelf) for shelf in pools_of(0).blocks.free.values()) <= 14
