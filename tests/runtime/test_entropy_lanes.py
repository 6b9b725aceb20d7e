"""The `lanes` form: kernels of every instruction set and the reference agree to the byte."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from entropy_cases import draw, gaussian_tables, random_tables, tables_from_rows
from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.entropy import Coder, Tables, isa, reference_lanes
from latentsr.errors import CorruptStream, UsageError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "rans_lanes.json").read_text())
LANES = (1, 2, 4, 8, 16, 32)


def native(tables: Tables) -> _kernels.LaneTables:
    return _kernels.LaneTables(_kernels.CdfTables(tables.cdf, tables.length, tables.offset))


def check(
    tables: Tables,
    symbols: NDArray,
    indexes: NDArray,
    lanes: int | None,
    parts: int | None = 1,
    skip: int = 0,
) -> bytes:
    """Both sides write the same bytes, and each instruction set reads them."""
    kernel = native(tables)
    outcome, stream = kernel.encode(symbols, indexes, lanes or 0, parts or 0, skip)
    assert outcome[0] == Status.OK
    plain = (tables, symbols.tolist(), indexes.tolist(), lanes, parts, skip)
    assert stream == reference_lanes.encode(*plain)
    assert reference_lanes.decode(tables, stream, indexes.tolist(), skip) == symbols.tolist()
    check_reading(tables, stream, symbols, indexes, skip)
    return stream


def check_reading(
    tables: Tables, stream: bytes, symbols: NDArray, indexes: NDArray, skip: int = 0
) -> None:
    """Each instruction set reads the stream, with one thread and with three."""
    kernel = native(tables)
    data = np.frombuffer(stream, np.uint8)
    for name in isa.supported():
        for kind, threads in ((np.uint8, 1), (np.int32, 3)):
            guarded = np.full(symbols.size + 32, 77, np.int32)
            out = guarded[16 : 16 + symbols.size]
            rows = indexes.astype(kind)
            outcome = kernel.decode(data, rows, out, isa.NAMES[name], skip, threads)
            assert outcome[0] == Status.OK
            assert np.array_equal(out, symbols), name
            assert (guarded[:16] == 77).all()
            assert (guarded[16 + symbols.size :] == 77).all()


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_golden_streams(case: dict):
    tables = tables_from_rows(GOLDEN["tables"]["rows"], GOLDEN["tables"]["offset"])
    symbols = np.array(case["symbols"], np.int32)
    indexes = np.array(case["indexes"], np.uint8)
    skip = case.get("skip", 0)
    stream = check(tables, symbols, indexes, case["lanes"], case.get("parts", 1), skip)
    assert stream.hex() == case["stream"]
    if "read_too" in case:
        check_reading(tables, bytes.fromhex(case["read_too"]), symbols, indexes)


@pytest.mark.parametrize("seed", range(45))
def test_reference_agrees_on_random_tables(seed: int):
    """24 cases a seed: each lane count, odd sizes about one turn and about several."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng)
    for lanes in LANES:
        for count in (0, 1, int(rng.integers(0, 3 * lanes + 2)), int(rng.integers(30, 200))):
            outside = float(rng.choice([0, 0, 0.05, 1]))
            check(tables, *draw(rng, tables, count, outside, 2**31), lanes)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 32, 33, 63, 64, 65, 200])
def test_each_number_of_rows(rows: int):
    """Decoders hold few rows in registers and many in memory."""
    tables = gaussian_tables(rows)
    for lanes in (8, 16, 32):
        check(tables, *draw(np.random.default_rng(rows), tables, 400, 0.01), lanes)


@pytest.mark.parametrize("seed", range(30))
def test_parts_and_certain_rows(seed: int):
    """Six cases a seed: parts that are full, short and empty, rows that are left out."""
    rng = np.random.default_rng(1000 + seed)
    for lanes in LANES:
        tables = random_tables(rng)
        parts = int(rng.choice([1, 2, 4, 8, 256]))
        skip = int(rng.integers(0, tables.rows + 1))
        count = int(rng.integers(0, 70 * min(parts, 8)))
        symbols, indexes = draw(rng, tables, count, float(rng.choice([0, 0.05, 1])), 2**31)
        symbols[indexes < skip] = 0
        check(tables, symbols, indexes, lanes, parts, skip)


def test_encoder_chooses_lanes_and_parts_by_the_size():
    tables = gaussian_tables()
    rng = np.random.default_rng(3)
    found = set()
    for count in (0, 1, 500, 6_000, 9_000, 16_000, 30_000, 50_000, 100_000, 200_000):
        stream = check(tables, *draw(rng, tables, count, 0.001), None, None)
        found.add((stream[0] & 7, stream[0] >> 4))
        assert 3 * (1 << (stream[0] & 7)) << (stream[0] >> 4) <= max(3, len(stream) * 0.005)
    assert {lanes for lanes, _ in found} == {0, 1, 2, 3, 4, 5}
    assert {parts for _, parts in found} >= {0, 1}


