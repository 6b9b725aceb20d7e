"""The `lanes` stream form in plain Python: slow, complete, and the oracle of the kernels.

Read `latentsr.entropy.reference` first: slots, escapes and zig-zag numbers are the same. What
differs is that N small coders, the lanes, take turns, so that a decoder works on many symbols at
once; that escaped values stand apart, so that it never stops for one; and that long streams
consist of P parts that do not need each other, so that threads share the work.

    stream = byte        bits 0-2: log2 N, 0 to 5; bit 3: no part has a side section;
                         bits 4-7: log2 P, 0 to 8
             varint ...  the length in bytes of each part but the last
             part ...    P of them

    part   = varint      S, the length of the side section in bytes; not with bit 3
             state * N   32 bits each, little-endian: where the decoder starts, lane 0 first
             word ...    16 bits each, little-endian, in the order in which a decoder needs them
             S bytes     side section: `zigzag(v, n)` of each escaped value as a varint

Part p holds the symbols p K to (p + 1) K - 1, K = 64 ceil(count / (64 P)), as far as there are
so many. Symbols of rows below `skip` are 0 and not coded; number j of a part's other symbols
belongs to lane j mod N.

A varint holds 7 bits a byte, low bits first; all bytes but the last have their high bit set, the
last is zero only for the number 0, and there are at most 5. A lane's state lies in
[2^16, 2^32) between two steps; an encoder starts all of them at 2^16 and runs backwards, so a
right decode ends there, with no word and no side byte left. The comment in
kernels/include/latentsr/rans_lanes.h says why these numbers were chosen.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence

from latentsr.entropy.reference import INT32, TABLE_BITS, slots_of, unzigzag, zigzag
from latentsr.entropy.tables import Tables
from latentsr.errors import CorruptStream

STATE_LOW = 1 << 16
WORD_BITS = 16
MAX_LANES = 32
MAX_PARTS = 256
MAX_VARINT = 5
BYTES_PER_LANE = 1500
"""Bytes that a stream must have for each lane; a lane costs about 3, hence at most 0.2 %."""
SAMPLES = 1024
ESCAPE_BITS = 16
_NO_SIDE = 8


def encode(
    tables: Tables,
    symbols: Sequence[int],
    indexes: Sequence[int],
    lanes: int | None = None,
    parts: int | None = None,
    skip: int = 0,
) -> bytes:
    """Code `symbols` (int32 values), each with the table row that `indexes` names.

    `lanes` is a power of two up to 32, `parts` one up to 256; None takes the most that the size
    to be expected is worth. `skip`: rows below it are certain, their symbols must be 0.
    """
    worth = expected_bytes(tables, symbols, indexes, skip) // BYTES_PER_LANE
    lanes = lanes or max(n for n in (1, 2, 4, 8, 16, 32) if n <= max(worth, 1))
    parts = parts or max(1 << k for k in range(9) if 1 << k <= max(worth // MAX_LANES, 1))
    coded = []
    for first, last in part_bounds(len(symbols), parts):
        kept = [i for i in range(first, last) if indexes[i] >= skip]
        if any(symbols[i] for i in range(first, last) if indexes[i] < skip):
            raise ValueError("symbols of certain rows must be 0")
        values, rows = [symbols[i] for i in kept], [indexes[i] for i in kept]
        side = _side_section(tables, values, rows)
        coded.append((*_encode_lanes(tables, values, rows, lanes), side))
    has_side = any(side for _, _, side in coded)
    bodies = [
        (varint(len(side)) if has_side else b"")
        + struct.pack(f"<{lanes}I{len(words)}H", *states, *words)
        + side
        for states, words, side in coded
    ]
    flags = lanes.bit_length() - 1 | (0 if has_side else _NO_SIDE) | parts.bit_length() - 1 << 4
    return bytes([flags]) + b"".join(varint(len(body)) for body in bodies[:-1]) + b"".join(bodies)


def part_bounds(count: int, parts: int) -> list[tuple[int, int]]:
    """First symbol and the one after the last of each part."""
    each = 64 * -(-count // (64 * parts))
    return [(min(p * each, count), min((p + 1) * each, count)) for p in range(parts)]


def expected_bytes(
    tables: Tables, symbols: Sequence[int], indexes: Sequence[int], skip: int
) -> int:
    """Size to be expected from at most `SAMPLES` symbols at equal, odd distances."""
    step = -(-len(symbols) // SAMPLES) | 1
    length = 0
    for i in range(0, len(symbols), step):
        if indexes[i] >= skip:
            slot = slots_of(tables, int(symbols[i]), int(indexes[i]))[0]
            value = int(symbols[i]) - int(tables.offset[indexes[i]])
            escaped = not 0 <= value < int(tables.length[indexes[i]]) - 2
            length += _code_length(slot.size) + (256 * ESCAPE_BITS if escaped else 0)
    return length * step // (8 * 256)


def _code_length(size: int) -> int:
    """Bits of a slot of `size` in 1/256, by a straight line between powers of two."""
    exponent = size.bit_length() - 1
    return 17 * 256 - 256 * exponent - (size << 8 >> exponent)


def _encode_lanes(
    tables: Tables, symbols: Sequence[int], indexes: Sequence[int], lanes: int
) -> tuple[list[int], list[int]]:
    """Last states, and the words in a decoder's order."""
    states, words = [STATE_LOW] * lanes, []
    for i in reversed(range(len(symbols))):
        slot = slots_of(tables, int(symbols[i]), int(indexes[i]))[0]
        state = states[i % lanes]
        if state >= slot.size << WORD_BITS:
            words.append(state % (1 << WORD_BITS))
            state >>= WORD_BITS
        states[i % lanes] = ((state // slot.size) << slot.bits) + slot.start + state % slot.size
    return states, words[::-1]


def _side_section(tables: Tables, symbols: Sequence[int], indexes: Sequence[int]) -> bytes:
    side = b""
    for symbol, index in zip(symbols, indexes, strict=True):
        value = int(symbol) - int(tables.offset[index])
        escape = int(tables.length[index]) - 2
        if not 0 <= value < escape:
            side += varint(zigzag(value, escape))
    return side


def decode(tables: Tables, data: bytes, indexes: Sequence[int], skip: int = 0) -> list[int]:
    """Decode one symbol for each of `indexes`; `skip` as given to `encode`.

    Raises:
        CorruptStream: the bytes are no stream of these tables and indexes, as far as the form
            lets a reader notice.
    """
    if not data or data[0] % 8 > 5 or data[0] >> 4 > 8:
        raise CorruptStream(f"first byte: found {data[:1].hex()}, expected counts of lanes, parts")
    parts, rest, lengths = 1 << (data[0] >> 4), data[1:], []
    for _ in range(parts - 1):
        length, rest = take_varint(rest)
        lengths.append(length)
    last = len(rest) - sum(lengths)
    if last < 0:
        raise CorruptStream(f"parts: found {len(rest)} bytes, expected at least {sum(lengths)}")
    symbols = [0] * len(indexes)
    for (first, end), length in zip(
        part_bounds(len(indexes), parts), [*lengths, last], strict=True
    ):
        kept = [i for i in range(first, end) if indexes[i] >= skip]
        found = _decode_part(tables, data[0], rest[:length], [indexes[i] for i in kept])
        for i, symbol in zip(kept, found, strict=True):
            symbols[i] = symbol
        rest = rest[length:]
    return symbols


def _decode_part(tables: Tables, flags: int, data: bytes, indexes: Sequence[int]) -> list[int]:
    reader = _Reader(data, 1 << flags % 8, not flags & _NO_SIDE)
    symbols = []
    for i, index in enumerate(indexes):
        length = int(tables.length[index])
        cdf = tables.cdf[index, :length].tolist()
        value = bisect_right(cdf, reader.peek(i)) - 1
        reader.take(i, cdf[value], cdf[value + 1] - cdf[value])
        if value == length - 2:
            raw, reader.side = take_varint(reader.side)
            value = unzigzag(raw, length - 2)
        symbol = value + int(tables.offset[index])
        if symbol not in INT32:
            raise CorruptStream(f"escaped value: found {symbol}, expected an int32")
        symbols.append(symbol)
    reader.finish()
    return symbols


def varint(number: int) -> bytes:
    """The one spelling of a number from 0 to 2^35 - 1."""
    head = b""
    while number >= 128:
        head += bytes([number % 128 + 128])
        number >>= 7
    return head + bytes([number])


def take_varint(data: bytes) -> tuple[int, bytes]:
    """The number that `data` begins with, and the bytes after it."""
    length = next((i + 1 for i, byte in enumerate(data[:MAX_VARINT]) if byte < 128), 0)
    number = sum(byte % 128 << (7 * i) for i, byte in enumerate(data[:length]))
    if varint(number) != data[:length]:
        raise CorruptStream(f"number: found {data[:MAX_VARINT].hex()}, expected a varint")
    return number, data[length:]


class _Reader:
    """The lanes of a decoder, and the words and side bytes that were not taken in yet."""

    def __init__(self, data: bytes, lanes: int, has_side: bool) -> None:
        self.lanes = lanes
        side, rest = take_varint(data) if has_side else (0, data)
        words = len(rest) - 4 * self.lanes - side
        if words < 0 or words % 2:
            raise CorruptStream(f"words: found {words} bytes for them, expected 2 * k")
        numbers = struct.unpack(f"<{self.lanes}I{words // 2}H", rest[: len(rest) - side])
        self.states, self.words = list(numbers[: self.lanes]), list(numbers[self.lanes :])
        self.side = rest[len(rest) - side :]
        if min(self.states) < STATE_LOW:
            raise CorruptStream(f"first state: found {min(self.states)}, expected at least 2^16")

    def peek(self, symbol: int) -> int:
        """The point out of 2^16 that lies in the slot of this symbol's lane."""
        return self.states[symbol % self.lanes] % (1 << TABLE_BITS)

    def take(self, symbol: int, start: int, size: int) -> None:
        """Undo the encoder's step for the slot [start, start + size), which holds `peek`."""
        lane = symbol % self.lanes
        state = (self.states[lane] >> TABLE_BITS) * size + self.peek(symbol) - start
        if state < STATE_LOW:
            if not self.words:
                raise CorruptStream("stream: found its end, expected more words; it is truncated")
            state = (state << WORD_BITS) + self.words.pop(0)
        self.states[lane] = state

    def finish(self) -> None:
        """Check that everything the encoder put in has come out."""
        if self.words or self.side:
            left = f"{len(self.words)} words and {len(self.side)} side bytes"
            raise CorruptStream(f"stream: found {left} too many, expected none")
        if any(state != STATE_LOW for state in self.states):
            raise CorruptStream(f"last states: found {self.states}, expected {STATE_LOW} each")
