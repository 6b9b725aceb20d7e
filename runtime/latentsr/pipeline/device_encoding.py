"""One latent encoded on the GPU to a `lanes` stream: out go 48 bytes of findings and the stream.

Quantised, cleared where the coder leaves symbols out, and coded in one go. The stream gets a room
of one to two bytes a symbol at first, many times what latents come to; should it need more, the
coder says how much and codes once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr._kernels import Status
from latentsr.backends.device_pool import DeviceArray, working
from latentsr.cuda import EncodeArrays, EncodePlan, steps
from latentsr.cuda.batch import MOST_DECODED, OUTCOME, TARGET
from latentsr.cuda.steps import fault_at
from latentsr.entropy.latents import out_of_range
from latentsr.pipeline.device_chunk import DeviceChunk, Parameters, power_of_two, raise_fault

if TYPE_CHECKING:
    from latentsr.pipeline.entropy_step import Coding

FINDINGS = np.dtype([("outcome", OUTCOME), ("out_of_range", "<u8"), ("not_a_number", "<u8")])
SHEET = np.dtype([("target", TARGET), ("found", FINDINGS)])
"""What goes up for a stream, and what comes down."""

_OUTCOME = TARGET.itemsize
_OUT_OF_RANGE = _OUTCOME + OUTCOME.itemsize
_NOT_A_NUMBER = _OUT_OF_RANGE + 8


def encode(
    chunk: DeviceChunk, latent: Any, scales: Any, means: Any, coding: Coding
) -> tuple[bytes, DeviceArray, DeviceArray]:
    """Code one latent: bytes, the decoder's latent, int32 symbols; see `EntropyModel.encode`.

    latent, scales, means: float32 of one shape, on the host or on a device.
    """
    made = _Encode(chunk, latent.shape)
    parameters = chunk.parameters(latent.shape, scales, means)
    made.quantise(latent, parameters, coding)
    room = power_of_two(made.symbols.size)
    data, size = made.code(parameters, room)
    if size > room:
        data, size = made.code(parameters, power_of_two(size))
    return made.bring_down(data, size), made.restored, made.symbols


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

    def code(self, given: Parameters, room: int) -> tuple[DeviceArray, int]:
        """The stream and its size; where that is beyond the room, it is not written.

        Raises what `EntropyModel.encode` raises for what was found.
        """
        chunk, rows, stream = self._chunk, given.rows, self._stream
        plan = EncodePlan.of([self.symbols.size], room=min(room, MOST_DECODED))
        data = self._pools.array((room,), np.uint8)
        scratch = self._pools.array((plan.sizes(rows.dtype.itemsize)["scratch"],), np.uint8)
        target = self._pools.pinned((1,), TARGET)
        target[:] = plan.targets
        found = self._pools.pinned((1,), FINDINGS)
        arrays = EncodeArrays(
            chunk.tables.address, self._sheet.address, self.symbols.address, rows.address,
            scratch.address, data.address, self._sheet.address + _OUTCOME,
        )  # fmt: skip
        own = [array.block for array in (self.symbols, rows, data, scratch, self._sheet)]
        with working(stream, *own):
            stream.upload(self._sheet.block.memory, target)
            chunk.coder.encode(plan, arrays, rows.dtype.itemsize, stream.handle)
            stream.download(found, self._sheet.block.memory, _OUTCOME)
        stream.synchronize()
        self._check(found[0])
        return data, int(found[0]["outcome"]["size"])

    def bring_down(self, data: DeviceArray, size: int) -> bytes:
        """The first bytes of an array."""
        found = self._pools.pinned((power_of_two(size),), np.uint8)[:size]
        with working(self._stream, data.block):
            self._stream.download(found, data.block.memory)
        self._stream.synchronize()
        return found.tobytes()

    def _check(self, found: np.void) -> None:
        """Raise what `EntropyModel` raises for these findings; a want of room is none of them."""
        if (position := fault_at(int(found["out_of_range"]))) is not None:
            raise out_of_range(self._chunk.model.chunk.name, position)
        self._chunk.check_scales(int(found["not_a_number"]))
        outcome = found["outcome"]
        if Status(int(outcome["result"]["status"])) != Status.TRUNCATED:
            raise_fault(self._chunk.coder.encode_faults(outcome.reshape(1)))
