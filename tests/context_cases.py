"""Seeded context models on integers, and what they must compute, one position after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels

THRESHOLDS = np.rint(1024 * np.exp(np.linspace(np.log(0.11), np.log(256), 64))).astype(np.float32)
SUM_LIMIT = 2**31


def taps_of(height: int, width: int) -> NDArray[np.int32]:
    """What comes before the middle of a window in raster order; even sizes lie up and left."""
    up, left, right = height // 2, width // 2, (width - 1) // 2
    rows = [(dy, dx) for dy in range(-up, 1) for dx in range(-left, right + 1)]
    return np.array([tap for tap in rows if tap < (0, 0)], np.int32)


@dataclass
class Model:
    taps: NDArray[np.int32]
    settings: NDArray[np.int32]
    weights: list[NDArray[np.int16]]
    biases: list[NDArray[np.int32]]
    shifts: list[NDArray[np.uint8]]
    lift: NDArray[np.uint8]

    def kernel(self) -> _kernels.ContextModel:
        return _kernels.ContextModel(
            self.taps, self.settings, self.weights, self.biases, self.shifts, self.lift, THRESHOLDS
        )

    @property
    def channels(self) -> int:
        return self.weights[0].shape[2]

    def bias(self, layer: int) -> NDArray[np.int64]:
        return self.biases[max(layer - 1, 0)].astype(np.int64)


def random_row(rng: np.random.Generator, inputs: int, room: int, one_sign: bool) -> np.ndarray:
    """Weights whose magnitudes add up to `room` at most, and nearly to it."""
    raw = rng.normal(size=inputs) * rng.exponential(size=inputs)
    raw = np.abs(raw) if one_sign else raw
    row = np.trunc(raw * (room / max(np.abs(raw).sum(), 1e-9))).clip(-32768, 32767)
    spare = int(room - np.abs(row).sum())
    row[0] += min(max(spare, 0), 32767 - int(abs(row[0]))) * (1 if row[0] >= 0 else -1)
    return row.astype(np.int16)


def random_model(
    rng: np.random.Generator,
    taps: NDArray[np.int32],
    channels: list[int],
    tops: list[int],
    one_sign: bool = False,
    mean_bits: int = 6,
    slope: int = 655,
) -> Model:
    """M and the outputs of layers 0 .. L - 1; largest magnitudes of inputs, features and layers.

    Sums come to the bound or near it for inputs of the largest magnitude.
    """
    m, outputs = channels[0], [*channels[1:], 2 * channels[0]]
    inputs = [len(taps) * m, *channels[1:]]
    input_tops = [tops[0], *tops[2:]]
    weights, biases, shifts = [], [], []
    lift = rng.integers(0, 1 + int(np.log2(2**29 / max(tops[1], 1))), outputs[1]).astype(np.uint8)
    for k, (count, fan_in, top) in enumerate(zip(outputs, inputs, input_tops, strict=True)):
        last = k + 1 == len(outputs)
        result = 2**17 if last else tops[2 + k]
        bias = rng.integers(-(2**29), 2**29, count)
        added = tops[1] * 2 ** lift.astype(np.int64) if k == 1 else np.abs(bias)
        # A random sum is about 2^31 / sqrt(inputs).
        usual = 31 - np.log2(fan_in) / 2 - np.log2(result)
        shift = np.clip(rng.integers(-1, 4, count) + int(usual), 1, 30).astype(np.uint8)
        room = (SUM_LIMIT - 1 - added - (1 << (shift.astype(np.int64) - 1))) // top
        rows = [random_row(rng, fan_in, int(most), one_sign) for most in room]
        weights.append(np.array(rows).reshape((count, len(taps), m) if k == 0 else (count, fan_in)))
        shifts.append(shift)
        if k != 1:
            biases.append(bias.astype(np.int32))
    settings = np.array([mean_bits, slope, *tops], np.int32)
    return Model(taps, settings, weights, biases, shifts, lift)


def small_model(rng: np.random.Generator) -> Model:
    """A model of three channels over three taps."""
    taps = np.array([(-1, 0), (0, -1), (-1, 1)], np.int32)
    return random_model(rng, taps, [3, 6, 7, 5], [500, 2**18, 900, 1000, 1100])


def requantised(sums: NDArray[np.int64], shift: NDArray[np.uint8], top: int) -> NDArray[np.int64]:
    rounded = sums + (1 << (shift.astype(np.int64) - 1))
    assert np.abs(rounded).max() < SUM_LIMIT
    return np.clip(rounded >> shift, -top, top)


def layers(model: Model, x: NDArray[np.int64], features: NDArray[np.int64]) -> NDArray[np.int64]:
    """Scales and means of one position, (2 M,), from its inputs and features."""
    last = len(model.weights) - 1
    _, slope, _, feature_top, *tops = (int(value) for value in model.settings)
    for k, weight in enumerate(model.weights):
        # Integers in float64, whose sums are exact below 2^53.
        sums = (weight.reshape(len(weight), -1) @ x.astype(np.float64)).astype(np.int64)
        if k == 1:
            lifted = np.clip(features, -feature_top, feature_top) << model.lift.astype(np.int64)
            sums += lifted
        else:
            sums += model.bias(k)
        x = requantised(sums, model.shifts[k], 2**20 if k == last else tops[k])
        if 0 < k < last:
            x = np.where(x < 0, (x * slope + 2**15) >> 16, x)
    return x


@dataclass
class Coded:
    symbols: NDArray[np.int32]  # (M, H, W), as the others
    values: NDArray[np.float32]
    indexes: NDArray[np.uint8]


def reference(model: Model, features: NDArray[np.float32], y: NDArray[np.float32]) -> Coded:
    """Encode in raster order, which asks for nothing that the wavefront does not have."""
    bits, _, input_top = (int(value) for value in model.settings[:3])
    given = np.clip(features, -(2**21), 2**21).astype(np.int64)
    m, height, width = y.shape
    seen = np.zeros((height, width, m), np.int64)
    coded = Coded(
        np.zeros(y.shape, np.int32), np.zeros(y.shape, np.float32), np.zeros(y.shape, np.uint8)
    )
    float_model = Model(
        model.taps, model.settings, [w.astype(np.float64) for w in model.weights], model.biases,
        model.shifts, model.lift,
    )  # fmt: skip
    for h in range(height):
        for w in range(width):
            around = [(h + dy, w + dx) for dy, dx in model.taps]
            x = [
                seen[at] if at[0] >= 0 and 0 <= at[1] < width else np.zeros(m, np.int64)
                for at in around
            ]
            results = layers(float_model, np.concatenate(x), given[:, h, w])
            scales, means = results[:m], results[m:]
            mean = means.astype(np.float32) * np.float32(2.0**-bits)
            symbols = np.rint(y[:, h, w] - mean).astype(np.int64)
            seen[h, w] = np.clip((symbols << bits) + means, -input_top, input_top)
            coded.symbols[:, h, w] = symbols
            coded.values[:, h, w] = symbols.astype(np.float32) + mean
            coded.indexes[:, h, w] = np.searchsorted(THRESHOLDS[:-1], np.maximum(scales, 0), "left")
    return coded


def scan(taps: NDArray[np.int32], array: NDArray) -> NDArray:
    """Numbers of (M, H, W) in the order of coding."""
    _, height, width = array.shape
    slope = 0
    while any(dx >= slope * -dy for dy, dx in taps if dy < 0):
        slope += 1
    places = sorted(
        ((w + slope * h, h, w) for h in range(height) for w in range(width)),
    )
    rows = [array[:, h, w] for _, h, w in places]
    return np.concatenate(rows) if rows else array.reshape(-1)
