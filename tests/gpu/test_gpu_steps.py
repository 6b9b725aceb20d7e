"""Latents, scales and pictures on a device: the bits of the steps on the processor."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from device_arrays import DeviceArrays, with_dtype

from guarded import same_bits
from latentsr import _kernels
from latentsr._kernels import Isa
from latentsr.backends.device import Device
from latentsr.cuda import DecodePlan, steps
from latentsr.cuda.steps import DeviceMeans, DevicePlanes
from latentsr.entropy.latents import LatentSteps, ScaleTable

LATENT = (3, 40, 7, 11)
SAMPLES = pytest.mark.parametrize("size", [4, 2], ids=["float32", "float16"])


def fault_of(arrays: DeviceArrays, address: int) -> int | None:
    found = steps.fault_at(int(arrays.get(address, 1, np.uint64)[0]))
    arrays.check()
    return found


def draw_latent(size: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    latent = rng.normal(0, 30, LATENT)
    halves = rng.random(LATENT) < 0.3
    latent[halves] = np.floor(latent[halves]) + 0.5
    return with_dtype(latent, size)


@SAMPLES
@pytest.mark.parametrize("means", ["none", "channels", "all"])
def test_latents(arrays: DeviceArrays, size: int, means: str) -> None:
    rng = np.random.default_rng(2)
    latent = draw_latent(size)
    shape = {"none": (0,), "channels": LATENT[1:2], "all": LATENT}[means]
    mean = rng.normal(0, 2, shape).astype(np.float32)
    repeat = LATENT[2] * LATENT[3] if means == "channels" else 1
    with_means = DeviceMeans(arrays.put(mean), mean.size, repeat)
    symbols, restored = arrays.room(latent.size * 4), arrays.room(latent.size * 4)
    fault, back = arrays.room(8), arrays.room(latent.size * size)
    steps.symbols_from_latent(
        arrays.put(latent), with_means, symbols, restored, latent.size, fault, size, arrays.stream
    )
    steps.latent_from_symbols(symbols, with_means, back, latent.size, size, arrays.stream)
    assert fault_of(arrays, fault) is None
    plain = LatentSteps(Isa.SCALAR)
    expected = plain.symbols("y", latent.astype(np.float32), mean if mean.size else None)
    assert same_bits(arrays.get(symbols, LATENT, np.int32), expected[0])
    assert same_bits(arrays.get(restored, LATENT, np.float32), expected[1])
    assert same_bits(arrays.get(back, LATENT, latent.dtype), with_dtype(expected[1], size))


@SAMPLES
def test_a_latent_out_of_range(arrays: DeviceArrays, size: int) -> None:
    latent = draw_latent(size).reshape(-1)
    latent[[5000, 77, 78]] = np.nan
    fault, symbols = arrays.room(8), arrays.room(latent.size * 4)
    steps.symbols_from_latent(
        arrays.put(latent), steps.NO_MEANS, symbols, 0, latent.size, fault, size, arrays.stream
    )
    assert fault_of(arrays, fault) == 77


@SAMPLES
@pytest.mark.parametrize("entries", [1, 2, 64, 256])
def test_scales(arrays: DeviceArrays, size: int, entries: int) -> None:
    rng = np.random.default_rng(3)
    table = np.sort(rng.uniform(0.1, 60, entries)).astype(np.float16).astype(np.float32)
    table = np.unique(table)
    scales = with_dtype(rng.choice(np.append(table, rng.normal(20, 20, 50)), 70_001), size)
    prepared = ScaleTable(table)
    out, fault = arrays.room(scales.size), arrays.room(8)
    thresholds = arrays.put(prepared.thresholds)
    arguments = (out, scales.size, thresholds, prepared.thresholds.size, fault, size, arrays.stream)
    steps.scale_indexes(arrays.put(scales), *arguments)
    assert fault_of(arrays, fault) is None
    expected = LatentSteps(Isa.SCALAR).indexes(scales.astype(np.float32), prepared)
    assert same_bits(arrays.get(out, scales.size, np.uint8), expected)
    scales[[60_000, 59_999]] = np.nan
    steps.scale_indexes(arrays.put(scales), *arguments)
    assert fault_of(arrays, fault) == 59_999


@pytest.mark.parametrize("index_bytes", [1, 4])
@pytest.mark.parametrize("skip", [0, 20, 64])
@pytest.mark.parametrize("with_restored", [False, True])
def test_certain_symbols(
    arrays: DeviceArrays, index_bytes: int, skip: int, with_restored: bool
) -> None:
    rng = np.random.default_rng(7)
    rows = rng.integers(0, 64, LATENT).astype(np.uint8 if index_bytes == 1 else np.int32)
    mean = rng.normal(0, 2, LATENT[1]).astype(np.float32)
    mean[:5] = -0.0
    means = DeviceMeans(arrays.put(mean), mean.size, LATENT[2] * LATENT[3])
    expected = LatentSteps(Isa.SCALAR).symbols("y", draw_latent(4), mean)
    symbols, restored = (arrays.put(each) for each in expected)
    steps.clear_certain(
        arrays.put(rows), skip, means, symbols, restored if with_restored else 0, rows.size,
        index_bytes, arrays.stream,
    )  # fmt: skip
    found = arrays.get(symbols, LATENT, np.int32), arrays.get(restored, LATENT, np.float32)
    arrays.check()
    expected[0][rows < skip] = 0
    assert same_bits(found[0], expected[0])
    if with_restored:
        assert same_bits(found[1], LatentSteps(Isa.SCALAR).latent(expected[0], mean))
    else:
        assert same_bits(found[1], expected[1])


def test_crcs_go_on_from_chunk_to_chunk(arrays: DeviceArrays) -> None:
    rng = np.random.default_rng(6)
    counts = [0, 1, 70_000, 16_385]
    plan = DecodePlan.of([b""] * 4, counts)
    symbols = rng.integers(-(2**31), 2**31, plan.symbols).astype(np.int32)
    crcs, at = arrays.room(16), arrays.put(symbols)
    streams = arrays.put(plan.streams)
    steps.crc_of_symbols(at, streams, 4, crcs, stream=arrays.stream)
    expected = [zlib.crc32(one.tobytes()) for one in np.split(symbols, np.cumsum(counts)[:-1])]
    np.testing.assert_array_equal(arrays.get(crcs, 4, np.uint32), np.array(expected, np.uint32))
    steps.crc_of_symbols(at, streams, 4, crcs, crcs, arrays.stream)
    again = [
        zlib.crc32(symbols[s : s + n].tobytes(), crc)
        for s, n, crc in zip(np.cumsum([0, *counts[:-1]]), counts, expected, strict=True)
    ]
    np.testing.assert_array_equal(arrays.get(crcs, 4, np.uint32), np.array(again, np.uint32))
    arrays.check()


def test_crcs_of_parts_are_put_together(device: Device) -> None:
    """Up to 2^33 bytes, which the start has to be carried over."""
    rng = np.random.default_rng(7)
    before = rng.integers(0, 256, 37).astype(np.uint8).tobytes()
    for count in (0, 1, 2, 3, 1000, 65_537):
        own = rng.integers(0, 256, 4 * count).astype(np.uint8).tobytes()
        found = steps.combine_crcs(zlib.crc32(before), zlib.crc32(own), count)
        assert found == zlib.crc32(before + own)
    latents, symbols = LatentSteps(), rng.integers(-9, 9, 1 << 18).astype(np.int32)
    own, whole = 0, zlib.crc32(before)
    for times in range(1, (1 << 13) + 1):
        own, whole = latents.crc(symbols, own), latents.crc(symbols, whole)
        if times in (1 << 12, (1 << 12) + 1, 1 << 13):
            found = steps.combine_crcs(zlib.crc32(before), own, times * symbols.size)
            assert found == whole
    assert times * symbols.nbytes == 1 << 33


@SAMPLES
def test_pictures_from_a_window(arrays: DeviceArrays, size: int) -> None:
    rng = np.random.default_rng(4)
    planes = with_dtype(rng.normal(0.5, 0.4, (2, 3, 50, 64)), size)
    window = planes[:, :, 3:40, 5:62]
    inner = (3 * 64 + 5) * size
    strides = (3 * 50 * 64, 50 * 64, 64)
    out, fault = arrays.room(2 * 37 * 57 * 3), arrays.room(8)
    for expected_fault in (None, 37 * 57 + 57 + 2):
        if expected_fault is not None:
            planes[1, 2, 4, 7] = np.inf  # row 1, column 2 of the second window
        address = arrays.put(planes) + inner
        window_of = DevicePlanes(address, 2, 37, 57, strides, size)
        steps.picture_from_planes(window_of, out, fault, arrays.stream)
        assert fault_of(arrays, fault) == expected_fault
        if expected_fault is None:
            expected = np.empty((37, 57, 3), np.uint8)
            found = arrays.get(out, (2, 37, 57, 3), np.uint8)
            for i in range(2):
                _kernels.picture_from_planes(
                    np.ascontiguousarray(window[i], np.float32), expected, Isa.SCALAR
                )
                assert same_bits(found[i], expected)


@SAMPLES
def test_planes_from_pictures(arrays: DeviceArrays, size: int) -> None:
    pictures = np.random.default_rng(5).integers(0, 256, (2, 37, 57, 3)).astype(np.uint8)
    out = arrays.room(2 * 3 * 64 * 64 * size)
    planes = DevicePlanes.dense(out, 2, 64, 64, size)
    steps.planes_from_picture(arrays.put(pictures), 37, 57, planes, 9, 2, arrays.stream)
    found = arrays.get(out, (2, 3, 64, 64), np.float32 if size == 4 else np.float16)
    arrays.check()
    for i in range(2):
        expected = np.empty((3, 64, 64), np.float32)
        _kernels.planes_from_picture(pictures[i], expected, 9, 2, Isa.SCALAR)
        assert same_bits(found[i], with_dtype(expected, size))


@SAMPLES
def test_conversions(arrays: DeviceArrays, size: int) -> None:
    """Values of all sizes, and beside the middle between two halves."""
    bits = np.random.default_rng(9).integers(0, 1 << 32, 200_003, np.uint32)
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    wide = halves.astype(np.float32)
    with np.errstate(all="ignore"):
        middle = (wide[:-1] + wide[1:]) / 2
        around = [np.nextafter(middle, np.float32(to)) for to in (-np.inf, np.inf)]
        samples = np.concatenate([bits.view(np.float32), middle, *around])
        given = samples if size == 4 else halves
        expected = given.astype(np.float16 if size == 4 else np.float32)
    out = arrays.room(expected.nbytes)
    steps.convert_samples(arrays.put(given), out, given.size, size, arrays.stream)
    found = arrays.get(out, expected.shape, expected.dtype)
    arrays.check()
    numbers = ~np.isnan(expected)
    assert np.isnan(found[~numbers]).all()
    assert same_bits(found[numbers], expected[numbers])


@SAMPLES
def test_limits(arrays: DeviceArrays, size: int) -> None:
    samples = with_dtype(np.random.default_rng(8).normal(0.5, 1, (3, 11, 13)), size)
    samples[0, 0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    given, out = arrays.put(samples), arrays.room(samples.nbytes)
    for to in (out, given):
        steps.limit_samples(given, to, samples.size, size, arrays.stream)
        found = arrays.get(to, samples.shape, samples.dtype)
        arrays.check()
        np.testing.assert_array_equal(found, np.clip(samples, 0.0, 1.0))
