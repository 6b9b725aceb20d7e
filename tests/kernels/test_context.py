"""Integer context models: every instruction set computes what the plain reference does."""

from __future__ import annotations

import numpy as np
import pytest

from context_cases import (
    Coded,
    Model,
    random_model,
    reference,
    scan,
    small_model,
    taps_of,
)
from context_runs import ISAS, OK, inputs, run_decode, run_encode, same_bits
from entropy_cases import gaussian_tables
from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.entropy import isa
from native_drivers import build, configure, need, need_sanitizers, report

# Window, channels (M, outputs of layers 0 .. L - 1), tops (inputs, features, layers).
SHAPES = {
    "odd": ((5, 5), [5, 7, 9, 11], [2000, 2**20, 32767, 32767, 9000]),
    "one": ((3, 3), [1, 1, 1], [32767, 2**10, 1, 32767]),
    "24": ((3, 3), [24, 48, 40, 33], [700, 2**16, 3000, 2000, 1000]),
    "96": ((7, 7), [96, 64, 50, 48, 37], [511, 2**20, 2047, 2047, 4095, 4095]),
    "192": ((5, 5), [192, 100, 96], [255, 2**17, 1023, 1023]),
    "even": ((4, 4), [16, 32, 32, 32], [32767, 2**20, 32767, 32767, 32767]),
    "wide": ((1, 7), [8, 16, 16], [127, 2**12, 127, 127]),
    "tall": ((9, 2), [8, 16, 16], [127, 2**12, 127, 127]),
}
SIZES = [(1, 1), (1, 9), (7, 1), (3, 2), (6, 17), (20, 9)]


@pytest.fixture(scope="module")
def tables() -> _kernels.LaneTables:
    found = gaussian_tables()
    return _kernels.LaneTables(_kernels.CdfTables(found.cdf, found.length, found.offset))


def check(model: Model, tables, features, y, threads=(1, 3)) -> Coded:
    """Encoded and decoded by every instruction set as the reference has it."""
    expected = reference(model, features, y)
    kernel = model.kernel()
    symbols, indexes = scan(model.taps, expected.symbols), scan(model.taps, expected.indexes)
    outcome, data = tables.encode(symbols, indexes, parts=1)
    assert outcome[0] == Status.OK
    for one in ISAS:
        for count in threads:
            way = (one, count)
            outcome, made, scan_symbols, scan_indexes = run_encode(kernel, features, y, *way)
            assert outcome == OK, way
            assert np.array_equal(scan_indexes, indexes), way
            assert np.array_equal(scan_symbols, symbols), way
            outcome, back = run_decode(kernel, features, data, tables, model.channels, *way)
            assert outcome == OK, way
            for found in (made, back):
                assert np.array_equal(found.symbols, expected.symbols), way
                assert same_bits(found.values, expected.values), way
    return expected


@pytest.mark.parametrize("name", SHAPES)
def test_every_instruction_set_agrees_with_the_reference(name, tables):
    window, channels, tops = SHAPES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    rows = set()
    for number, size in enumerate(SIZES):
        model = random_model(
            rng, taps_of(*window), channels, tops, mean_bits=1 + (5 * number + 7) % 12,
            slope=[655, 0, 65536][number % 3],
        )  # fmt: skip
        rows |= set(check(model, tables, *inputs(model, rng, *size)).indexes.reshape(-1))
    assert len(rows) > (3 if name == "one" else 20)


def test_a_whole_picture(tables):
    """Fronts longer than a chunk, and a codec's own shape."""
    rng = np.random.default_rng(4)
    tops = [2047, 2**20, 8191, 8191, 8191]
    model = random_model(rng, taps_of(5, 5), [192, 384, 640, 512], tops)
    check(model, tables, *inputs(model, rng, 32, 48))
    model = random_model(rng, taps_of(3, 3), [8, 16, 16, 16], tops)
    for size in ((70, 150), (150, 3)):
        check(model, tables, *inputs(model, rng, *size))


def test_sums_at_the_bound(tables):
    """All weights of one sign, all inputs at their top: sums come to within 0.1 % of 2^31."""
    rng = np.random.default_rng(5)
    model = random_model(
        rng, taps_of(3, 3), [16, 24, 24, 24], [32767, 2**19, 32767, 32767, 32767], one_sign=True
    )
    model.biases = [np.abs(bias) for bias in model.biases]
    features = np.full((24, 6, 8), 2.0**20, np.float32)
    for sign in (1, -1):
        check(model, tables, features, np.full((16, 6, 8), sign * 2.0**28, np.float32))
    inside = np.abs(model.weights[0].astype(np.int64)).sum((1, 2)) * 32767 + model.biases[0]
    assert inside.max() > 0.999 * 2**31 - 2**29


def test_taps_in_any_order_and_with_gaps(tables):
    rng = np.random.default_rng(6)
    for taps in ([(0, -2), (-2, 1), (-1, 0)], [(-1, -1), (-3, -2)], [(0, -1)], [(-1, 4), (0, -3)]):
        model = random_model(
            rng, np.array(taps, np.int32), [6, 8, 8], [999, 2**15, 999, 999]
        )  # fmt: skip
        check(model, tables, *inputs(model, rng, 9, 11))


def test_no_positions_at_all(tables):
    model = small_model(np.random.default_rng(7))
    for size in ((0, 4), (4, 0)):
        features, y = inputs(model, np.random.default_rng(8), *size)
        outcome, _, symbols, indexes = run_encode(model.kernel(), features, y, ISAS[0])
        assert outcome == OK
        data = tables.encode(symbols, indexes, parts=1)[1]
        assert run_decode(model.kernel(), features, data, tables, 3, ISAS[0])[0] == OK


def test_under_sanitizers(tmp_path):
    """Streams read in pieces, damaged streams of context models, products by every instruction."""
    compiler = need("c++")
    need_sanitizers(compiler, "address,undefined", tmp_path)
    configure(tmp_path, "LATENTSR_SANITIZE=ON")
    found = report([str(build(tmp_path, "lane_reader")), "300"])
    assert found["isas"] == isa.supported()
    assert found["streams"] > found["refused"] > 0.5 * found["streams"]
    found = report([str(build(tmp_path, "context_model")), "150"])
    assert found["isas"] == isa.supported()
    assert found["mutants"] > found["refused"] > 0.5 * found["mutants"]
    found = report([str(build(tmp_path, "context_products")), "5"])
    assert {"scalar", *isa.supported()[1:]} & {"scalar", "avx2"} <= set(found["ways"])
