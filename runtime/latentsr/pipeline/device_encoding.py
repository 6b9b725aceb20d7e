"""One latent encoded on the GPU to a `lanes` stream: out go 52 bytes of findings and the stream.

Quantised, cleared where the coder leaves symbols out, and coded in one go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.backends.device_pool import DeviceArray, working
from latentsr.cuda import steps
from latentsr.cuda.steps import fault_at
from latentsr.entropy.latents import out_of_range
from latentsr.pipeline.coded_symbols import CodedSymbols
from latentsr.pipeline.device_chunk import DeviceChunk
from latentsr.pipeline.device_stream import StreamMaker, Symbols

if TYPE_CHECKING:
    from latentsr.pipeline.entropy_step import Coding

FINDINGS = np.dtype([("out_of_range", "<u8"), ("not_a_number", "<u8")])
_NOT_A_NUMBER = 8


def encode(
    chunk: DeviceChunk, latent: Any, scales: Any, means: Any, coding: Coding
) -> tuple[bytes, DeviceArray, CodedSymbols]:
    """Code one latent: bytes, the decoder's latent, int32 symbols; see `EntropyModel.encode`.

    latent, scales, means: float32 of one shape, on the host or on a device.
    """
    pools, stream = chunk.pools, chunk.pools.device.stream()
    maker = StreamMaker(chunk, FINDINGS)
    symbols, restored = pools.array(latent.shape, np.int32), pools.array(latent.shape, np.float32)
    given, source = chunk.parameters(latent.shape, scales, means), pools.resident(latent)
    rows, on, skip = given.rows, stream.handle, chunk.coder.skip
    own = [array.block for array in (source, symbols, restored, maker.sheet)]
    with working(stream, *own, *given.blocks):
        steps.symbols_from_latent(
            source.address, given.means, symbols.address, restored.address, symbols.size,
            maker.findings, stream=on,
        )  # fmt: skip
        chunk.find_rows(given, coding, maker.findings + _NOT_A_NUMBER, on)
        if skip:
            steps.clear_certain(
                rows.address, skip, given.means, symbols.address, restored.address, symbols.size,
                rows.dtype.itemsize, on,
            )  # fmt: skip

    def check(found: np.void) -> None:
        """Raise what `EntropyModel.encode` raises for this."""
        if (position := fault_at(int(found["out_of_range"]))) is not None:
            raise out_of_range(chunk.model.chunk.name, position)
        chunk.check_scales(int(found["not_a_number"]))

    data, crc = maker.make(Symbols(symbols, rows, symbols), check)
    return data, restored, CodedSymbols(symbols, crc)