def test_symbols_of_certain_rows_must_be_zero():
    tables = gaussian_tables()
    symbols, indexes = draw(np.random.default_rng(8), tables, 5_000, 0)
    symbols[indexes < 20] = 0
    coder = Coder(tables, skip=20)
    stream = coder.encode(symbols, indexes, form="lanes", parts=8)
    assert len(stream) < len(Coder(tables).encode(symbols, indexes, form="lanes", parts=8))
    assert np.array_equal(coder.decode(stream, indexes, form="lanes"), symbols)
    place = int(np.flatnonzero(indexes < 20)[-1])
    symbols[place] = -3
    with pytest.raises(UsageError, match=f"element {place}: found -3, expected 0.*skip = 20"):
        coder.encode(symbols, indexes, form="lanes", parts=8)
    for wrong in (-1, 65):
        with pytest.raises(UsageError, match=f"skip: found {wrong}, expected 0 to 64"):
            Coder(tables, skip=wrong)
    with pytest.raises(UsageError, match="parts: found 3, expected a power of two"):
        coder.encode(symbols, indexes, form="lanes", parts=3)


@pytest.mark.parametrize("offset", [-(2**24), 2**24])
def test_every_int32_at_both_ends_of_the_offset(offset: int):
    tables = tables_from_rows([[0, 40000, 65536]], [offset])
    ends = np.array([-(2**31), 2**31 - 1, 0, -1, offset, offset - 1, offset + 1] * 20, np.int32)
    for lanes in LANES:
        check(tables, ends, np.zeros(ends.size, np.uint8), lanes)


def test_longest_row_and_most_certain_row():
    tables = tables_from_rows(
        [list(range(65537)), [0, 65535, 65536], [0, 1, 65536]], [-32768, 0, 0]
    )
    rng = np.random.default_rng(4)
    indexes = rng.integers(0, 3, 3_000).astype(np.uint8)
    symbols = np.where(indexes == 0, rng.integers(-32770, 32770, 3_000), 0).astype(np.int32)
    check(tables, symbols, indexes, 32)
    check(tables, symbols, indexes, 8)


def test_size_is_close_to_the_ideal_code_length():
    """The bound of the form's description, over five rates, lanes included."""
    tables = gaussian_tables()
    rng = np.random.default_rng(5)
    for rows in (8, 16, 24, 40, 64):
        indexes = rng.integers(0, rows, 100_000).astype(np.uint8)
        scales = np.exp(np.linspace(np.log(0.11), np.log(256), 64))[indexes]
        reach = -tables.offset[indexes]
        symbols = np.clip(np.rint(rng.normal(0, scales)), -reach, reach).astype(np.int32)
        value = symbols - tables.offset[indexes]
        sizes = tables.cdf[indexes, value + 1] - tables.cdf[indexes, value]
        ideal = float(np.sum(16 - np.log2(sizes))) / 8
        size = len(Coder(tables).encode(symbols, indexes, form="lanes"))
        assert ideal < size < ideal * 1.005 + 8


def test_coder_takes_shapes_types_threads_and_out():
    tables = gaussian_tables()
    coder = Coder(tables)
    symbols, indexes = draw(np.random.default_rng(1), tables, 60)
    stream = coder.encode(symbols, indexes, form="lanes")
    assert coder.encode(symbols, indexes, form="lanes", threads=8) == stream
    for kind in (np.uint8, np.int16, np.int64):
        shaped = indexes.astype(kind).reshape(3, 4, 5)
        out = np.empty((3, 4, 5), np.int32)
        assert coder.decode(memoryview(stream), shaped, "lanes", threads=4, out=out) is out
        assert np.array_equal(out, symbols.reshape(3, 4, 5))
    cases = [draw(np.random.default_rng(seed), tables, 2_000) for seed in range(8)]
    fresh = Coder(tables)
    with ThreadPoolExecutor(4) as pool:
        streams = list(pool.map(lambda case: fresh.encode(*case, form="lanes"), cases * 4))
        decoded = list(
            pool.map(lambda s, c: fresh.decode(s, c[1], form="lanes"), streams, cases * 4)
        )
    assert all(np.array_equal(d, c[0]) for d, c in zip(decoded, cases * 4, strict=True))


