"""The `compressai` stream form in plain Python: slow, complete, and the oracle of the kernels.

A stream is what an rANS coder leaves behind. All symbols are folded into one whole number, the
state; where it grows too large its low 32 bits move to a list of words. Written down are the
last state and the words, so a decoder can unfold the symbols one by one, first symbol first.
CompressAI's `ans` coder reads and writes the same bytes.

    stream = word word ...            32 bits each, little-endian, no header
             low half of the state, high half, then words in the order a decoder needs them

Three rules make the form; everything else follows from them.

1. A *slot* is an interval of the 2^bits values that the state can have modulo 2^bits. Row r of
   the tables cuts 2^16 values into slots. Coding a slot multiplies the state by about
   2^bits / size, so it costs log2(2^bits / size) bits: likely values have large slots.
2. Between two steps the state lies in [2^31, 2^63). An encoder starts at 2^31 and moves a word
   out *before* a step that would leave the interval; a decoder takes one in *after* a step that
   did. The two are each other's inverse, so a right decode ends at 2^31 with no word left. That
   is the only check that the form has.
3. The value v = symbol - offset[r] has slot v when 0 <= v < n, where n is the number of the last
   slot. Slot n is the *escape*, and says that v follows in groups, which are slots of size 1 out
   of 2^4: the number of groups, then the groups of `zigzag(v, n)`, low bits first.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from latentsr.entropy.tables import Tables
from latentsr.errors import CorruptStream

STATE_LOW = 1 << 31
STATE_END = 1 << 63
WORD_BITS = 32
TABLE_BITS = 16
GROUP_BITS = 4
MAX_GROUPS = 9
"""What any int32 symbol needs with offsets up to 2^24; CompressAI's own encoder stops at 7."""

INT32 = range(-(1 << 31), 1 << 31)


class Slot(NamedTuple):
    """The interval [start, start + size) out of 2^bits."""

    start: int
    size: int
    bits: int


def encode(tables: Tables, symbols: Sequence[int], indexes: Sequence[int]) -> bytes:
    """Code `symbols` (int32 values), each with the table row that `indexes` names.

    Returns the stream, 4 * k bytes with k >= 2.
    """
    slots: list[Slot] = []
    for symbol, index in zip(symbols, indexes, strict=True):
        slots += slots_of(tables, int(symbol), int(index))
    state = STATE_LOW
    words: list[int] = []
    for start, size, bits in reversed(slots):  # what goes in last comes out first
        if state >= size * (STATE_END >> bits):
            words.append(state % (1 << WORD_BITS))
            state >>= WORD_BITS
        state = ((state // size) << bits) + start + state % size
    words += [state >> WORD_BITS, state % (1 << WORD_BITS)]
    return struct.pack(f"<{len(words)}I", *reversed(words))


def decode(tables: Tables, data: bytes, indexes: Sequence[int]) -> list[int]:
    """Decode one symbol for each of `indexes`.

    Raises:
        CorruptStream: the bytes are no stream of these tables and indexes, as far as the form
            lets a reader notice.
    """
    reader = _Reader(data)
    symbols = []
    for index in indexes:
        length = int(tables.length[index])
        cdf = tables.cdf[index, :length].tolist()
        value = bisect_right(cdf, reader.peek(TABLE_BITS)) - 1
        reader.take(Slot(cdf[value], cdf[value + 1] - cdf[value], TABLE_BITS))
        if value == length - 2:
            value = unzigzag(_take_raw(reader), length - 2)
        symbol = value + int(tables.offset[index])
        if symbol not in INT32:
            raise CorruptStream(f"escaped value: found {symbol}, expected an int32")
        symbols.append(symbol)
    reader.finish()
    return symbols


def slots_of(tables: Tables, symbol: int, index: int) -> list[Slot]:
    """All slots of one symbol in the order in which a decoder reads them."""
    cdf = tables.cdf[index]
    escape = int(tables.length[index]) - 2
    value = symbol - int(tables.offset[index])
    inside = 0 <= value < escape
    number = value if inside else escape
    start, end = int(cdf[number]), int(cdf[number + 1])
    slots = [Slot(start, end - start, TABLE_BITS)]
    if not inside:
        raw = zigzag(value, escape)
        count = -(-raw.bit_length() // GROUP_BITS)
        groups = [count, *((raw >> (i * GROUP_BITS)) % (1 << GROUP_BITS) for i in range(count))]
        slots += [Slot(group, 1, GROUP_BITS) for group in groups]
    return slots


def zigzag(value: int, escape: int) -> int:
    """Raw number of a value outside [0, escape): even above, odd below, small near the row."""
    return 2 * (value - escape) if value >= escape else -2 * value - 1


def unzigzag(raw: int, escape: int) -> int:
    """Inverse of `zigzag`."""
    return -(raw >> 1) - 1 if raw % 2 else (raw >> 1) + escape


class _Reader:
    """A decoder's state, and the words that it has not taken in yet."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 8 or len(data) % 4:
            raise CorruptStream(f"stream: found {len(data)} bytes, expected 4 * k with k >= 2")
        low, high, *self.words = struct.unpack(f"<{len(data) // 4}I", data)
        self.state = (high << WORD_BITS) + low
        if not STATE_LOW <= self.state < STATE_END:
            raise CorruptStream(f"first state: found {self.state:#x}, expected 2^31 to 2^63 - 1")

    def peek(self, bits: int) -> int:
        """The point out of 2^bits that lies in the next slot."""
        return self.state % (1 << bits)

    def take(self, slot: Slot) -> None:
        """Undo the encoder's step for this slot, which holds `peek(slot.bits)`."""
        self.state = (self.state >> slot.bits) * slot.size + self.peek(slot.bits) - slot.start
        if self.state < STATE_LOW:
            if not self.words:
                raise CorruptStream("stream: found its end, expected more words; it is truncated")
            self.state = (self.state << WORD_BITS) + self.words.pop(0)

    def finish(self) -> None:
        """Check that everything the encoder put in has come out."""
        if self.words:
            raise CorruptStream(f"stream: found {len(self.words)} words too many, expected none")
        if self.state != STATE_LOW:
            raise CorruptStream(f"last state: found {self.state:#x}, expected {STATE_LOW:#x}")


def _take_raw(reader: _Reader) -> int:
    """The raw number after an escape; refuses what no encoder writes."""
    count = _take_group(reader)
    if count > MAX_GROUPS:
        raise CorruptStream(f"escaped value: found {count} groups, expected at most {MAX_GROUPS}")
    groups = [_take_group(reader) for _ in range(count)]
    if groups and groups[-1] == 0:
        raise CorruptStream("escaped value: found a highest group of 0, expected 1 to 15")
    return sum(group << (i * GROUP_BITS) for i, group in enumerate(groups))


def _take_group(reader: _Reader) -> int:
    group = reader.peek(GROUP_BITS)
    reader.take(Slot(group, 1, GROUP_BITS))
    return group
