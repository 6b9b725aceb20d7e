"""Context models in float32: the plain reference, other writers' table rows, hostile input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from damage import flipped, spliced, truncated
from entropy_cases import gaussian_tables
from float_context_case import SCALES, TAPS, Case
from guarded import same_bits
from latentsr.entropy import isa
from latentsr.entropy.evidence import Classes, Evidence
from latentsr.entropy.float_context import FloatContext
from latentsr.errors import CorruptStream, DesyncError

ROUNDS = 300


def dense(start: np.ndarray, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """start + weight x in float32, in chains of 32 columns."""
    for first in range(0, x.size, 32):
        chain = np.zeros_like(start)
        for k in range(first, min(first + 32, x.size)):
            chain = chain + weight[:, k] * x[k]
        start = start + chain
    return start


def plain_latent(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and latent as the header kernels/include/latentsr/context_float.h defines them."""
    symbols, latent = np.zeros_like(case.y, np.int32), np.zeros_like(case.y)
    w0, w1, *rest = case.weights
    left = [t for t, tap in enumerate(case.taps) if tap[0] == 0]
    above = [t for t, tap in enumerate(case.taps) if tap[0] < 0]
    above.sort(key=lambda t: case.taps[t][0])
    folded = {}
    for t in left:
        total = np.zeros((w1.shape[0], case.channels))
        for k in range(w1.shape[1]):
            total += w1[:, k : k + 1].astype(np.float64) * w0[k, t].astype(np.float64)
        folded[t] = total.astype(np.float32)

    def at(h: int, w: int, t: int) -> np.ndarray:
        row, column = h + case.taps[t][0], w + case.taps[t][1]
        inside = row >= 0 and 0 <= column < case.width
        return latent[:, row, column] if inside else np.zeros(case.channels, np.float32)

    for h in range(case.height):
        for w in range(case.width):
            context = case.biases[0]
            for t in above:
                context = dense(context, w0[:, t], at(h, w, t))
            a = dense(case.features[:, h, w], w1, context)
            for t in left:
                a = dense(a, folded[t], at(h, w, t))
            for weight, bias in zip(rest, case.biases[1:], strict=True):
                a = dense(bias, weight, np.maximum(a, a * np.float32(0.01)))
            mean = a[case.channels :]
            symbols[:, h, w] = np.rint(case.y[:, h, w] - mean).astype(np.int32)
            latent[:, h, w] = symbols[:, h, w].astype(np.float32) + mean
    return symbols, latent


