"""The compiled module on its own: it trusts neither arrays nor tables."""

from __future__ import annotations

import numpy as np
import pytest

from latentsr import _kernels
from latentsr._kernels import Status

CDF = np.array([[0, 30000, 65536, 0], [0, 1, 2, 65536]], np.int32)
LENGTH = np.array([3, 4], np.int32)
OFFSET = np.array([0, -1], np.int32)


@pytest.fixture
def tables() -> _kernels.CdfTables:
    return _kernels.CdfTables(CDF, LENGTH, OFFSET)


def changed(array: np.ndarray, at: tuple[int, ...], value: int) -> np.ndarray:
    copy = array.copy()
    copy[at] = value
    return copy


@pytest.mark.parametrize(
    ("cdf", "length", "offset", "message"),
    [
        (changed(CDF, (0, 0), 1), LENGTH, OFFSET, "row 0: found distribution that does not run"),
        (changed(CDF, (1, 3), 65535), LENGTH, OFFSET, "row 1: found distribution that does not"),
        (changed(CDF, (1, 1), -5), LENGTH, OFFSET, "does not rise at entry 1"),
        (changed(CDF, (1, 2), 70000), LENGTH, OFFSET, "does not rise at entry 3"),
        (CDF, changed(LENGTH, (0,), 2), OFFSET, "row 0: found length 2, expected 3 to 4"),
        (CDF, changed(LENGTH, (1,), 5), OFFSET, "row 1: found length 5"),
        (CDF, changed(LENGTH, (1,), -(2**31)), OFFSET, "row 1: found length -2147483648"),
        (CDF, LENGTH, changed(OFFSET, (0,), 2**24 + 1), "row 0: found offset 16777217"),
        (CDF, LENGTH[:1], OFFSET, "length: found 1 elements, expected 2"),
        (CDF, LENGTH, OFFSET[:1], "offset: found 1 elements, expected 2"),
    ],
)
def test_bad_tables_are_refused(cdf, length, offset, message):
    with pytest.raises(ValueError, match=message):
        _kernels.CdfTables(cdf, length, offset)


def test_no_rows_means_no_valid_index():
    empty = np.zeros(0, np.int32)
    tables = _kernels.CdfTables(np.zeros((0, 0), np.int32), empty, empty)
    one = np.zeros(1, np.int32)
    assert tables.encode_compressai(one, one)[0][0] == Status.BAD_INDEX


def test_arrays_of_other_kinds_are_refused(tables):
    one = np.zeros(4, np.int32)
    for symbols, indexes in (
        (one.astype(np.int64), one),
        (one, one.astype(np.int16)),
        (one, one.astype(np.float32)),
        (one[::2], one[::2]),
        (one.reshape(2, 2), one.reshape(2, 2)),
        (None, one),
    ):
        with pytest.raises(TypeError):
            tables.encode_compressai(symbols, indexes)
    frozen = one.copy()
    frozen.flags.writeable = False
    data = np.zeros(8, np.uint8)
    for out in (frozen, one.astype(np.uint32), np.zeros(8, np.int32)[::2]):
        with pytest.raises(TypeError):
            tables.decode_compressai(data, one, out)


def test_sizes_that_differ_are_refused(tables):
    one, two = np.zeros(1, np.int32), np.zeros(2, np.int32)
    with pytest.raises(ValueError, match="indexes: found 2 elements, expected 1"):
        tables.encode_compressai(one, two)
    with pytest.raises(ValueError, match="out: found 1 elements, expected 2"):
        tables.decode_compressai(np.zeros(8, np.uint8), two, one)
    scales = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="thresholds: found 256 elements, expected 255"):
        _kernels.scale_indexes(scales, np.zeros(256, np.float32), np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="out: found 1 elements, expected 2"):
        _kernels.scale_indexes(scales, scales, np.zeros(1, np.uint8))


@pytest.mark.parametrize("index", [2, -1, 2**31 - 1, -(2**31)])
def test_bad_index_is_reported_with_its_place(tables, index):
    symbols = np.zeros(5, np.int32)
    indexes = np.array([0, 0, 0, index, 0], np.int32)
    outcome, data = tables.encode_compressai(symbols, indexes)
    assert outcome == (Status.BAD_INDEX, 3, index)
    assert data == b""
    stream = np.frombuffer(tables.encode_compressai(symbols, symbols)[1], np.uint8)
    assert tables.decode_compressai(stream, indexes, symbols) == (Status.BAD_INDEX, 3, index)


def test_status_numbers_are_those_of_the_stub():
    names = (
        "OK BAD_INDEX ODD_SIZE TRUNCATED TRAILING BAD_START BAD_END BAD_ESCAPE NOT_A_NUMBER "
        "BAD_HEADER TRAILING_SIDE NOT_ZERO"
    )
    assert {status.name: status.value for status in Status} == {
        name: number for number, name in enumerate(names.split())
    }


def test_not_a_number_is_reported_with_its_place():
    scales = np.array([1, 2, np.nan, np.nan], np.float32)
    outcome = _kernels.scale_indexes(scales, scales[:1], np.zeros(4, np.uint8))
    assert outcome == (Status.NOT_A_NUMBER, 2, 0)