def test_environment_chooses_the_instructions(monkeypatch: pytest.MonkeyPatch):
    tables = gaussian_tables()
    symbols, indexes = draw(np.random.default_rng(2), tables, 20_000)
    stream = Coder(tables).encode(symbols, indexes, form="lanes")
    for name in isa.supported():
        monkeypatch.setenv(isa.VARIABLE, name)
        assert isa.choose() == isa.NAMES[name]
        assert np.array_equal(Coder(tables).decode(stream, indexes, form="lanes"), symbols)
    monkeypatch.setenv(isa.VARIABLE, "sse9")
    with pytest.raises(UsageError, match="'sse9', expected one of scalar, neon, avx2, avx512"):
        Coder(tables).decode(stream, indexes, form="lanes")
    monkeypatch.setenv(isa.VARIABLE, "neon")
    monkeypatch.setattr(isa, "isa_supported", lambda asked: asked == _kernels.Isa.SCALAR)
    with pytest.raises(UsageError, match="does not have, expected one of scalar; unset"):
        Coder(tables).decode(stream, indexes, form="lanes")


def test_wrong_indexes_are_named_by_every_instruction_set():
    tables = gaussian_tables()
    kernel = native(tables)
    symbols, indexes = draw(np.random.default_rng(6), tables, 3_000)
    for place in (0, 31, 1_000, 2_999):
        for value in (64, -1, 2**31 - 1, -(2**31)):
            wrong = indexes.astype(np.int32)
            wrong[place] = value
            assert kernel.encode(symbols, wrong)[0] == (Status.BAD_INDEX, place, value)
            for lanes in LANES:
                data = np.frombuffer(kernel.encode(symbols, indexes, lanes)[1], np.uint8)
                for name in isa.supported():
                    outcome = kernel.decode(data, wrong, np.empty(3_000, np.int32), isa.NAMES[name])
                    assert outcome == (Status.BAD_INDEX, place, value)
    with pytest.raises(UsageError, match="element 1: found 64, expected 0 to 63"):
        Coder(tables).encode(np.zeros(2, int), np.array([0, 64]), form="lanes")


def test_kernel_refuses_what_it_cannot_do():
    kernel = native(gaussian_tables())
    two, three = np.zeros(2, np.int32), np.zeros(3, np.int32)
    for lanes in (3, 33, 64):
        with pytest.raises(ValueError, match="lanes: expected 0"):
            kernel.encode(two, two, lanes)
    with pytest.raises(ValueError, match="indexes: found 3 elements, expected 2"):
        kernel.encode(two, three)
    with pytest.raises(ValueError, match="out: found 3 elements, expected 2"):
        kernel.decode(np.zeros(8, np.uint8), two, three, _kernels.Isa.SCALAR)


def test_corruption_says_what_was_found():
    tables = gaussian_tables()
    coder = Coder(tables)
    symbols, indexes = draw(np.random.default_rng(4), tables, 200, outside=0)
    stream = coder.encode(symbols, indexes, form="lanes")
    escaped = coder.encode(np.array([10**6]), np.array([0]), form="lanes")
    assert stream[:1] == b"\10"
    stream = b"\0\0" + stream[1:]
    for data, message in (
        (b"", "truncated: found 0 bytes"),
        (b"\6" + stream[1:], "first byte: found 6, expected logarithms"),
        (b"\x90" + stream[1:], "first byte: found 144, expected logarithms"),
        (b"\x10\x7f" + stream[2:20], "truncated: found 20 bytes"),
        (b"\x10\x80\0" + stream[2:20], "length of a section: found no valid number"),
        (b"\0" + b"\xff" * 9, "length of a section: found no valid number"),
        (b"\0\x80\0" + stream[2:], "length of a section: found no valid number"),
        (stream[:5], "truncated: found 5 bytes"),
        (b"\0\x7f" + stream[2:20], "truncated: found 20 bytes"),
        (stream[:-1], "leave half a word"),
        (stream[:-2], f"truncated: found {len(stream) - 2} bytes, expected more at symbol"),
        (stream + b"\1\2", "trailing words: found 1 after 200 symbols"),
        (b"\0\2" + stream[2:] + b"\1\1", "trailing escaped values: found 2 bytes"),
        (b"\0\0\xff\xff\0\0" + stream[6:], "first state of lane 0: found 0xffff"),
    ):
        with pytest.raises(CorruptStream, match=message):
            coder.decode(data, indexes, form="lanes")
        with pytest.raises(CorruptStream):
            reference_lanes.decode(tables, data, indexes.tolist())
    with pytest.raises(CorruptStream, match="wrong final state: found 0x10001, expected 0x10000"):
        coder.decode(b"\0\0\1\0\1\0", indexes[:0], form="lanes")
    spellings = (b"\x80\x80\0", b"\xff" * 5 + b"\1", b"\xff\xff\xff\xff\x7f", b"\x80")
    for spelling in spellings:
        data = escaped[:1] + bytes([len(spelling)]) + escaped[2:-3] + spelling
        with pytest.raises(CorruptStream, match=r"escaped value of symbol 0: found \d bytes"):
            coder.decode(data, np.array([0]), form="lanes")
        with pytest.raises(CorruptStream):
            reference_lanes.decode(tables, data, [0])
