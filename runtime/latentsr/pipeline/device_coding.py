"""Chunks decoded on the GPU that the engines run on, so that latents never cross the bus.

In comes the stream, out go 32 bytes of findings and 4 of the symbols' CRC; tables, medians and
scale tables are copied there once. Scales and means are taken where the engine left them, and
symbols and latent stay where the next engine wants them. All of it has the bits and the errors of
`EntropyModel` on the processor, which goes on doing what the device's coder does not: chunks with
context models, streams in CompressAI's form, and chunks of too few symbols.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from latentsr.backends.base import EngineOptions
from latentsr.backends.device import parse_index
from latentsr.backends.device_pool import DeviceArray, Pools, pools_of, working
from latentsr.cuda import DecodeArrays, DecodePlan, DeviceCoder, module, steps
from latentsr.cuda.batch import RESULT, STREAM
from latentsr.cuda.steps import DeviceMeans, fault_at
from latentsr.entropy.latents import ScaleTable, not_a_number
from latentsr.errors import BackendError, CorruptStream, LatentSRError, UsageError
from latentsr.pipeline.entropy_step import Coding, EntropyModel

CODERS = ("auto", "cpu", "cuda")
"""What `EngineOptions.coder` may be; ``auto`` is ``cuda`` for chunks of `LEAST_SYMBOLS` or more."""

LEAST_SYMBOLS = 1 << 15
"""Symbols of a chunk from which ``auto`` decodes on the device.

