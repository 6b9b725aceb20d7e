"""Latents and symbols, on every instruction set, are those of the NumPy expressions."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from guarded import EXTREMES, TINY, Guarded, same_bits, shifted
from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.entropy import LatentSteps, ScaleTable, isa, scale_indexes
from latentsr.errors import BundleError, ImageError, StreamError, UsageError

ISAS = [isa.NAMES[name] for name in isa.supported()]
LIMIT = np.float32(2.0**30)
BEYOND = np.nextafter(LIMIT, np.float32(np.inf))
MEANS = ("none", "each", "channel")


def plain_symbols(latent: NDArray, mean: NDArray | None) -> NDArray:
    return np.rint(latent if mean is None else latent - mean).astype(np.int32)


def plain_latent(symbols: NDArray, mean: NDArray | None) -> NDArray:
    latent = symbols.astype(np.float32)
    return latent if mean is None else latent + mean


def mean_of(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray | None:
    if kind == "none":
        return None
    size = shape if kind == "each" else shape[1:2]
    means = rng.normal(0, 3, size).astype(np.float32)
    return np.where(rng.random(size) < 0.3, np.rint(2 * means) / 2, means).astype(np.float32)


def latent_of(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    """Ordinary values, half-way cases, values where float32 runs out of fractions, and ends."""
    special = np.concatenate([
        [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, -0.49999997, 0.0, -0.0, TINY, -TINY],
        [2.0**22 + 0.5, 2.0**22 + 1.5, -(2.0**22) - 0.5, 2.0**23 - 0.5, 2.0**23 - 1.5],
        [-(2.0**23) + 0.5, 2.0**23, 2.0**23 + 1, 2.0**24 + 2, 2.0**29 + 64, -(2.0**29)],
    ])  # fmt: skip
    values = rng.normal(0, 10, shape)
    halves = rng.integers(-50, 50, shape) + 0.5
    choice = rng.random(shape)
    values = np.where(choice < 0.3, halves, values)
    return np.where(choice > 0.8, rng.choice(special, shape), values).astype(np.float32)


def channelwise(mean: NDArray | None, shape: tuple[int, ...]) -> NDArray | None:
    """The mean as NumPy spreads it."""
    return mean if mean is None or mean.shape == shape else mean.reshape(1, -1, 1, 1)


def shapes(rng: np.random.Generator) -> list[tuple[int, ...]]:
    sides = rng.integers(1, 9, (4, 2)).tolist()
    some = [(1, int(rng.integers(1, 6)), h, w) for h, w in sides]
    return [*some, (1, 3, 1, 1), (2, 2, 3, 5), (1, 2, 0, 4), (1, 1, 17, 31), (1, 5, 16, 16)]


@pytest.mark.parametrize("seed", range(40))
def test_symbols_and_latents_are_those_of_numpy(seed: int) -> None:
    """27 cases a seed, each on every instruction set."""
    rng = np.random.default_rng(seed)
    for shape in shapes(rng):
        for kind in MEANS:
            latent, mean = latent_of(rng, shape), mean_of(rng, kind, shape)
            spread = channelwise(mean, shape)
            symbols = plain_symbols(latent, spread)
            restored = plain_latent(symbols, spread)
            for each in ISAS:
                steps = LatentSteps(each)
                found = steps.symbols("y", latent, mean)
                assert same_bits(found[0], symbols), (each, shape, kind)
                assert same_bits(found[1], restored), (each, shape, kind)
                assert same_bits(steps.latent(symbols, mean), restored), (each, shape, kind)


@pytest.mark.parametrize("each", ISAS)
def test_every_length_within_its_bounds(each: Isa) -> None:
    rng = np.random.default_rng(1)
    for count in (*range(71), 257, 4099):
        latent = shifted(latent_of(rng, (count,)), count % 5)
        for mean, repeat in (
            (None, 1),
            (shifted(mean_of(rng, "each", (count,)), count % 3), 1),
            (np.float32([1.25]), max(count, 1)),
        ):
            symbols, restored = Guarded(count, np.int32), Guarded(count, np.float32)
            again, alone = Guarded(count, np.float32), Guarded(count, np.int32)
            outcome = _kernels.symbols_from_latent(
                latent, mean, repeat, symbols.array, restored.array, each
            )
            assert outcome == (Status.OK, 0, 0)
            assert same_bits(symbols.check(), plain_symbols(latent, mean))
            assert same_bits(restored.check(), plain_latent(symbols.array, mean))
            _kernels.latent_from_symbols(symbols.array, mean, repeat, again.array, each)
            assert same_bits(again.check(), restored.array)
            _kernels.symbols_from_latent(latent, mean, repeat, alone.array, None, each)
            assert same_bits(alone.check(), symbols.array)


@pytest.mark.parametrize("each", ISAS)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf, BEYOND, -BEYOND, 3.4e38])
def test_the_first_value_out_of_range_is_found(each: Isa, bad: float) -> None:
    for count in (1, 7, 8, 9, 16, 33, 70):
        for position in range(count):
            latent = np.where(np.arange(count) % 2, LIMIT, -LIMIT)  # as far as it goes
            latent[position] = bad
            latent[position + 1 :: 3] = np.nan
            symbols, restored = Guarded(count, np.int32), Guarded(count, np.float32)
            outcome = _kernels.symbols_from_latent(
                latent, None, 1, symbols.array, restored.array, each
            )
            assert outcome == (Status.OUT_OF_RANGE, position, 0)
            symbols.check()
            restored.check()


@pytest.mark.parametrize("each", ISAS)
def test_out_of_range_counts_from_the_start_of_all_channels(each: Isa) -> None:
    latent = np.zeros((1, 3, 4, 5), np.float32)
    mean = np.float32([0, np.nan, 0])
    with pytest.raises(ImageError, match=r"latent y is out of range: .* first at element 20,"):
        LatentSteps(each).symbols("y", latent, mean)
    means = np.zeros(latent.shape, np.float32)
    means[0, 2, 1, 3] = 2 * LIMIT
    with pytest.raises(ImageError, match="first at element 48,"):
        LatentSteps(each).symbols("y", latent, means)
    huge = np.full(3, 2.0**40, np.float32)  # only what is left of it counts
    assert not LatentSteps(each).symbols("y", latent + np.float32(2.0**40), huge)[0].any()


@pytest.mark.parametrize("each", ISAS)
def test_latents_of_any_int32_and_any_mean(each: Isa) -> None:
    rng = np.random.default_rng(2)
    ends = [-(2**31), 2**31 - 1, 2**24 + 1, 2**25 + 2, 2**25 + 6, -(2**24) - 1, 0]
    symbols = np.concatenate([ends, rng.integers(-(2**31), 2**31, 500)]).astype(np.int32)
    for mean in (rng.choice(EXTREMES, symbols.size), rng.normal(0, 1e9, symbols.size)):
        expected = plain_latent(symbols, mean.astype(np.float32))
        assert same_bits(LatentSteps(each).latent(symbols, mean.astype(np.float32)), expected)


@pytest.mark.parametrize("each", ISAS)
def test_crc_of_symbols_goes_on_from_chunk_to_chunk(each: Isa) -> None:
    rng = np.random.default_rng(5)
    steps, ours, theirs = LatentSteps(each), 0, 0
    for shape in ((1, 3, 5, 7), (0,), (1, 96, 8, 12), (1,)):
        symbols = rng.integers(-(2**31), 2**31, shape).astype(np.int32)
        ours = steps.crc(symbols, ours)
        theirs = zlib.crc32(symbols.astype("<i4").tobytes(), theirs)
        assert ours == theirs
        assert steps.crc(symbols.T, 7) == zlib.crc32(symbols.T.tobytes(), 7)
    assert steps.crc(symbols, -1) == zlib.crc32(symbols.tobytes(), -1)


@pytest.mark.parametrize("each", ISAS)
def test_arrays_out_of_order_or_place_are_copied(each: Isa) -> None:
    rng = np.random.default_rng(6)
    steps, table = LatentSteps(each), ScaleTable(np.float32([0.5, 1, 2, 4]))
    latent, mean = rng.normal(0, 9, (2, 40, 33)).astype(np.float32)
    odd = np.frombuffer(b"\0" + latent.tobytes(), np.uint8)[1:].view(np.float32)
    assert not odd.flags.aligned
    symbols = plain_symbols(latent, mean)
    restored = plain_latent(symbols, mean)
    found = steps.symbols("y", latent.T, mean.T)
    assert same_bits(found[0], symbols.T)
    assert same_bits(found[1], restored.T)
    assert same_bits(steps.latent(symbols[::2], mean[::2]), restored[::2])
    assert same_bits(steps.symbols("y", odd, None)[0], plain_symbols(latent.ravel(), None))
    assert np.array_equal(steps.indexes(latent.T, table), steps.indexes(latent, table).T)
    assert np.array_equal(steps.indexes(odd, table), steps.indexes(latent, table).ravel())
    # Every third value of a row: of one axis NumPy's reshape makes no copy.
    values, means, numbers = latent[0, ::3], mean[0, ::3], symbols[0, ::3]
    assert same_bits(steps.symbols("y", values, means)[0], numbers)
    assert same_bits(steps.latent(numbers, means), restored[0, ::3])
    assert np.array_equal(steps.indexes(values, table), steps.indexes(values.copy(), table))
    assert steps.crc(numbers, 0) == zlib.crc32(numbers.tobytes())
    frozen = latent.copy()
    frozen.flags.writeable = False
    assert same_bits(steps.symbols("y", frozen, frozen)[1], latent)


def test_a_given_latent_is_filled_in_place() -> None:
    symbols = np.arange(-6, 6, dtype=np.int32).reshape(1, 3, 2, 2)
    out = np.empty(symbols.shape, np.float32)
    assert LatentSteps().latent(symbols, np.float32([0.5, 0, 1]), out) is out
    assert out.ravel().tolist() == [-5.5, -4.5, -3.5, -2.5, -2, -1, 0, 1, 3, 4, 5, 6]
    frozen = out.copy()
    frozen.flags.writeable = False
    for wrong in (out[0], out.astype(np.float64), out.transpose(0, 1, 3, 2), frozen):
        with pytest.raises(UsageError, match=r"contiguous writeable float32 array \(1, 3, 2, 2\)"):
            LatentSteps().latent(symbols, None, wrong)


def test_wrong_kinds_and_shapes_are_refused() -> None:
    steps = LatentSteps()
    latent, symbols = np.zeros((1, 3, 4, 4), np.float32), np.zeros((1, 3, 4, 4), np.int32)
    for mean in (latent[:, :2], latent[0], latent[0, 0, 0], np.float32(1), latent[0, :, 0, :1]):
        with pytest.raises(UsageError, match=r"mean: found shape .* expected \(1, 3, 4, 4\)"):
            steps.symbols("y", latent, mean)
        with pytest.raises(UsageError, match="mean: found shape"):
            steps.latent(symbols, mean)
    with pytest.raises(UsageError, match="mean: found float64, expected float32"):
        steps.latent(symbols, latent.astype(np.float64))
    with pytest.raises(UsageError, match="latent: found float16, expected float32"):
        steps.symbols("y", latent.astype(np.float16), None)
    with pytest.raises(UsageError, match="symbols: found int64, expected int32"):
        steps.latent(symbols.astype(np.int64), None)
    with pytest.raises(UsageError, match="symbols: found float32, expected int32"):
        steps.crc(latent, 0)
    with pytest.raises(UsageError, match="scales: found int32, expected float32"):
        steps.indexes(symbols, ScaleTable(np.float32([1, 2])))
    with pytest.raises(StreamError, match="scales, element 5: found NaN"):
        steps.indexes(np.float32([0] * 5 + [np.nan]), ScaleTable(np.float32([1, 2])))
    for falling in ([1, 1], [1, 3, 2], [np.nan], [1, np.nan, 2]):
        with pytest.raises(BundleError, match="do not rise"):
            ScaleTable(np.float32(falling))
    rising = np.arange(257, dtype=np.float32)
    assert ScaleTable(rising[:256]).thresholds.size == 255
    for odd in (rising, rising[:0], rising[:9].reshape(3, 3), rising[:9].astype(np.float64)):
        with pytest.raises(BundleError, match="expected 1 to 256 float32 values"):
            ScaleTable(odd)


def test_the_environment_chooses_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in isa.supported():
        monkeypatch.setenv(isa.VARIABLE, name)
        assert LatentSteps().isa == isa.NAMES[name]
        assert scale_indexes(np.float32([3]), np.float32([1, 2, 4])).tolist() == [2]
    monkeypatch.setenv(isa.VARIABLE, "sse9")
    with pytest.raises(UsageError, match="'sse9'"):
        LatentSteps()


def test_the_kernels_refuse_sizes_that_do_not_fit() -> None:
    latent, symbols = np.zeros(12, np.float32), np.zeros(12, np.int32)
    scalar = Isa.SCALAR
    with pytest.raises(ValueError, match="symbols: found 11 elements, expected 12"):
        _kernels.symbols_from_latent(latent, None, 1, symbols[:11], None, scalar)
    with pytest.raises(ValueError, match="restored: found 11 elements, expected 12"):
        _kernels.symbols_from_latent(latent, None, 1, symbols, latent[:11], scalar)
    with pytest.raises(ValueError, match="out: found 13 elements, expected 12"):
        _kernels.latent_from_symbols(symbols, None, 1, np.zeros(13, np.float32), scalar)
    for values, repeat in ((5, 1), (12, 2), (2, 5), (0, 1), (3, 0), (24, 1), (1, 24), (2, 2**63)):
        means = np.zeros(values, np.float32)
        with pytest.raises(ValueError, match="divides the number of latents"):
            _kernels.symbols_from_latent(latent, means, repeat, symbols, None, scalar)
        with pytest.raises(ValueError, match="divides the number of latents"):
            _kernels.latent_from_symbols(symbols, means, repeat, latent, scalar)
    for wrong in (latent.astype(np.float64), latent[::2], latent.reshape(3, 4), symbols):
        with pytest.raises(TypeError):
            _kernels.symbols_from_latent(wrong, None, 1, symbols, None, scalar)
    with pytest.raises(TypeError):
        _kernels.crc32(symbols, 0, scalar)
