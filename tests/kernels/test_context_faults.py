"""Integer context models: models, arrays and streams that are wrong are refused, with one fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from context_cases import (
    Model,
    scan,
    small_model,
)
from context_runs import ISAS, OK, inputs, run_decode, run_encode
from entropy_cases import gaussian_tables
from latentsr import _kernels
from latentsr._kernels import Status


@pytest.fixture(scope="module")
def tables() -> _kernels.LaneTables:
    found = gaussian_tables()
    return _kernels.LaneTables(_kernels.CdfTables(found.cdf, found.length, found.offset))


def damaged(model: Model, **changes) -> Model:
    return replace(model, **changes)


def put(arrays, number: int, at, value):
    copies = [array.copy() for array in arrays]
    copies[number][at] = value
    return copies


def put_one(array, at, value):
    return put([array], 0, at, value)[0]


def wrong_models(model: Model) -> dict[str, Model]:
    weights, biases, shifts = model.weights, model.biases, model.shifts
    settings = model.settings
    return {
        r"taps: found 0, 0, which is not before": damaged(model, taps=put_one(model.taps, 1, 0)),
        r"taps: found 0, 1, which is not": damaged(model, taps=put_one(model.taps, 1, (0, 1))),
        r"taps: found 1, -1, which is not": damaged(model, taps=put_one(model.taps, 1, (1, -1))),
        r"taps: found -17, 0, expected at most": damaged(
            model, taps=put_one(model.taps, 1, (-17, 0))
        ),
        r"taps: found -2147483648, 0": damaged(
            model, taps=put_one(model.taps, 1, (-(2**31), 0))
        ),
        r"taps: found -1, 0 twice": damaged(model, taps=put_one(model.taps, 1, (-1, 0))),
        r"taps: found 0, expected one pair": damaged(
            model, taps=model.taps[:0], weights=[weights[0][:, :0].copy(), *weights[1:]]
        ),
        r"0.weight: found 3 dimensions, expected \(outputs, 2 taps": damaged(
            model, taps=model.taps[:2]
        ),
        r"1.weight: found 6 inputs, expected 5|0.bias": damaged(
            model, weights=[weights[0][:5], *weights[1:]]
        ),
        r"0.weight: found 0, expected 1 to": damaged(model, weights=[weights[0][:0], *weights[1:]]),
        r"2.weight: found 5, expected 7 inputs": damaged(
            model, weights=[*weights[:2], weights[2][:, :5].copy(), weights[3]]
        ),
        r"expected 6 outputs, a scale and a mean": damaged(
            model, weights=[*weights[:3], weights[3][:5]], shifts=[*shifts[:3], shifts[3][:5]],
            biases=[*biases[:2], biases[2][:5]],
        ),
        r"weights: found 2, expected 3 to 9 layers": damaged(model, weights=weights[:2]),
        r"biases: found 2, expected 3": damaged(model, biases=biases[:2]),
        r"shifts: found 3, expected 4": damaged(model, shifts=shifts[:3]),
        r"settings: found 8, expected 7": damaged(
            model, settings=np.append(settings, settings[:1])
        ),
        r"2.bias: found 5, expected 6|2.bias": damaged(
            model, biases=[biases[0], biases[1][:4], biases[2]]
        ),
        r"1.lift: found 6, expected 7": damaged(model, lift=model.lift[:6]),
        r"3.shift: found 0, expected 1 to 30": damaged(model, shifts=put(shifts, 3, 2, 0)),
        r"0.shift: found 31, expected 1 to 30": damaged(model, shifts=put(shifts, 0, 5, 31)),
        r"1.lift: found 31, expected 0 to 30": damaged(model, lift=put_one(model.lift, 3, 31)),
        r"mean bits: found 0, expected 1 to 12": damaged(model, settings=put_one(settings, 0, 0)),
        r"slope: found -1": damaged(model, settings=put_one(settings, 1, -1)),
        r"slope: found 65537": damaged(model, settings=put_one(settings, 1, 65537)),
        r"top of inputs: found 32768": damaged(model, settings=put_one(settings, 2, 32768)),
        r"top of features: found -1": damaged(model, settings=put_one(settings, 3, -1)),
        r"top of features: found 1048577": damaged(model, settings=put_one(settings, 3, 2**20 + 1)),
        r"top of a layer: found 0": damaged(model, settings=put_one(settings, 6, 0)),
        r"layer 0, channel 0: found \d+, expected sums below 2\^31": damaged(
            model, weights=put(weights, 0, (0, 1), -32768), settings=put_one(settings, 2, 32767)
        ),
        r"layer 1, channel 2: found": damaged(model, lift=put_one(model.lift, 2, 30)),
        r"layer 2, channel 4: found": damaged(model, biases=put(biases, 1, 4, -(2**31))),
        r"layer 3, channel 5: found": damaged(model, biases=put(biases, 2, 5, 2**31 - 1)),
    }  # fmt: skip


@pytest.mark.parametrize("message", wrong_models(small_model(np.random.default_rng(9))))
def test_tensors_that_are_no_model_are_refused(message):
    model = wrong_models(small_model(np.random.default_rng(9)))[message]
    with pytest.raises(ValueError, match=message):
        model.kernel()


@pytest.mark.parametrize("wrong", [[], [5, 4, 9], [-1, 3], [np.nan, 1, 2], np.arange(257)])
def test_thresholds_that_do_not_rise_are_refused(wrong):
    model = small_model(np.random.default_rng(9))
    with pytest.raises(ValueError, match="thresholds: found"):
        _kernels.ContextModel(
            model.taps, model.settings, model.weights, model.biases, model.shifts, model.lift,
            np.array(wrong, np.float32),
        )  # fmt: skip


def test_bound_is_exact():
    """A sum of 2^31 - 1 is taken, one more is not."""
    model = small_model(np.random.default_rng(10))
    top, half = int(model.settings[6]), 1 << (int(model.shifts[3][0]) - 1)
    weights = put(model.weights, 3, 0, 0)
    room = 2**31 - 1 - half
    for sign in (1, -1):
        biases = put(model.biases, 2, 0, sign * (room - 7 * top))
        replace(model, weights=put(weights, 3, (0, 1), 7), biases=biases).kernel()
        biases[2][0] += sign
        with pytest.raises(ValueError, match="layer 3, channel 0"):
            replace(model, weights=put(weights, 3, (0, 1), -7), biases=biases).kernel()


def test_arrays_of_other_kinds_are_refused(tables):
    model = small_model(np.random.default_rng(11))
    wrong = replace(model, weights=[weight.astype(np.int32) for weight in model.weights])
    for other in (wrong, replace(model, taps=model.taps.astype(np.int64))):
        with pytest.raises(TypeError):
            other.kernel()
    kernel = model.kernel()
    features, y = inputs(model, np.random.default_rng(12), 4, 5)
    with pytest.raises(ValueError, match=r"features: found shape \(6, 4, 5\), expected \(7, 4, 5"):
        run_encode(kernel, features[:6], y, ISAS[0])
    with pytest.raises(ValueError, match=r"symbols: found shape \(2, 4, 5\), expected \(3, 4, 5"):
        run_encode(kernel, features, y[:2], ISAS[0])
    with pytest.raises(ValueError, match="threads: expected 1 or more"):
        run_encode(kernel, features, y, ISAS[0], 0)
    with pytest.raises(TypeError):
        run_encode(kernel, features.astype(np.float64), y, ISAS[0])
    with pytest.raises(ValueError, match="symbols: found shape"):
        run_decode(kernel, features, b"abc", tables, 4, ISAS[0])
    flat = np.zeros(59, np.int32), np.zeros(60, np.uint8)
    with pytest.raises(ValueError, match="scan_symbols: found 59 elements, expected 60"):
        kernel.encode(features, y, y.astype(np.int32), y.copy(), *flat, ISAS[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_found(value, tables):
    model = small_model(np.random.default_rng(13))
    features, y = inputs(model, np.random.default_rng(14), 9, 13)
    features[5, 3, 4] = features[6, 0, 0] = value
    expected = (Status.NOT_A_NUMBER, (5 * 9 + 3) * 13 + 4, 0)
    for one in ISAS:
        assert run_encode(model.kernel(), features, y, one)[0] == expected
        outcome, _ = run_decode(model.kernel(), features, b"\x08" + bytes(4 * 1), tables, 3, one)
        assert outcome[0] in (Status.BAD_START, Status.NOT_A_NUMBER)


@pytest.mark.parametrize("value", [np.nan, np.inf, -(2.0**31)])
def test_latents_out_of_range_are_found_where_they_are_in_the_scan(value):
    model = small_model(np.random.default_rng(15))
    features, y = inputs(model, np.random.default_rng(16), 9, 13, wild=0)
    y[2, 4, 5] = value
    marks = scan(model.taps, np.arange(y.size).reshape(y.shape))
    place = int(np.flatnonzero(marks == (2 * 9 + 4) * 13 + 5)[0])
    for one in ISAS:
        for threads in (1, 3):
            outcome = run_encode(model.kernel(), features, y, one, threads)[0]
            assert outcome == (Status.OUT_OF_RANGE, place, 0)


def test_damaged_streams_give_the_same_fault_everywhere(tables):
    rng = np.random.default_rng(17)
    model = small_model(rng)
    kernel = model.kernel()
    features, y = inputs(model, rng, 12, 10, wild=0.02)
    _, _, symbols, indexes = run_encode(kernel, features, y, ISAS[0])
    statuses = set()
    for number in range(400):
        data = bytearray(tables.encode(symbols, indexes, 1 << number % 6, parts=1)[1])
        if number % 4 == 0:
            del data[rng.integers(len(data)) :]
        for _ in range(number % 4):
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        found = [
            run_decode(kernel, features, bytes(data), tables, 3, one, threads)
            for one in ISAS
            for threads in (1, 2)
        ]
        statuses.add(found[0][0][0])
        for outcome, back in found[1:]:
            assert outcome == found[0][0]
            if outcome == OK:
                assert np.array_equal(back.symbols, found[0][1].symbols)
    assert {Status.TRUNCATED, Status.BAD_HEADER} <= statuses
    assert statuses & {Status.BAD_END, Status.TRAILING, Status.BAD_ESCAPE}


def test_streams_of_several_parts_are_refused(tables):
    model = small_model(np.random.default_rng(18))
    features, y = inputs(model, np.random.default_rng(19), 8, 8)
    _, _, symbols, indexes = run_encode(model.kernel(), features, y, ISAS[0])
    data = tables.encode(symbols, indexes, 4, parts=2)[1]
    outcome, _ = run_decode(model.kernel(), features, data, tables, 3, ISAS[0])
    assert outcome == (Status.BAD_HEADER, 0, data[0])


def test_rows_that_the_tables_lack_are_refused():
    model = small_model(np.random.default_rng(20))
    features, y = inputs(model, np.random.default_rng(21), 8, 8)
    _, _, symbols, indexes = run_encode(model.kernel(), features, y, ISAS[0])
    assert indexes.max() > 9
    few = gaussian_tables(10)
    tables = _kernels.LaneTables(_kernels.CdfTables(few.cdf, few.length, few.offset))
    data = tables.encode(symbols, np.minimum(indexes, 9), parts=1)[1]
    for one in ISAS:
        outcome, _ = run_decode(model.kernel(), features, data, tables, 3, one)
        assert outcome[0] == Status.BAD_INDEX
        assert outcome[1] == np.flatnonzero(indexes > 9)[0]
