"""One `lanes` stream decoded on the GPU: in comes the stream, out go 36 bytes of findings.

Symbols and latent stay where the next engine wants them. One wait for it all: the symbols' CRC is
among the findings.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.backends.device_pool import DeviceArray, working
from latentsr.cuda import DecodeArrays, DecodePlan, steps
from latentsr.cuda.batch import RESULT
from latentsr.errors import CorruptStream, LatentSRError
from latentsr.pipeline.coded_symbols import CodedSymbols
from latentsr.pipeline.device_chunk import DeviceChunk
from latentsr.pipeline.device_stream import BEGIN, bring_up
from latentsr.pipeline.device_tables import raise_fault

if TYPE_CHECKING:
    from latentsr.pipeline.entropy_step import Coding

FINDINGS = np.dtype([("result", RESULT), ("not_a_number", "<u8"), ("crc", "<u4")])
_NOT_A_NUMBER = RESULT.itemsize
_CRC = _NOT_A_NUMBER + 8


def decode(
    chunk: DeviceChunk,
    data: bytes,
    shape: tuple[int, ...],
    scales: Any,
    means: Any,
    coding: Coding,
) -> tuple[DeviceArray, CodedSymbols]:
    """Decode one chunk to its float32 latent and int32 symbols; see `EntropyModel.decode`.

    scales, means: float32 of that shape, on the host or on a device.
    """
    pools, stream = chunk.pools, chunk.pools.device.stream()
    on = stream.handle
    plan = DecodePlan.of([data], [math.prod(shape)])
    given, bytes_of = bring_up(pools, plan)
    latent, symbols = pools.array(shape, np.float32), pools.array(shape, np.int32)
    scratch = pools.array((plan.sizes()["part_results"],), np.uint8)
    findings = pools.array((1,), FINDINGS)
    found = pools.pinned((1,), FINDINGS)
    parameters = chunk.parameters(shape, scales, means)
    own = [array.block for array in (given, latent, symbols, scratch, findings)]
    with working(stream, *own, *parameters.blocks):
        stream.upload(given.block.memory, bytes_of)
        chunk.find_rows(parameters, coding, findings.address + _NOT_A_NUMBER, on)
        rows = parameters.rows
        arrays = DecodeArrays(
            chunk.tables.address, given.address, given.address + BEGIN, rows.address,
            symbols.address, scratch.address, findings.address,
        )  # fmt: skip
        chunk.coder.decode(plan, arrays, rows.dtype.itemsize, on)
        at = symbols.address
        steps.latent_from_symbols(at, parameters.means, latent.address, latent.size, stream=on)
        steps.crc_of_symbols(at, given.address, 1, findings.address + _CRC, stream=on)
        stream.download(found, findings.block.memory)
    stream.synchronize()
    _check(chunk, found[0])
    return latent, CodedSymbols(symbols, int(found[0]["crc"]))


def _check(chunk: DeviceChunk, found: np.void) -> None:
    """Raise what `EntropyModel` raises for these findings."""
    chunk.check_scales(int(found["not_a_number"]))
    faults = chunk.coder.faults(found["result"].reshape(1))
    raise_fault(_worded(chunk, faults.pop()) for _ in range(len(faults)))


def _worded(chunk: DeviceChunk, fault: LatentSRError | None) -> LatentSRError | None:
    return chunk.model.out_of_step(fault) if isinstance(fault, CorruptStream) else fault
