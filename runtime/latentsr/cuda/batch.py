"""Batches of `lanes` streams: how they lie in device memory, and how much of it they take.

The arrays of this file are the structs of kernels/include/latentsr/cuda/lane_batch.h. Plans are
made on the host; the caller copies their arrays to the device and gives room for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.cuda.module import compiled
from latentsr.errors import UsageError

MAX_LANES = 32
MAX_PARTS = 256
MOST_DECODED = (1 << 32) - 1
MOST_ENCODED = 1 << 29
"""Symbols of one stream."""

STREAM = np.dtype("<u8, <u8, <u4, <u4")
STREAM.names = ("data", "first", "size", "count")
TARGET = np.dtype("<u8, <u8, <u4, <u4, <u4, <u4")
TARGET.names = ("first", "room", "size", "count", "lanes", "parts")
RESULT = np.dtype(
    {
        "names": ["status", "position", "detail"],
        "formats": ["<i4", "<u8", "<i8"],
        "offsets": [0, 8, 16],
        "itemsize": 24,
    }
)
OUTCOME = np.dtype([("result", RESULT), ("size", "<u8")])


@dataclass(frozen=True)
class DecodePlan:
    """Streams one behind the other, and their symbols likewise.

    data: uint8, all streams. streams: `STREAM`, one each. most_parts: of the stream that has the
    most. symbols: of all streams; indexes and symbols lie in the order of the streams.
    """

    data: NDArray[np.uint8]
    streams: NDArray[np.void]
    most_parts: int
    symbols: int

    @staticmethod
    def of(streams: Sequence[bytes], counts: Sequence[int]) -> DecodePlan:
        """Plan to decode `counts[i]` symbols from the whole stream `streams[i]`; any bytes.

        Raises:
            UsageError: other numbers of streams and counts, or more than 2^32 - 1 symbols or
                bytes in a stream.
        """
        if len(streams) != len(counts):
            raise UsageError(f"counts: found {len(counts)}, expected {len(streams)}, the streams")
        for name, sizes in (("stream", map(len, streams)), ("count", iter(counts))):
            for i, size in enumerate(sizes):
                if not 0 <= size <= MOST_DECODED:
                    raise UsageError(f"{name} {i}: found {size}, expected 0 to {MOST_DECODED}")
        table = np.zeros(len(streams), STREAM)
        table["size"], table["count"] = [len(one) for one in streams], counts
        table["data"], table["first"] = _starts(table["size"]), _starts(table["count"])
        parts = [1 << (one[0] >> 4) for one in streams if len(one) and one[0] >> 4 <= 8]
        data = np.frombuffer(b"".join(streams), np.uint8)
        return DecodePlan(data, table, max(parts, default=1), int(sum(counts)))

    def sizes(self, index_bytes: int = 1) -> dict[str, int]:
        """Bytes of each device array but the tables, by its name in `DecodeArrays`."""
        streams = self.streams.size
        return {
            "streams": self.streams.nbytes,
            "data": self.data.nbytes,
            "indexes": self.symbols * index_bytes,
            "out": self.symbols * 4,
            "part_results": streams * self.most_parts * RESULT.itemsize,
            "results": streams * RESULT.itemsize,
        }


@dataclass(frozen=True)
class DecodeArrays:
    """Device addresses for a decode; `DecodePlan.sizes` says how many bytes each has.

    tables: copy of `DeviceCoder.packed`. streams, data: copies of the plan's arrays; data needs no
    alignment. indexes: table rows, uint8 or int32; any values are safe. out: int32 symbols,
    written. part_results: scratch. results: `RESULT`, written; see `DeviceCoder.faults`.
    """

    tables: int
    streams: int
    data: int
    indexes: int
    out: int
    part_results: int
    results: int


@dataclass(frozen=True)
class EncodePlan:
    """Symbols one array behind the other, and rooms for their streams likewise.

    targets: `TARGET`, one for each stream. most_parts: room is kept for so many. symbols: of all
    streams. room: bytes of all rooms.
    """

    targets: NDArray[np.void]
    most_parts: int
    symbols: int
    room: int

    @staticmethod
    def of(
        counts: Sequence[int], lanes: int = 0, parts: int = 0, room: int | None = None
    ) -> EncodePlan:
        """Plan to encode `counts[i]` symbols into stream i.

        Args:
            counts: symbols of each stream, at most 2^29.
            lanes, parts: as for `Coder.encode`; 0 leaves the choice to the encoder.
            room: bytes kept for each stream; None keeps what no stream exceeds, about 7 a
                symbol. A stream that does not fit is a fault of its own that tells its size.

        Raises:
            UsageError: a number out of its range.
        """
        for name, found, most in (("lanes", lanes, MAX_LANES), ("parts", parts, MAX_PARTS)):
            if not 0 <= found <= most or found & (found - 1):
                raise UsageError(f"{name}: found {found}, expected 0 or a power of two to {most}")
        for i, count in enumerate(counts):
            if not 0 <= count <= MOST_ENCODED:
                raise UsageError(f"count {i}: found {count}, expected 0 to {MOST_ENCODED}")
        bound = compiled().encode_bound
        rooms = [
            min(bound(count, lanes or MAX_LANES, parts or MAX_PARTS), MOST_DECODED)
            if room is None
            else room
            for count in counts
        ]
        table = np.zeros(len(counts), TARGET)
        table["size"], table["count"] = rooms, counts
        table["room"], table["first"] = _starts(table["size"]), _starts(table["count"])
        table["lanes"], table["parts"] = lanes, parts
        return EncodePlan(table, parts or MAX_PARTS, int(sum(counts)), int(sum(rooms)))

    def sizes(self, index_bytes: int = 1) -> dict[str, int]:
        """Bytes of each device array but the tables, by its name in `EncodeArrays`."""
        targets = self.targets.size
        return {
            "targets": self.targets.nbytes,
            "symbols": self.symbols * 4,
            "indexes": self.symbols * index_bytes,
            "scratch": compiled().encode_scratch(self.symbols, targets, self.most_parts),
            "data": self.room,
            "outcomes": targets * OUTCOME.itemsize,
        }


@dataclass(frozen=True)
class EncodeArrays:
    """Device addresses for an encode; `EncodePlan.sizes` says how many bytes each has.

    tables: copy of `DeviceCoder.packed`. targets: copy of the plan's array. symbols, indexes: int32
    and uint8 or int32; any values are safe. scratch: at a multiple of 256. data: the streams, each
    at the start of its room, written. outcomes: `OUTCOME`, written; see
    `DeviceCoder.encode_faults`.
    """

    tables: int
    targets: int
    symbols: int
    indexes: int
    scratch: int
    data: int
    outcomes: int


def check_index_bytes(found: int) -> None:
    """Raise UsageError for indexes that are neither uint8 nor int32."""
    if found not in (1, 4):
        raise UsageError(f"index_bytes: found {found}, expected 1 (uint8) or 4 (int32)")


def _starts(sizes: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Where each of these begins when they lie one behind the other."""
    ends = np.cumsum(sizes, dtype=np.uint64)
    return ends - sizes.astype(np.uint64)
