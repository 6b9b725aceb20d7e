"""The reference of context models against the definition, symbol by symbol, and its own checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from context_bundle import TAPS, random_context, thresholds
from latentsr.entropy.context_tensors import ContextTensors
from latentsr.entropy.reference_context import Latent, decode, encode, fronts

LIMITS = thresholds()


def features(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return rng.integers(-3000, 3000, shape).astype(np.float32)


def requantised(acc: int, shift: int, top: int) -> int:
    assert acc >= -(1 << 31) and acc + (1 << (shift - 1)) < 1 << 31
    return min(max((acc + (1 << (shift - 1))) >> shift, -top), top)


def position(
    model: ContextTensors, seen: NDArray[np.int64], f: NDArray[np.float32], h: int, w: int
) -> list[int]:
    """Outputs of the last layer for one position, as the definition says, with Python's integers.

    seen: (M, H, W), clamped inputs of all positions decoded before; others hold 0.
    """
    _, high, wide = seen.shape
    x = []
    for dy, dx in model.taps.tolist():
        inside = 0 <= h + dy < high and 0 <= w + dx < wide
        x += seen[:, h + dy, w + dx].tolist() if inside else [0] * len(seen)
    for k, weight in enumerate(model.weights):
        made = []
        for o, row in enumerate(weight.reshape(len(weight), -1).tolist()):
            bias = model.biases[k]
            if bias is None:
                given = min(max(int(f[o, h, w]), -model.feature_top), model.feature_top)
                acc = given << int(model.lift[o])
            else:
                acc = int(bias[o])
            acc += sum(a * b for a, b in zip(row, x, strict=True))
            r = requantised(acc, int(model.shifts[k][o]), [*model.tops, 1 << 20][k])
            if 0 < k < model.last and r < 0:
                r = (r * model.slope + (1 << 15)) >> 16
            made.append(r)
        x = made
    return x


def test_each_position_is_what_the_definition_says() -> None:
    rng = np.random.default_rng(3)
    model, f = random_context(rng, 3, (4, 5, 6)), features(rng, (5, 4, 6))
    y = rng.normal(0, 4, (3, 4, 6)).astype(np.float32)
    latent = Latent.empty(model, LIMITS[:-1], f)
    symbols, indexes = encode(latent, y)
    seen = np.zeros((3, 4, 6), np.int64)
    # Raster order here, fronts there: the order must not matter.
    rows = np.zeros((3, 4, 6), int)
    for h in range(4):
        for w in range(6):
            made = position(model, seen, f, h, w)
            for m in range(3):
                mean = np.float32(made[3 + m]) * np.float32(1 / 64)
                symbol = int(np.rint(y[m, h, w] - mean))
                assert symbol == latent.symbols[m, h, w]
                assert latent.restored()[m, h, w] == np.float32(symbol) + mean
                rows[m, h, w] = sum(int(max(made[m], 0)) > t for t in LIMITS[:-1])
                seen[m, h, w] = min(max((symbol << 6) + made[3 + m], -4095), 4095)
    order = sorted((w + 3 * h, h, w) for h in range(4) for w in range(6))
    assert symbols.tolist() == [s for _, h, w in order for s in latent.symbols[:, h, w]]
    assert indexes.tolist() == [r for _, h, w in order for r in rows[:, h, w]]
    assert len(set(indexes.tolist())) > 5


@pytest.mark.parametrize(
    ("taps", "slope"),
    [
        (TAPS, 3),
        ([(-1, 0)], 1),
        ([(0, -1)], 0),
        ([(-1, 1)], 2),
        ([(-2, 1)], 1),
        ([(-2, 4), (-1, -1)], 3),
        ([(-1, -3)], 0),
    ],
)
def test_no_tap_reaches_its_own_front(taps: list[tuple[int, int]], slope: int) -> None:
    array = np.array(taps, np.int32)
    listed = [list(zip(h.tolist(), w.tolist(), strict=True)) for h, w in fronts(array, 5, 7)]
    number = {place: i for i, front in enumerate(listed) for place in front}
    assert sorted(number) == [(h, w) for h in range(5) for w in range(7)]
    for (h, w), front in number.items():
        for dy, dx in taps:
            assert number.get((h + dy, w + dx), -1) < front
    for front in listed:
        assert front == sorted(front)
        assert len({w + slope * h for h, w in front}) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 8)])
def test_decoding_gives_the_latent_back(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(8)
    model, f = random_context(rng, 5), features(rng, (14, *size))
    written = Latent.empty(model, LIMITS[:-1], f)
    symbols, indexes = encode(written, rng.normal(0, 9, (5, *size)).astype(np.float32))
    read = Latent.empty(model, LIMITS[:-1], f)
    place = 0

    def next_symbols(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        nonlocal place
        assert np.array_equal(rows, indexes[place : place + rows.size])
        place += rows.size
        return symbols[place - rows.size : place].astype(np.int64)

    decode(read, next_symbols)
    assert place == symbols.size
    assert np.array_equal(read.symbols, written.symbols)
    assert np.array_equal(read.restored(), written.restored())


def test_sums_beyond_32_bits_are_noticed() -> None:
    rng = np.random.default_rng(1)
    model, f = random_context(rng, 3), features(rng, (14, 3, 3))
    y = rng.normal(0, 99, (3, 3, 3)).astype(np.float32)
    bias = model.biases[2]
    assert bias is not None
    large = np.full_like(bias, np.iinfo(np.int32).max)
    broken = replace(model, biases=(*model.biases[:2], large, *model.biases[3:]))
    with pytest.raises(AssertionError, match="leaves 32 bits"):
        encode(Latent.empty(broken, LIMITS[:-1], f), y)
    with pytest.raises(AssertionError, match="must be integers"):
        Latent.empty(model, LIMITS[:-1], f + np.float32(0.5))
