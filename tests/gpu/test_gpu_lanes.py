"""The `lanes` coder on a device: the bytes, symbols and errors of the coder on the processor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from device_arrays import DeviceArrays
from numpy.typing import NDArray

import entropy_cases
from latentsr.cuda import DecodeArrays, DecodePlan, DeviceCoder, EncodeArrays, EncodePlan
from latentsr.cuda.batch import OUTCOME, RESULT
from latentsr.entropy import Coder, Tables
from latentsr.errors import CorruptStream, LatentSRError

Cases = list[tuple[NDArray[np.int32], NDArray[np.uint8]]]


def decode(
    arrays: DeviceArrays, tables: Tables, streams: list[bytes], rows: list[NDArray], skip: int = 0
) -> tuple[list[NDArray[np.int32]], list[LatentSRError | None]]:
    coder = DeviceCoder(tables, skip)
    plan = DecodePlan.of(streams, [one.size for one in rows])
    indexes = np.concatenate(rows)
    sizes = plan.sizes(indexes.itemsize)
    results, out = arrays.room(sizes["results"]), arrays.room(sizes["out"])
    at = DecodeArrays(
        tables=arrays.put(coder.packed),
        streams=arrays.put(plan.streams),
        data=arrays.put(plan.data, shift=1),  # streams need no alignment
        indexes=arrays.put(indexes),
        out=out,
        part_results=arrays.room(sizes["part_results"], scratch=True),
        results=results,
    )
    coder.decode(plan, at, indexes.itemsize, arrays.stream)
    symbols = arrays.get(out, plan.symbols, np.int32)
    faults = coder.faults(arrays.get(results, len(streams), RESULT))
    arrays.check()
    return np.split(symbols, np.cumsum(plan.streams["count"])[:-1].astype(int)), faults


def encode(
    arrays: DeviceArrays, tables: Tables, cases: Cases, skip: int = 0, lanes: int = 0,
    parts: int = 0, room: int | None = None,
) -> tuple[list[bytes], list[LatentSRError | None]]:  # fmt: skip
    coder = DeviceCoder(tables, skip)
    plan = EncodePlan.of([one.size for one, _ in cases], lanes, parts, room)
    indexes = np.concatenate([rows for _, rows in cases])
    sizes = plan.sizes(indexes.itemsize)
    data, outcomes = arrays.room(sizes["data"], shift=1), arrays.room(sizes["outcomes"])
    at = EncodeArrays(
        tables=arrays.put(coder.packed),
        targets=arrays.put(plan.targets),
        symbols=arrays.put(np.concatenate([one for one, _ in cases])),
        indexes=arrays.put(indexes),
        scratch=arrays.room(sizes["scratch"], scratch=True),
        data=data,
        outcomes=outcomes,
    )
    coder.encode(plan, at, indexes.itemsize, arrays.stream)
    found = arrays.get(outcomes, len(cases), OUTCOME)
    whole = arrays.get(data, plan.room, np.uint8).tobytes()
    arrays.check()
    starts, lengths = plan.targets["room"].astype(int), found["size"].astype(int)
    streams = [whole[s : s + n] for s, n in zip(starts, lengths, strict=True)]
    return streams, coder.encode_faults(found)


def draw_cases(rng: np.random.Generator, tables: Tables, sizes: list[int], skip: int) -> Cases:
    cases = []
    for size in sizes:
        symbols, rows = entropy_cases.draw(rng, tables, size)
        symbols[rows < skip] = 0
        cases.append((symbols, rows))
    return cases


@pytest.mark.parametrize("seed", range(12))
def test_bytes_and_symbols_are_those_of_the_processor(arrays: DeviceArrays, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = entropy_cases.gaussian_tables() if seed % 3 == 0 else entropy_cases.random_tables(rng)
    skip = int(rng.integers(0, tables.rows + 1)) if seed % 2 else 0
    lanes, parts = [(0, 0), (1 << seed % 6, 1 << seed % 9)][seed % 2]
    cases = draw_cases(rng, tables, [0, 1, 63, 4097, 100_000, 30], skip)
    streams, faults = encode(arrays, tables, cases, skip, lanes, parts)
    assert faults == [None] * len(cases)
    lanes_native = Coder(tables, skip).lanes
    for stream, (symbols, rows) in zip(streams, cases, strict=True):
        assert stream == lanes_native.encode(symbols, rows, lanes, parts, skip)[1]
    for dtype in (np.uint8, np.int32):
        rows = [one.astype(dtype) for _, one in cases]
        symbols, faults = decode(arrays, tables, streams, rows, skip)
        assert faults == [None] * len(cases)
        for found, (expected, _) in zip(symbols, cases, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_golden_streams(arrays: DeviceArrays, repository: Path) -> None:
    golden = json.loads((repository / "tests" / "golden" / "rans_lanes.json").read_text())
    tables = entropy_cases.tables_from_rows(golden["tables"]["rows"], golden["tables"]["offset"])
    for case in golden["cases"]:
        symbols = np.array(case["symbols"], np.int32)
        rows = np.array(case["indexes"], np.uint8)
        skip = case.get("skip") or 0
        stream = bytes.fromhex(case["stream"])
        streams, faults = encode(
            arrays, tables, [(symbols, rows)], skip, case["lanes"] or 0, case.get("parts") or 0
        )
        assert (streams, faults) == ([stream], [None]), case["name"]
        for each in [stream, *([bytes.fromhex(case["read_too"])] if "read_too" in case else [])]:
            found, faults = decode(arrays, tables, [each], [rows], skip)
            assert faults == [None]
            np.testing.assert_array_equal(found[0], symbols)


def damaged(rng: np.random.Generator, stream: bytes) -> bytes:
    """Cut off, flipped, overwritten at its head, or with a piece left out."""
    data = bytearray(stream)
    kind = rng.integers(0, 5)
    at = int(rng.integers(0, len(data)))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        data[at] ^= 1 << int(rng.integers(0, 8))
    elif kind == 2:
        head = min(len(data), 40)
        data[:head] = rng.integers(0, 256, head).astype(np.uint8).tobytes()
    elif kind == 3:
        del data[at : at + int(rng.integers(1, 9))]
    else:
        data[at:at] = rng.integers(0, 256, 4).astype(np.uint8).tobytes()
    return bytes(data)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_streams_end_as_on_the_processor(arrays: DeviceArrays, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    tables = entropy_cases.random_tables(rng)
    skip = seed % 2 * int(rng.integers(0, tables.rows + 1))
    coder = Coder(tables, skip)
    streams, rows = [], []
    for _ in range(400):
        size = int(rng.integers(1, 2000))
        [(symbols, indexes)] = draw_cases(rng, tables, [size], skip)
        lanes, parts = 1 << int(rng.integers(0, 6)), 1 << int(rng.integers(0, 9))
        stream = coder.lanes.encode(symbols, indexes, lanes, parts, skip)[1]
        streams.append(damaged(rng, stream) if rng.random() < 0.9 else stream)
        if rng.random() < 0.1:
            indexes[int(rng.integers(0, size))] = 255
        rows.append(indexes)
    symbols_found, faults = decode(arrays, tables, streams, rows, skip)
    for stream, indexes, found, fault in zip(streams, rows, symbols_found, faults, strict=True):
        try:
            expected = coder.decode(stream, indexes)
        except LatentSRError as error:
            assert (type(fault), str(fault)) == (type(error), str(error))
        else:
            assert fault is None
            np.testing.assert_array_equal(found, expected)


def test_bad_symbols_and_small_rooms_are_faults_of_their_stream_alone(arrays: DeviceArrays) -> None:
    rng = np.random.default_rng(7)
    tables = entropy_cases.gaussian_tables()
    cases = draw_cases(rng, tables, [500, 500, 500], 3)
    cases[0][1][17] = 64
    bad = int(np.flatnonzero(cases[1][1] < 3)[0])
    cases[1][0][bad] = 5
    streams, faults = encode(arrays, tables, cases, skip=3)
    assert "element 17: found 64, expected 0 to 63" in str(faults[0])
    assert f"element {bad}: found 5, expected 0" in str(faults[1])
    assert faults[2] is None
    assert streams[2] == Coder(tables, 3).encode(*cases[2])
    whole = len(streams[2])
    _, faults = encode(arrays, tables, cases[2:], skip=3, room=whole - 1)
    assert f"found {whole - 1} bytes, expected {whole}" in str(faults[0])
    assert encode(arrays, tables, cases[2:], skip=3, room=whole)[1] == [None]


def test_a_fault_says_what_the_processor_says(arrays: DeviceArrays) -> None:
    tables = entropy_cases.gaussian_tables()
    rows = [np.zeros(10, np.uint8)] * 2
    whole = Coder(tables).encode(np.zeros(10, np.int32), rows[0])
    symbols, faults = decode(arrays, tables, [b"", whole], rows)
    assert isinstance(faults[0], CorruptStream)
    assert faults[1] is None
    assert not symbols[1].any()
