"""Context models on a device: the symbols, latents and errors of the processor's."""

from __future__ import annotations

import numpy as np
import pytest
from device_arrays import DeviceArrays
from numpy.typing import NDArray

import entropy_cases
from context_bundle import random_context, thresholds
from latentsr.cuda import ContextArrays, DeviceCoder, DeviceContext
from latentsr.cuda.batch import RESULT
from latentsr.entropy import Coder
from latentsr.entropy.context import ContextCoder
from latentsr.entropy.context_tensors import ContextTensors

SIZES = [(1, 1), (5, 9), (2, 40), (17, 3)]
OK = 0


class Sides:
    """One model on the processor and on the device."""

    def __init__(self, arrays: DeviceArrays, tensors: ContextTensors) -> None:
        tables = entropy_cases.gaussian_tables()
        limits = thresholds(tables.rows)
        self.arrays, self.channels = arrays, tensors.channels
        self.plain = ContextCoder(tensors, limits, Coder(tables))
        self.coder, self.device = DeviceCoder(tables), DeviceContext(tensors, limits)
        self.tables, self.model = arrays.put(self.coder.packed), arrays.put(self.device.packed)

    def rooms(self, features: NDArray[np.float32]) -> ContextArrays:
        height, width = features.shape[1:]
        samples = self.channels * height * width
        return ContextArrays(
            model=self.model,
            features=self.arrays.put(features),
            scratch=self.arrays.room(self.device.scratch(height, width), scratch=True),
            symbols=self.arrays.room(4 * samples),
            latent=self.arrays.room(4 * samples),
            result=self.arrays.room(RESULT.itemsize),
        )

    def found(self, at: ContextArrays, size: tuple[int, int]) -> tuple[int, NDArray, NDArray]:
        """Status, latent, symbols."""
        shape = (self.channels, *size)
        result = self.arrays.get(at.result, (1,), RESULT)[0]
        latent = self.arrays.get(at.latent, shape, np.float32)
        symbols = self.arrays.get(at.symbols, shape, np.int32)
        self.arrays.check()
        return int(result["status"]), latent, symbols

    def decode(self, features: NDArray[np.float32], data: bytes) -> tuple[int, NDArray, NDArray]:
        size = features.shape[1], features.shape[2]
        at = self.rooms(features)
        place = self.arrays.put(np.frombuffer(data, np.uint8), shift=1)
        self.device.decode(
            self.coder, self.tables, size, (place, len(data)), at, self.arrays.stream
        )
        return self.found(at, size)


def drawn(sides: Sides, size: tuple[int, int], seed: int) -> tuple[NDArray, NDArray]:
    """Features and a latent, with some values far out, which the coder lets escape."""
    rng = np.random.default_rng(seed)
    features = rng.integers(-3000, 3000, (sides.plain.features, *size)).astype(np.float32)
    y = rng.normal(0, 4, (sides.channels, *size))
    y += (rng.random(y.shape) < 0.01) * rng.normal(0, 2.0**20, y.shape)
    return features, y.astype(np.float32)


@pytest.fixture(params=[(3, (10, 14, 12)), (24, (48, 40)), (1, (1, 9, 33, 2))])
def sides(request: pytest.FixtureRequest, arrays: DeviceArrays) -> Sides:
    channels, widths = request.param
    return Sides(arrays, random_context(np.random.default_rng(channels), channels, widths))


@pytest.mark.parametrize("size", SIZES)
def test_latents_both_ways(sides: Sides, size: tuple[int, int]) -> None:
    features, y = drawn(sides, size, 1)
    expected = sides.plain.quantise(features, y)
    at, put = sides.rooms(features), sides.arrays.put(y)
    scan = sides.arrays.room(4 * y.size), sides.arrays.room(y.size)
    sides.device.encode(size, put, scan, at, sides.arrays.stream)
    status, latent, symbols = sides.found(at, size)
    assert status == OK
    np.testing.assert_array_equal(symbols, expected.symbols)
    assert latent.tobytes() == expected.latent.tobytes()
    for address, array in zip(scan, (expected.scan_symbols, expected.scan_indexes), strict=True):
        np.testing.assert_array_equal(sides.arrays.get(address, array.shape, array.dtype), array)
    data, _, _ = sides.plain.encode(features, y)
    status, latent, symbols = sides.decode(features, data)
    assert status == OK
    np.testing.assert_array_equal(symbols, expected.symbols)
    assert latent.tobytes() == expected.latent.tobytes()


def test_streams_cut_off_anywhere(sides: Sides) -> None:
    features, y = drawn(sides, (4, 6), 2)
    data, _, _ = sides.plain.encode(features, y)
    for size in range(0, len(data), max(1, len(data) // 8)):
        status, _, symbols = sides.decode(features, data[:size])
        assert status != OK and not symbols.any()


def test_taps_that_are_not_next_to_each_other(arrays: DeviceArrays) -> None:
    taps = [(-3, 2), (-1, -1), (-1, 1), (0, -2)]
    sides = Sides(arrays, random_context(np.random.default_rng(9), 5, (7, 9), taps))
    features, y = drawn(sides, (6, 11), 3)
    data, expected, _ = sides.plain.encode(features, y)
    status, latent, _ = sides.decode(features, data)
    assert status == OK and latent.tobytes() == expected.tobytes()
