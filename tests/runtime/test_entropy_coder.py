"""CompressaiCoder and reference agree to the byte, and the coder checks its arguments."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from entropy_cases import (
    TOTAL,
    CompressaiCoder,
    draw,
    gaussian_tables,
    random_tables,
    tables_from_rows,
)
from latentsr.entropy import Tables, reference, scale_indexes
from latentsr.errors import BundleError, CorruptStream, StreamError, UsageError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "rans_compressai.json").read_text())


@pytest.fixture(scope="module")
def gaussians() -> Tables:
    return gaussian_tables()


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_golden_streams(case: dict):
    tables = tables_from_rows(GOLDEN["tables"]["rows"], GOLDEN["tables"]["offset"])
    symbols = np.array(case["symbols"], np.int32)
    indexes = np.array(case["indexes"], np.uint8)
    stream = bytes.fromhex(case["stream"])
    assert CompressaiCoder(tables).encode(symbols, indexes) == stream
    assert reference.encode(tables, case["symbols"], case["indexes"]) == stream
    assert CompressaiCoder(tables).decode(stream, indexes).tolist() == case["symbols"]
    assert reference.decode(tables, stream, case["indexes"]) == case["symbols"]


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_the_ends_of_32_bits_can_be_coded_in_any_kind_of_integer(gaussians: Tables, kind: type):
    symbols = np.array([-(2**31), 0, 2**31 - 1], kind)
    coder, indexes = CompressaiCoder(gaussians), np.array([0, 1, 2])
    assert coder.decode(coder.encode(symbols, indexes), indexes).tolist() == symbols.tolist()
    for beyond in (-(2**31) - 1, 2**31):
        with pytest.raises(UsageError, match="expected 32-bit integers"):
            coder.encode(np.array([0, beyond, 0], np.int64), indexes)


@pytest.mark.parametrize("seed", range(60))
def test_reference_agrees_on_random_tables(seed: int):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng)
    count = int(rng.choice([0, 1, 2, 5, 40, 300]))
    symbols, indexes = draw(
        rng, tables, count, outside=float(rng.choice([0, 0.05, 1])), reach=2**31
    )
    stream = CompressaiCoder(tables).encode(symbols, indexes)
    assert stream == reference.encode(tables, symbols.tolist(), indexes.tolist())
    assert np.array_equal(CompressaiCoder(tables).decode(stream, indexes), symbols)
    assert reference.decode(tables, stream, indexes.tolist()) == symbols.tolist()


def test_every_int32_at_both_ends_of_the_offset():
    ends = np.array([-(2**31), 2**31 - 1, 0, -1], np.int32)
    for offset in (-(2**24), 2**24):
        coder = CompressaiCoder(tables_from_rows([[0, 40000, 65536]], [offset]))
        indexes = np.zeros(4, np.uint8)
        stream = coder.encode(ends, indexes)
        assert stream == reference.encode(coder.tables, ends.tolist(), indexes.tolist())
        assert np.array_equal(coder.decode(stream, indexes), ends)


def test_longest_row_of_65536_slots():
    coder = CompressaiCoder(tables_from_rows([list(range(65537))], [-32768]))
    symbols = np.arange(-32770, 32770, dtype=np.int32)
    indexes = np.zeros(symbols.shape, np.uint8)
    assert np.array_equal(coder.decode(coder.encode(symbols, indexes), indexes), symbols)


def flat_tables(slots: int) -> Tables:
    """One row of equal slots: log2(slots) bits a symbol, whatever the symbols are."""
    return tables_from_rows([[TOTAL * i // slots for i in range(slots + 1)]], [0])


@pytest.mark.parametrize("slots", [2, 3, 5, 17, 64, 1000, 30000])
@pytest.mark.parametrize("count", [1, 7, 300, 9000])
def test_dense_and_sparse_streams(slots: int, count: int):
    """From 1 to 15 bits a symbol: with and without branches, and from one to the other."""
    tables = flat_tables(slots)
    symbols = np.random.default_rng(slots).integers(0, slots - 1, count).astype(np.int32)
    symbols[count // 2 :: 3] = 0
    indexes = np.zeros(count, np.uint8)
    stream = CompressaiCoder(tables).encode(symbols, indexes)
    assert stream == reference.encode(tables, symbols.tolist(), indexes.tolist())
    assert np.array_equal(CompressaiCoder(tables).decode(stream, indexes), symbols)


@pytest.mark.parametrize("place", [0, 4095, 4096, 4097, 9_999])
def test_first_of_several_faults_is_reported(gaussians: Tables, place: int):
    """Indexes are checked in blocks ahead of the symbols; which fault is named stays the same."""
    symbols, indexes = draw(np.random.default_rng(6), gaussians, 10_000, outside=0.01)
    coder = CompressaiCoder(gaussians)
    stream = coder.encode(symbols, indexes)
    good, indexes = indexes, indexes.astype(np.int32)
    indexes[place:] = -5
    with pytest.raises(UsageError, match=f"element {place}: found -5"):
        coder.decode(stream, indexes)
    with pytest.raises(CorruptStream, match="truncated: found 8 bytes"):
        coder.decode(stream[:8], indexes if place else good)


def test_size_is_close_to_the_ideal_code_length(gaussians: Tables):
    symbols, indexes = draw(np.random.default_rng(5), gaussians, 20_000, outside=0)
    value = symbols - gaussians.offset[indexes]
    sizes = gaussians.cdf[indexes, value + 1] - gaussians.cdf[indexes, value]
    ideal = float(np.sum(16 - np.log2(sizes))) / 8
    assert ideal < len(CompressaiCoder(gaussians).encode(symbols, indexes)) < ideal * 1.0001 + 12


def test_shapes_and_index_types(gaussians: Tables):
    symbols, indexes = draw(np.random.default_rng(1), gaussians, 60)
    coder = CompressaiCoder(gaussians)
    stream = coder.encode(symbols, indexes)
    for kind in (np.uint8, np.int16, np.int32, np.int64, np.uint64):
        shaped = indexes.astype(kind).reshape(3, 4, 5)
        assert coder.encode(symbols.astype(np.int64).reshape(3, 4, 5), shaped) == stream
        assert np.array_equal(coder.decode(stream, shaped), symbols.reshape(3, 4, 5))
    transposed = indexes.reshape(6, 10).T
    assert coder.encode(symbols.reshape(6, 10).T, transposed) == coder.encode(
        symbols.reshape(6, 10).T.copy(), transposed.copy()
    )
    scalar = coder.encode(np.array(3), np.array(40, np.uint8))
    assert coder.decode(scalar, np.array(40, np.uint8)).shape == ()


def test_data_may_be_any_buffer_at_any_address(gaussians: Tables):
    symbols, indexes = draw(np.random.default_rng(2), gaussians, 500)
    coder = CompressaiCoder(gaussians)
    stream = coder.encode(symbols, indexes)
    for lead in range(4):
        view = memoryview(b"x" * lead + stream)[lead:]
        assert np.array_equal(coder.decode(view, indexes), symbols)
    assert np.array_equal(coder.decode(bytearray(stream), indexes), symbols)


def test_out_is_filled_and_returned(gaussians: Tables):
    symbols, indexes = draw(np.random.default_rng(3), gaussians, 24)
    coder = CompressaiCoder(gaussians)
    stream = coder.encode(symbols, indexes)
    out = np.zeros((4, 6), np.int32)
    assert coder.decode(stream, indexes.reshape(4, 6), out=out) is out
    assert np.array_equal(out.ravel(), symbols)
    frozen = np.zeros((4, 6), np.int32)
    frozen.flags.writeable = False
    unfit = (np.zeros(24, np.int32), np.zeros((4, 6)), np.zeros((6, 4), np.int32).T, frozen)
    for wrong in unfit:
        with pytest.raises(UsageError, match="out: found"):
            coder.decode(stream, indexes.reshape(4, 6), out=wrong)


def test_wrong_arguments_are_explained(gaussians: Tables):
    coder = CompressaiCoder(gaussians)
    two = np.zeros(2, np.uint8)
    with pytest.raises(UsageError, match="found 'ranges', expected one of compressai, lanes"):
        coder.encode(two, two, form="ranges")
    with pytest.raises(UsageError, match="expected one of compressai"):
        coder.decode(bytes(8), two, form="")
    with pytest.raises(UsageError, match="threads: found 0"):
        coder.encode(two, two, threads=0)
    with pytest.raises(UsageError, match="symbols: found float64"):
        coder.encode(np.zeros(2), two)
    with pytest.raises(UsageError, match=r"symbols: found values 0 to 4294967296"):
        coder.encode(np.array([0, 2**32]), two)
    with pytest.raises(UsageError, match=r"indexes: found shape \(2,\)"):
        coder.encode(np.zeros((1, 2), np.int32), two)
    with pytest.raises(UsageError, match="element 1: found 64, expected 0 to 63"):
        coder.encode(two, np.array([0, 64]))
    with pytest.raises(UsageError, match="element 0: found -1, expected 0 to 63"):
        coder.decode(coder.encode(two, two), np.array([-1, 0]))
    with pytest.raises(UsageError, match="precision 2, expected 16"):
        CompressaiCoder(Tables([[0, 3, 4]], [3], [0], precision=2))


def test_corruption_says_what_was_found(gaussians: Tables):
    symbols, indexes = draw(np.random.default_rng(4), gaussians, 200)
    coder = CompressaiCoder(gaussians)
    stream = coder.encode(symbols, indexes)
    ones = b"\xff" * 8
    for data, message in (
        (b"", "truncated: found 0 bytes"),
        (stream[:4], "truncated: found 4 bytes"),
        (stream[:-1], f"found {len(stream) - 1} bytes, expected a multiple of 4"),
        (stream[:-4], f"truncated: found {len(stream) - 4} bytes"),
        (stream + ones, "trailing words: found 2 after 200 symbols, expected 0"),
        (stream[:-1] + bytes([stream[-1] ^ 1]), "wrong final state: found 0x"),
        (bytes(8) + stream[8:], "first state: found 0x0"),
    ):
        with pytest.raises(CorruptStream, match=message):
            coder.decode(data, indexes)
        with pytest.raises(CorruptStream):
            reference.decode(gaussians, data, indexes.tolist())


def test_one_coder_serves_many_threads(gaussians: Tables):
    coder = CompressaiCoder(gaussians)
    cases = [draw(np.random.default_rng(seed), gaussians, 2_000) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        streams = list(pool.map(lambda case: coder.encode(*case), cases * 4))
        decoded = list(pool.map(coder.decode, streams, [case[1] for case in cases * 4]))
    assert all(np.array_equal(d, c[0]) for d, c in zip(decoded, cases * 4, strict=True))


def test_scale_indexes_count_thresholds_below():
    table = np.array([0.5, 1, 2, 4], np.float32)
    scales = np.array([[-np.inf, 0, 0.5], [0.50001, 1, 1.5], [2, 2.5, np.inf]], np.float32)
    assert scale_indexes(scales, table).tolist() == [[0, 0, 0], [1, 1, 2], [2, 3, 3]]
    assert scale_indexes(scales.T, table).tolist() == [[0, 1, 2], [0, 1, 3], [0, 2, 3]]
    assert scale_indexes(np.zeros((0, 3), np.float32), table).shape == (0, 3)


@pytest.mark.parametrize("entries", [1, 2, 3, 63, 64, 65, 255, 256])
def test_scale_indexes_agree_with_a_plain_count(entries: int):
    rng = np.random.default_rng(entries)
    table = np.unique(rng.normal(size=4 * entries).astype(np.float32))[:entries]
    scales = np.concatenate([rng.normal(size=500).astype(np.float32), table])
    expected = (table[None, :-1] < scales[:, None]).sum(axis=1)
    assert np.array_equal(scale_indexes(scales, table), expected)


def test_scale_indexes_refuse_what_has_no_answer():
    table = np.array([0.5, 1], np.float32)
    with pytest.raises(StreamError, match="element 1: found NaN"):
        scale_indexes(np.array([0, np.nan], np.float32), table)
    with pytest.raises(UsageError, match="found float64"):
        scale_indexes(np.zeros(2), table)
    for wrong in (table[::-1], table[:0], table.astype(np.float64), table[None], table * np.nan):
        with pytest.raises(BundleError, match="scale table"):
            scale_indexes(np.zeros(2, np.float32), wrong)
    with pytest.raises(BundleError, match="scale table"):
        scale_indexes(np.zeros(2, np.float32), np.arange(257, dtype=np.float32))