Below, what does not depend on the size decides: five launches and two waits there, about 80 µs,
against one wait and two copies here; one processor core decodes, restores and copies 2^15 symbols
in about as long, at 2 to 3 ns each. An estimate: `benchmarks/gpu/kernels.py` has the figures to set
it by.
"""

FINDINGS = np.dtype([("result", RESULT), ("not_a_number", "<u8")])
_BEGIN = STREAM.itemsize  # of the stream's bytes, which one copy brings with their place
_LEAST_ROOM = 1 << 12


def attach(models: Iterable[object], options: EngineOptions) -> None:
    """Let these entropy models decode on the GPU, where options and this build want it.

    Raises UsageError for a coder that is none or has no GPU, BackendError where ``cuda`` is asked
    for and the kernels cannot run.
    """
    on_gpu = options.device.partition(":")[0] == "cuda"
    if options.coder not in CODERS or (options.coder == "cuda" and not on_gpu):
        expected = CODERS if on_gpu else CODERS[:2]
        raise UsageError(
            f"coder is not available on device {options.device}: found {options.coder!r}, expected "
            f"{' or '.join(expected)}; choose one of these, or a backend on a GPU"
        )
    if options.coder == "cpu" or not on_gpu:
        return
    if options.coder == "cuda" and (reason := module.why_not()):
        raise BackendError(reason)
    index = parse_index(options.device, "entropy coder")
    least = 0 if options.coder == "cuda" else LEAST_SYMBOLS
    for model in models:
        if isinstance(model, EntropyModel):
            model.on_gpu = DeviceCoding(model, index, least)


class DeviceCoding:
    """Decodes the `lanes` streams of one chunk; any number of threads may share it.

    index: number of the GPU; least: symbols from which the device does the work.
    """

    def __init__(self, model: EntropyModel, index: int, least: int) -> None:
        self._model, self._index, self._least = model, index, least
        self._kept: dict[str, tuple[Any, DeviceArray]] = {}
        self._lock = threading.Lock()

    @cached_property
    def _pools(self) -> Pools:
        return pools_of(self._index)

    @cached_property
    def _coder(self) -> DeviceCoder:
        return DeviceCoder(self._model.coder.tables, self._model.coder.skip)

    def takes(self, shape: tuple[int, ...], scales: Any, means: Any, coding: Coding) -> bool:
        """Whether a chunk of this shape is decoded here; what is wrong with it is not."""
        if coding.form != "lanes" or math.prod(shape) < self._least or not module.usable():
            return False
        if self._model.chunk.model == "factorized":
            return True
        return _fits(scales, shape) and (means is None or _fits(means, shape))

    def decode(
        self, data: bytes, shape: tuple[int, ...], scales: Any, means: Any, coding: Coding
    ) -> tuple[DeviceArray, DeviceArray]:
        """Decode one chunk to its float32 latent and int32 symbols; see `EntropyModel.decode`.

        scales, means: float32 of that shape, on the host or on a device.
        """
        pools, stream = self._pools, self._pools.device.stream()
        plan = DecodePlan.of([data], [math.prod(shape)])
        given, bytes_of = self._upload_room(plan)
        latent, symbols = pools.array(shape, np.float32), pools.array(shape, np.int32)
        scratch = pools.array((plan.sizes()["part_results"],), np.uint8)
        findings = pools.array((1,), FINDINGS)
        found = pools.pinned((1,), FINDINGS)
        indexes, mean, sources = self._parameters(shape, scales, means)
        own = [given, latent, symbols, scratch, findings, indexes, *sources]
        with working(stream, *(array.block for array in own)):
            stream.upload(given.block.memory, bytes_of)
            if self._model.chunk.model != "factorized":
                self._find_indexes(sources[0], indexes, findings, coding, stream.handle)
            tables = self._resident("tables", self._coder.packed)
            arrays = DecodeArrays(
                tables.address, given.address, given.address + _BEGIN, indexes.address,
                symbols.address, scratch.address, findings.address,
            )  # fmt: skip
            self._coder.decode(plan, arrays, indexes.dtype.itemsize, stream.handle)
            steps.latent_from_symbols(
                symbols.address, mean, latent.address, latent.size, stream=stream.handle
            )
            stream.download(found, findings.block.memory)
        stream.synchronize()
        self._check(found[0])
        return latent, symbols

    def crc(self, symbols: DeviceArray, start: int) -> int:
        """Go on with the CRC-32 over symbols as little-endian int32."""
        pools, stream = self._pools, self._pools.device.stream()
        given = pools.pinned((1,), np.dtype([("stream", STREAM), ("crc", "<u4")]))
        given["stream"] = (0, 0, 0, symbols.size)
        given["crc"] = start
        room, found = pools.array(given.shape, given.dtype), pools.pinned((1,), np.uint32)
        at = room.address + _BEGIN
        with working(stream, symbols.block, room.block):
            stream.upload(room.block.memory, given)
            steps.crc_of_symbols(symbols.address, room.address, 1, at, at, stream.handle)
            stream.download(found, room.block.memory, _BEGIN)
        stream.synchronize()
        return int(found[0])

    def _upload_room(self, plan: DecodePlan) -> tuple[DeviceArray, np.ndarray]:
        """Room for a stream and its place, and both in page-locked memory.

        Streams have all sizes, and the pools keep some memory of each size, so sizes are powers
        of two.
        """
        used = _BEGIN + plan.data.size
        room = max(_LEAST_ROOM, 1 << (used - 1).bit_length())
        staging = self._pools.pinned((room,), np.uint8)[:used]
        staging[:_BEGIN] = plan.streams.view(np.uint8)
        staging[_BEGIN:] = plan.data
        return self._pools.array((room,), np.uint8), staging

    def _parameters(
        self, shape: tuple[int, ...], scales: Any, means: Any
    ) -> tuple[DeviceArray, DeviceMeans, list[DeviceArray]]:
        """Table rows, to be written for gaussian chunks; means; and what is read: scales first."""
        model = self._model
        if model.chunk.model == "factorized":
            rows = self._resident("rows", model.indexes(None, shape, False))
            medians = self._resident("medians", model.medians)
            repeat = math.prod(shape[2:])
            return rows, DeviceMeans(medians.address, medians.size, repeat), [medians]
        rows = self._pools.array(shape, np.uint8)
        sources = [self._pools.resident(scales)]
        if means is None:
            return rows, steps.NO_MEANS, sources
        sources.append(self._pools.resident(means))
        return rows, DeviceMeans(sources[1].address, sources[1].size), sources

    def _find_indexes(
        self, scales: DeviceArray, rows: DeviceArray, findings: DeviceArray, coding: Coding,
        stream: int,
    ) -> None:  # fmt: skip
        table: ScaleTable = self._model.scale_table(coding.exact)
        thresholds = self._resident(f"scale table {coding.exact}", table.thresholds)
        fault = findings.address + RESULT.itemsize
        steps.scale_indexes(
            scales.address, rows.address, rows.size, thresholds.address, table.thresholds.size,
            fault, stream=stream,
        )  # fmt: skip

    def _resident(self, name: str, value: np.ndarray) -> DeviceArray:
        """The array on the device, copied there the first time that this very array comes."""
        with self._lock:
            kept, array = self._kept.get(name, (None, None))
            if array is None or kept is not value:
                array = self._pools.resident(value)
                array.block.wait()  # whichever thread comes next may take it as it is
                self._kept[name] = value, array
            return array

    def _check(self, found: np.void) -> None:
        """Raise what `EntropyModel` raises for these findings."""
        gaussian = self._model.chunk.model != "factorized"
        if gaussian and (position := fault_at(int(found["not_a_number"]))) is not None:
            raise not_a_number(position)
        faults = self._coder.faults(found["result"].reshape(1))
        if faults[0] is not None:
            # Taken out of the list: an error that its own traceback leads to would keep the
            # memory of this decode until the garbage collector comes by.
            raise self._worded(faults.pop())

    def _worded(self, fault: LatentSRError | None) -> LatentSRError:
        assert fault is not None
        return self._model.out_of_step(fault) if isinstance(fault, CorruptStream) else fault


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    return value is not None and value.dtype == np.float32 and tuple(value.shape) == shape
