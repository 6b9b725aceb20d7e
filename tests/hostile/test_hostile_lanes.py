"""Damaged `lanes` streams: all instruction sets find the same, and never crash or over-read.

LATENTSR_HOSTILE_ROUNDS sets how many damaged streams each kind of damage gets; the long runs use
it together with a build that has the sanitizers in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from damage import flipped, spliced, truncated
from entropy_cases import draw, gaussian_tables, random_tables
from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.entropy import Coder, Tables, isa, reference_lanes
from latentsr.errors import CorruptStream

ROUNDS = int(os.environ.get("LATENTSR_HOSTILE_ROUNDS", "1500"))


class Case(NamedTuple):
    tables: Tables
    kernel: _kernels.LaneTables
    symbols: NDArray[np.int32]
    indexes: NDArray[np.uint8]
    skip: int
    stream: bytes


def header(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    """Another first byte, or another length behind it, over the same payload."""
    side = reference_lanes.varint(int(rng.choice([0, 1, 2, 5, 127, 128, 1 << 20, (1 << 35) - 1])))
    first = rng.integers(0, 8) if rng.random() < 0.5 else rng.integers(0, 256)
    return bytes([first]) + side * int(rng.integers(0, 5)) + stream[2:]


def extreme(rng: np.random.Generator, stream: bytes, other: bytes) -> bytes:
    """Legal first states, then words of all zeros or ones, and the longest escaped values."""
    exponent = int(rng.integers(0, 6))
    states = rng.integers(1 << 16, 1 << 32, 1 << exponent, np.uint32).tobytes()
    words = (b"\0\0" if rng.random() < 0.5 else b"\xff\xff") * int(rng.integers(0, 200))
    side = b"\xff\xff\xff\xff\x07" * int(rng.integers(0, 20))
    return bytes([exponent]) + reference_lanes.varint(len(side)) + states + words + side


DAMAGES = (truncated, flipped, spliced, header, extreme)


def cases(rng: np.random.Generator) -> list[Case]:
    """All lane counts over all kinds of tables, some of them mostly escapes."""
    made = []
    for number in range(18):
        tables = gaussian_tables() if number % 3 == 0 else random_tables(rng)
        kernel = _kernels.LaneTables(_kernels.CdfTables(tables.cdf, tables.length, tables.offset))
        outside = (0.0, 0.1, 1.0)[number // 6]
        symbols, indexes = draw(rng, tables, int(rng.integers(1, 200)), outside, 2**31)
        skip = int(rng.integers(0, tables.rows)) if number % 2 else 0
        symbols[indexes < skip] = 0
        stream = kernel.encode(symbols, indexes, 1 << number % 6, 1 << number % 4, skip)[1]
        made.append(Case(tables, kernel, symbols, indexes, skip, stream))
    return made


def decode_all(case: Case, data: bytes) -> tuple[tuple[Status, int, int], NDArray[np.int32]]:
    """What the instruction sets find, which must be the same."""
    # A copy of its own size, so that a sanitizer sees a read beyond its end.
    copy = np.array(bytearray(data), np.uint8)
    results = []
    for name in isa.supported():
        out = np.zeros(case.indexes.size, np.int32)
        instructions = isa.NAMES[name]
        results.append((case.kernel.decode(copy, case.indexes, out, instructions, case.skip), out))
    for outcome, out in results[1:]:
        assert outcome == results[0][0]
        assert outcome[0] != Status.OK or np.array_equal(out, results[0][1])
    return results[0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_never_escapes(damage: Callable[..., bytes]):
    rng = np.random.default_rng(21)
    made = cases(rng)
    for turn in range(ROUNDS):
        case = made[turn % len(made)]
        data = damage(rng, case.stream, made[rng.integers(0, len(made))].stream)
        outcome, decoded = decode_all(case, data)
        if outcome[0] == Status.OK:
            # What a decoder lets pass is a stream that an encoder would write for those symbols,
            # but for the spelling of "no escapes".
            again = case.kernel.encode(
                decoded, case.indexes, 1 << data[0] % 8, 1 << (data[0] >> 4), case.skip
            )[1]
            if again[0] & ~data[0] & 8:  # side sections of length 0, spelled out
                assert len(again) < len(data)
            else:
                assert again == data


def test_kernel_and_reference_refuse_the_same():
    rng = np.random.default_rng(22)
    made = cases(rng)
    refused = 0
    for turn in range(720):
        case = made[turn % len(made)]
        damage = DAMAGES[turn // len(made) % len(DAMAGES)]
        data = damage(rng, case.stream, made[rng.integers(0, len(made))].stream)
        outcome, decoded = decode_all(case, data)
        try:
            expected = reference_lanes.decode(case.tables, data, case.indexes.tolist(), case.skip)
        except CorruptStream:
            refused += 1
            assert outcome[0] != Status.OK
        else:
            assert outcome[0] == Status.OK
            assert decoded.tolist() == expected
    assert refused > 600


def test_few_single_flips_pass_unnoticed():
    """Every bit of a picture-like stream is flipped once; at most 1 in 100 may pass.

    Here 0.8 %, as in the other form. A flip passes when it turns one symbol into another of the
    same frequency, or one escaped value into another, and leaves all else as it was. Now and then
    a lane goes astray and finds back (18 wrong symbols at most): hence the container's checksums.
    """
    rng = np.random.default_rng(23)
    tables = gaussian_tables()
    symbols, indexes = draw(rng, tables, 6_000, outside=0.001, reach=1 << 10)
    coder = Coder(tables)
    stream = coder.encode(symbols, indexes, form="lanes")
    passed = 0
    for bit in range(8 * len(stream)):
        data = bytearray(stream)
        data[bit // 8] ^= 1 << (bit % 8)
        try:
            decoded = coder.decode(bytes(data), indexes, form="lanes")
        except CorruptStream:
            continue
        assert not np.array_equal(decoded, symbols)
        passed += 1
    assert passed / (8 * len(stream)) <= 1 / 100, f"{passed} of {8 * len(stream)} flips passed"


def test_wrong_indexes_are_noticed():
    """One index beside the right one, at each place: what a floating-point tie does."""
    rng = np.random.default_rng(24)
    tables = gaussian_tables()
    symbols, indexes = draw(rng, tables, 1_500, outside=0)
    coder = Coder(tables)
    stream = coder.encode(symbols, indexes, form="lanes")
    noticed = 0
    for place in range(indexes.size):
        wrong = indexes.copy()
        wrong[place] += 1 if wrong[place] < tables.rows - 1 else -1
        try:
            coder.decode(stream, wrong, form="lanes")
        except CorruptStream:
            noticed += 1
    assert noticed >= 0.98 * indexes.size
