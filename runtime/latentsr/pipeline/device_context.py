"""Latents with a context model coded on the GPU that the engines run on: features stay there.

The kernels go from front to front of a latent, some launches each, and the processor only says
what to launch. In a decode the stream goes up, in an encode it comes down; besides these, some
hundred bytes. Bits and errors are those of `ContextCoder`.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr._kernels import Status
from latentsr.backends.device_pool import DeviceArray, working
from latentsr.cuda import ContextArrays, DecodePlan, DeviceContext, module, steps
from latentsr.cuda.batch import RESULT
from latentsr.cuda.context import MOST_SYMBOLS
from latentsr.entropy.context import ContextCoder, check_decoded, refuse
from latentsr.pipeline.coded_symbols import CodedSymbols
from latentsr.pipeline.device_stream import BEGIN, StreamMaker, Symbols, bring_up
from latentsr.pipeline.device_tables import DeviceTables

if TYPE_CHECKING:
    from latentsr.entropy.coder import Coder

_DECODED = np.dtype([("result", RESULT), ("crc", "<u4")])
_QUANTISED = np.dtype([("result", RESULT)])


class DeviceContextCoding(DeviceTables):
    """Codes the exact streams of one chunk; any number of threads may share it.

    index: number of the GPU; least: symbols from which the device does the work.
    """

    def __init__(self, exact: ContextCoder, coder: Coder, index: int, least: int) -> None:
        super().__init__(coder, index)
        self._exact, self._least = exact, least
        self._making = threading.Lock()
        self._made: DeviceContext | None = None

    def codes(self, shape: tuple[int, ...], features: Any) -> bool:
        """Whether a latent of this shape is coded here; what is wrong with features is not."""
        fits = (
            features is not None
            and shape[0] == 1
            and features.dtype == np.float32
            and tuple(features.shape) == (1, self._exact.features, *shape[2:])
        )
        return fits and self._least <= math.prod(shape) <= MOST_SYMBOLS and module.usable()

    def decode(
        self, data: bytes, shape: tuple[int, ...], features: Any
    ) -> tuple[DeviceArray, CodedSymbols]:
        """The latent and its symbols; raises as `ContextCoder.decode`."""
        pools, stream = self.pools, self.pools.device.stream()
        given, bytes_of = bring_up(pools, DecodePlan.of([data], [math.prod(shape)]))
        found_at, found = pools.array((1,), _DECODED), pools.pinned((1,), _DECODED)
        arrays = _Arrays(self, shape, features)
        with working(stream, given.block, found_at.block, *arrays.blocks):
            stream.upload(given.block.memory, bytes_of)
            self.context.decode(
                self.coder, self.tables.address, arrays.size, (given.address + BEGIN, len(data)),
                arrays.at(found_at.address), stream.handle,
            )  # fmt: skip
            steps.crc_of_symbols(
                arrays.symbols.address, given.address, 1, found_at.address + RESULT.itemsize,
                stream=stream.handle,
            )  # fmt: skip
            stream.download(found, found_at.block.memory)
        stream.synchronize()
        check_decoded(*_outcome(found[0]["result"]))
        return arrays.latent, CodedSymbols(arrays.symbols, int(found[0]["crc"]))

    def encode(self, latent: Any, features: Any) -> tuple[bytes, DeviceArray, CodedSymbols]:
        """The stream, the decoder's latent, the symbols; raises as `ContextCoder.encode`."""
        pools, stream = self.pools, self.pools.device.stream()
        # Positions are decoded one after the other, so parts would have nobody to read them.
        maker = StreamMaker(self, _QUANTISED, parts=1)
        arrays, y = _Arrays(self, latent.shape, features), pools.resident(latent)
        scan, rows = pools.array((y.size,), np.int32), pools.array((y.size,), np.uint8)
        own = [array.block for array in (y, scan, rows, maker.sheet)]
        with working(stream, *own, *arrays.blocks):
            self.context.encode(
                arrays.size, y.address, (scan.address, rows.address), arrays.at(maker.findings),
                stream.handle,
            )  # fmt: skip

        def check(found: np.void) -> None:
            refuse(*_outcome(found["result"])[:2])

        data, crc = maker.make(Symbols(scan, rows, arrays.symbols), check)
        return data, arrays.latent, CodedSymbols(arrays.symbols, crc)

    @property
    def context(self) -> DeviceContext:
        """The model, made once."""
        with self._making:
            if self._made is None:
                self._made = DeviceContext(self._exact.tensors, self._exact.thresholds)
            return self._made


class _Arrays:
    """What a latent takes on the device."""

    def __init__(self, coding: DeviceContextCoding, shape: tuple[int, ...], features: Any) -> None:
        pools = coding.pools
        self.size = shape[2], shape[3]
        self.symbols, self.latent = pools.array(shape, np.int32), pools.array(shape, np.float32)
        self._model = coding.kept("model", coding.context.packed)
        self._features = pools.resident(features)
        self._scratch = pools.array((coding.context.scratch(*self.size),), np.uint8)
        # Without the model and the tables, which nobody writes: threads would wait for each other.
        given = self.symbols, self.latent, self._features, self._scratch
        self.blocks = [array.block for array in given]

    def at(self, result: int) -> ContextArrays:
        """Addresses, with that of the result."""
        return ContextArrays(
            self._model.address, self._features.address, self._scratch.address,
            self.symbols.address, self.latent.address, result,
        )  # fmt: skip


def _outcome(result: np.void) -> tuple[Status, int, int]:
    return Status(int(result["status"])), int(result["position"]), int(result["detail"])
