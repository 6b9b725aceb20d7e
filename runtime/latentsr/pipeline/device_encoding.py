"""One latent encoded on the GPU to a `lanes` stream: out go 52 bytes of findings and the stream.

Quantised, cleared where the coder leaves symbols out, and coded in one go. The stream gets a room
of one to two bytes a symbol at first, many times what latents come to; should it need more, the
coder says how much and codes once more. Its size is one of the findings: as many bytes as the
chunk's last stream had, and a quarter more, come down with them; what then is missing is waited for
once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from latentsr._kernels import Status
from latentsr.backends.device_pool import DeviceArray, working
from latentsr.cuda import EncodeArrays, EncodePlan, steps
from latentsr.cuda.batch import MOST_DECODED, OUTCOME, STREAM, TARGET
from latentsr.cuda.steps import fault_at
from latentsr.entropy.latents import out_of_range
from latentsr.pipeline.coded_symbols import CodedSymbols
from latentsr.pipeline.device_chunk import DeviceChunk, Parameters, power_of_two, raise_fault

if TYPE_CHECKING:
    from latentsr.pipeline.entropy_step import Coding

GIVEN = np.dtype([("target", TARGET), ("stream", STREAM)])
FINDINGS = np.dtype(
    [("outcome", OUTCOME), ("out_of_range", "<u8"), ("not_a_number", "<u8"), ("crc", "<u4")]
)
SHEET = np.dtype([("given", GIVEN), ("found", FINDINGS)])
"""What goes up for a stream, and what comes down."""

_STREAM = TARGET.itemsize
_OUTCOME = GIVEN.itemsize
_OUT_OF_RANGE = _OUTCOME + OUTCOME.itemsize
_NOT_A_NUMBER = _OUT_OF_RANGE + 8
_CRC = _NOT_A_NUMBER + 8


def encode(
    chunk: DeviceChunk, latent: Any, scales: Any, means: Any, coding: Coding
) -> tuple[bytes, DeviceArray, CodedSymbols]:
    """Code one latent: bytes, the decoder's latent, int32 symbols; see `EntropyModel.encode`.

    latent, scales, means: float32 of one shape, on the host or on a device.
    """
    made = _Encode(chunk, latent.shape)
    parameters = chunk.parameters(latent.shape, scales, means)
    made.quantise(latent, parameters, coding)
    room = power_of_two(made.symbols.size)
    coded = made.code(parameters, room)
    if coded.size > room:
        coded = made.code(parameters, power_of_two(coded.size))
    symbols = CodedSymbols(made.symbols, coded.crc)
    return made.bring_down(coded), made.restored, symbols


class _Coded(NamedTuple):
    """A stream in its room, where `size` is not beyond it. begin: the bytes that came down."""

    data: DeviceArray
    size: int
    crc: int
    begin: np.ndarray


class _Encode:
    """The arrays of one encode."""

    def __init__(self, chunk: DeviceChunk, shape: tuple[int, ...]) -> None:
        self._chunk, self._pools = chunk, chunk.pools
        self._stream = chunk.pools.device.stream()
        self.symbols = self._pools.array(shape, np.int32)
        self.restored = self._pools.array(shape, np.float32)
        self._sheet = self._pools.array((1,), SHEET)

    def quantise(self, latent: Any, given: Parameters, coding: Coding) -> None:
        """Put into the stream all that has to be done before the symbols are coded."""
        chunk, on = self._chunk, self._stream.handle
        symbols, restored, rows = self.symbols, self.restored, given.rows
        source = self._pools.resident(latent)
        own = [array.block for array in (source, symbols, restored, self._sheet)]
        with working(self._stream, *own, *given.blocks):
            steps.symbols_from_latent(
                source.address, given.means, symbols.address, restored.address, symbols.size,
                self._sheet.address + _OUT_OF_RANGE, stream=on,
            )  # fmt: skip
            chunk.find_rows(given, coding, self._sheet.address + _NOT_A_NUMBER, on)
            if chunk.coder.skip:
                steps.clear_certain(
                    rows.address, chunk.coder.skip, given.means, symbols.address,
                    restored.address, symbols.size, rows.dtype.itemsize, on,
                )  # fmt: skip

    def code(self, given: Parameters, room: int) -> _Coded:
        """The stream, with the symbols' CRC; one beyond the room is not written.

        Raises what `EntropyModel.encode` raises for what was found.
        """
        chunk, rows, stream = self._chunk, given.rows, self._stream
        plan = EncodePlan.of([self.symbols.size], room=min(room, MOST_DECODED))
        data = self._pools.array((room,), np.uint8)
        scratch = self._pools.array((plan.sizes(rows.dtype.itemsize)["scratch"],), np.uint8)
        sheet = self._pools.pinned((1,), GIVEN)
        sheet["target"] = plan.targets
        sheet["stream"] = (0, 0, 0, self.symbols.size)
        found = self._pools.pinned((1,), FINDINGS)
        begin = self._host_bytes(min(chunk.stream_guess, room))
        arrays = EncodeArrays(
            chunk.tables.address, self._sheet.address, self.symbols.address, rows.address,
            scratch.address, data.address, self._sheet.address + _OUTCOME,
        )  # fmt: skip
        own = [array.block for array in (self.symbols, rows, data, scratch, self._sheet)]
        with working(stream, *own):
            stream.upload(self._sheet.block.memory, sheet)
            chunk.coder.encode(plan, arrays, rows.dtype.itemsize, stream.handle)
            self._find_crc()
            stream.download(found, self._sheet.block.memory, _OUTCOME)
            if begin.size:
                stream.download(begin, data.block.memory)
        stream.synchronize()
        self._check(found[0])
        size, crc = int(found[0]["outcome"]["size"]), int(found[0]["crc"])
        return _Coded(data, size, crc, begin[:size])

    def bring_down(self, coded: _Coded) -> bytes:
        """The whole stream; the next one's size is guessed by it."""
        data, size, _, begin = coded
        self._chunk.stream_guess = size + size // 4
        if begin.size == size:
            return begin.tobytes()
        rest = self._host_bytes(size - begin.size)
        with working(self._stream, data.block):
            self._stream.download(rest, data.block.memory, begin.size)
        self._stream.synchronize()
        return begin.tobytes() + rest.tobytes()

    def _find_crc(self) -> None:
        at = self._sheet.address
        steps.crc_of_symbols(
            self.symbols.address, at + _STREAM, 1, at + _CRC, stream=self._stream.handle
        )

    def _host_bytes(self, size: int) -> np.ndarray:
        return self._pools.pinned((power_of_two(size),), np.uint8)[:size]

    def _check(self, found: np.void) -> None:
        """Raise what `EntropyModel` raises for these findings; a want of room is none of them."""
        if (position := fault_at(int(found["out_of_range"]))) is not None:
            raise out_of_range(self._chunk.model.chunk.name, position)
        self._chunk.check_scales(int(found["not_a_number"]))
        outcome = found["outcome"]
        if Status(int(outcome["result"]["status"])) != Status.TRUNCATED:
            raise_fault(self._chunk.coder.encode_faults(outcome.reshape(1)))