CASES = [
    Case(5, (7, 9, 6), 4, 6, TAPS),
    Case(24, (48, 80, 64), 5, 9, TAPS),
    Case(70, (66, 130, 65), 3, 5, TAPS),
    Case(6, (12, 20, 16), 6, 1, TAPS),
    Case(3, (4, 5, 6), 3, 7, np.array([(0, -1), (-1, 0), (-3, 4), (0, -3)], np.int32)),
    Case(4, (4, 5, 6), 3, 3, np.array([(-1, -1)], np.int32)),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", isa.supported())
def test_agrees_with_the_plain_reference(case: Case, name: str) -> None:
    model = case.model(name)
    symbols, latent = plain_latent(case)
    data, written = model.encode(case.features, case.y)
    assert np.array_equal(written.symbols, symbols) and same_bits(written.latent, latent)
    read = model.decode(data, case.features)
    assert np.array_equal(read.symbols, symbols) and same_bits(read.latent, latent)
    assert read.repair.changed == read.repair.tries == 0


def elsewhere(case: Case, amount: float, seed: int) -> FloatContext:
    """The model with scales that are off by up to the relative amount, as on another device."""
    noise = np.random.default_rng(seed).uniform(-amount, amount, case.channels)
    bias = case.biases[-1].copy()
    bias[: case.channels] *= (1 + noise).astype(np.float32)
    return case.model(biases=[*case.biases[:-1], bias])


def test_other_writers_indexes_are_found() -> None:
    changed = []
    for seed in range(16):
        case = Case(24, (48, 80, 64), 40, 48, TAPS, seed)
        data, written = elsewhere(case, 6e-6, seed).encode(case.features, case.y)
        read = case.model().decode(data, case.features)
        assert np.array_equal(read.symbols, written.symbols)
        assert same_bits(read.latent, written.latent)
        assert (read.repair.tries > 0) == (read.repair.changed > 0)
        assert read.repair.changed <= read.repair.tries
        changed.append(read.repair.changed)
    assert sum(changed) >= 5 and max(changed) >= 2  # else this tests nothing


def test_evidence_tells_a_picture_from_noise() -> None:
    """Scales 1.2 times too small: a hundred positions leave no doubt of which is which."""
    rng = np.random.default_rng(1)
    tables = gaussian_tables()
    channels = 50
    rows = rng.integers(10, 40, 400 * channels).astype(np.uint8)
    picture = np.rint(rng.normal(0, 1.2 * SCALES[rows])).astype(np.int32)
    noise = np.rint(rng.normal(0, SCALES[rows])).astype(np.int32)
    learned = Evidence(Classes(tables), picture[: 200 * channels], rows[: 200 * channels])
    later = slice(300 * channels, None)
    assert learned.positions(picture[later], rows[later], channels).sum() > 10
    assert learned.positions(noise[later], rows[later], channels).sum() < -10
    nothing = Evidence(Classes(tables), picture[:0], rows[:0])
    assert np.allclose(nothing.positions(picture, rows, channels), 0)


def test_what_cannot_be_mended_is_an_error() -> None:
    case = Case(24, (48, 80, 64), 12, 16, TAPS)
    data, _ = elsewhere(case, 1e-2, 1).encode(case.features, case.y)
    with pytest.raises(CorruptStream):
        case.model().decode(data, case.features, seconds=0.2)
    doubtful = Case(24, (48, 80, 64), 12, 16, TAPS)
    doubtful.weights[-1][:] = 0
    doubtful.biases[-1][:24] = SCALES[20]
    data, _ = doubtful.model().encode(doubtful.features, doubtful.y)
    assert doubtful.model().decode(data, doubtful.features).repair.doubtful == doubtful.y.size
    with pytest.raises(DesyncError, match="doubtful"):
        doubtful.model().decode(data[:-8] + data[-4:] + data[-8:-4], doubtful.features, 0.2)


@pytest.mark.parametrize("damage", [truncated, flipped, spliced])
def test_damage_never_escapes(damage: Any) -> None:
    rng = np.random.default_rng(5)
    streams = [(case, case.model().encode(case.features, case.y)[0]) for case in CASES]
    for turn in range(ROUNDS):
        case, stream = streams[turn % len(streams)]
        data = damage(rng, stream, streams[rng.integers(0, len(streams))][1])
        try:
            read = case.model().decode(data, case.features, seconds=0.01)
        except CorruptStream:
            continue
        assert read.symbols.shape == case.y.shape
        if not read.repair.changed:
            assert case.coder.encode(*rows_of(case, read.symbols), form="compressai") == data


def rows_of(case: Case, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symbols in raster order, and their rows: those that writing their latent gives."""
    model = case.model()
    count = symbols.size
    out = np.empty(count, np.int32), np.empty(count, np.uint8), np.empty(count, np.float32)
    features = np.ascontiguousarray(case.features.transpose(1, 2, 0))
    # A latent that rounds to these symbols: each mean is known once those before are right.
    y = np.zeros((case.height, case.width, case.channels), np.float32)
    wanted = symbols.transpose(1, 2, 0)
    for h in range(case.height):
        for w in range(case.width):
            model._native.encode(features, y.reshape(-1), *out, model._isa)
            mean = out[2].reshape(y.shape)[h, w] - out[0].reshape(y.shape)[h, w]
            y[h, w] = wanted[h, w] + mean
    model._native.encode(features, y.reshape(-1), *out, model._isa)
    return out[0], out[1]
