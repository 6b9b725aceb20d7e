"""Streams of the `lanes` form on their way to a GPU and from there.

What is coded there gets a room of one to two bytes a symbol at first, many times what latents come
to, or by the last stream's rate; should it need more, the coder says how much and codes once more.
A stream's size is one of the findings: as many bytes as the last one had for as many symbols, and a
quarter more, come down with them; what then is missing is waited for once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from latentsr._kernels import Status
from latentsr.backends.device_pool import DeviceArray, Pools, working
from latentsr.cuda import DecodePlan, EncodeArrays, EncodePlan, steps
from latentsr.cuda.batch import MOST_DECODED, OUTCOME, STREAM, TARGET
from latentsr.pipeline.device_tables import DeviceTables, power_of_two, raise_fault

GIVEN = np.dtype([("target", TARGET), ("stream", STREAM)])
"""What goes up for a stream to be made."""
BEGIN = STREAM.itemsize
"""Of a stream's bytes, which one copy brings with their place."""


def bring_up(pools: Pools, plan: DecodePlan) -> tuple[DeviceArray, np.ndarray]:
    """Room for a plan's one stream and its place, and both in page-locked memory."""
    used = BEGIN + plan.data.size
    room = power_of_two(used)
    staging = pools.pinned((room,), np.uint8)[:used]
    staging[:BEGIN] = plan.streams.view(np.uint8)
    staging[BEGIN:] = plan.data
    return pools.array((room,), np.uint8), staging


class Symbols(NamedTuple):
    """Symbols to be coded and their table rows; counted: those that the CRC is of."""

    coded: DeviceArray
    rows: DeviceArray
    counted: DeviceArray


class _Coded(NamedTuple):
    """A stream in its room, where `size` is not beyond it. begin: the bytes that came down."""

    data: DeviceArray
    size: int
    crc: int
    begin: np.ndarray


class StreamMaker:
    """Makes one stream, and brings down what was found on the way to its symbols.

    findings: type of that; its size is a multiple of 8. parts: as for `Coder.encode`, 0 leaves the
    choice to the encoder.
    """

    def __init__(self, tables: DeviceTables, findings: np.dtype, parts: int = 0) -> None:
        self._tables, self._pools, self._parts = tables, tables.pools, parts
        self._stream = tables.pools.device.stream()
        self._found = np.dtype([("outcome", OUTCOME), ("own", findings), ("crc", "<u4")])
        self.sheet = self._pools.array((1,), np.dtype([("given", GIVEN), ("found", self._found)]))
        self.findings = self.sheet.address + GIVEN.itemsize + OUTCOME.itemsize
        self._crc = self.findings + findings.itemsize

    def make(self, symbols: Symbols, check: Callable[[np.void], None]) -> tuple[bytes, int]:
        """The stream, and the CRC-32 of the symbols that are counted.

        check: raises for what was found, before anything else is looked at. Raises what
        `Coder.encode` raises.
        """
        count = symbols.coded.size
        room = power_of_two(max(count, self._tables.guess(count)))
        coded = self._code(symbols, room, check)
        if coded.size > room:
            coded = self._code(symbols, power_of_two(coded.size), check)
        self._tables.note(coded.size, count)
        return self._bring_down(coded), coded.crc

    def _code(self, symbols: Symbols, room: int, check: Callable[[np.void], None]) -> _Coded:
        """The stream, with the symbols' CRC; one beyond the room is not written."""
        stream, pools, rows = self._stream, self._pools, symbols.rows
        size = symbols.coded.size
        plan = EncodePlan.of([size], parts=self._parts, room=min(room, MOST_DECODED))
        data = pools.array((room,), np.uint8)
        scratch = pools.array((plan.sizes(rows.dtype.itemsize)["scratch"],), np.uint8)
        given = pools.pinned((1,), GIVEN)
        given["target"] = plan.targets
        given["stream"] = (0, 0, 0, size)
        found = pools.pinned((1,), self._found)
        begin = self._host_bytes(min(self._tables.guess(size), room))
        at = self.sheet.address
        arrays = EncodeArrays(
            self._tables.tables.address, at, symbols.coded.address, rows.address,
            scratch.address, data.address, at + GIVEN.itemsize,
        )  # fmt: skip
        own = {array.block: None for array in (*symbols, data, scratch, self.sheet)}
        with working(stream, *own):
            stream.upload(self.sheet.block.memory, given)
            self._tables.coder.encode(plan, arrays, rows.dtype.itemsize, stream.handle)
            steps.crc_of_symbols(
                symbols.counted.address, at + TARGET.itemsize, 1, self._crc, stream=stream.handle
            )
            stream.download(found, self.sheet.block.memory, GIVEN.itemsize)
            if begin.size:
                stream.download(begin, data.block.memory)
        stream.synchronize()
        check(found[0]["own"])
        self._check(found[0]["outcome"])
        size = int(found[0]["outcome"]["size"])
        return _Coded(data, size, int(found[0]["crc"]), begin[:size])

    def _check(self, outcome: np.void) -> None:
        """Raise for what the coder found; a want of room is no fault."""
        if Status(int(outcome["result"]["status"])) != Status.TRUNCATED:
            raise_fault(self._tables.coder.encode_faults(outcome.reshape(1)))

    def _bring_down(self, coded: _Coded) -> bytes:
        """The whole stream."""
        data, size, _, begin = coded
        if begin.size == size:
            return begin.tobytes()
        rest = self._host_bytes(size - begin.size)
        with working(self._stream, data.block):
            self._stream.download(rest, data.block.memory, begin.size)
        self._stream.synchronize()
        return begin.tobytes() + rest.tobytes()

    def _host_bytes(self, size: int) -> np.ndarray:
        return self._pools.pinned((power_of_two(size),), np.uint8)[:size]
