"""The `lanes` stream form in plain Python: slow, complete, and the oracle of the kernels.

Read `latentsr.entropy.reference` first: slots, escapes and zig-zag numbers are the same. What
differs is that N small coders, the lanes, take turns. Symbol i belongs to lane i mod N, all
lanes share one list of words, and escaped values stand apart, so that a decoder works on many
symbols at once and never stops for one.

    stream = byte        log2 N: 0 to 5
             varint      S, the length of the side section in bytes
             state * N   32 bits each, little-endian: where the decoder starts, lane 0 first
             word ...    16 bits each, little-endian, in the order in which a decoder needs them
             S bytes     side section: `zigzag(v, n)` of each escaped value as a varint

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
MAX_VARINT = 5
BYTES_PER_LANE = 600
"""Bytes that a stream must have for each lane; a lane costs about 3, hence at most 0.5 %."""


def encode(
    tables: Tables, symbols: Sequence[int], indexes: Sequence[int], lanes: int | None = None
) -> bytes:
    """Code `symbols` (int32 values), each with the table row that `indexes` names.

    `lanes` is 1, 2, 4, 8, 16 or 32; None takes the most that the stream's size is worth.
    """
    side = _side_section(tables, symbols, indexes)
    states, words = _encode_lanes(tables, symbols, indexes, lanes or MAX_LANES)
    if lanes is None:
        worth = (2 * len(words) + len(side)) // BYTES_PER_LANE
        chosen = max((n for n in (2, 4, 8, 16, 32) if n <= worth), default=1)
        states, words = _encode_lanes(tables, symbols, indexes, chosen)
    header = bytes([len(states).bit_length() - 1]) + varint(len(side))
    return header + struct.pack(f"<{len(states)}I{len(words)}H", *states, *words) + side


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


def decode(tables: Tables, data: bytes, indexes: Sequence[int]) -> list[int]:
    """Decode one symbol for each of `indexes`.

    Raises:
        CorruptStream: the bytes are no stream of these tables and indexes, as far as the form
            lets a reader notice.
    """
    reader = _Reader(data)
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

    def __init__(self, data: bytes) -> None:
        if not data or data[0] > 5:
            raise CorruptStream(f"first byte: found {data[:1].hex()}, expected 00 to 05")
        self.lanes = 1 << data[0]
        side, rest = take_varint(data[1:])
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
