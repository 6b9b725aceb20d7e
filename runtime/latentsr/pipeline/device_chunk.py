"""What decoding and encoding a chunk on a GPU share: tables, parameters, table rows.

Tables, medians and scale tables are copied to the device once. Scales and means are taken where the
engine left them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.backends.device_pool import Block, DeviceArray, Pools, pools_of
from latentsr.cuda import DeviceCoder, steps
from latentsr.cuda.steps import DeviceMeans, fault_at
from latentsr.entropy.latents import not_a_number
from latentsr.errors import LatentSRError

if TYPE_CHECKING:
    from latentsr.pipeline.entropy_step import Coding, EntropyModel

_LEAST_ROOM = 1 << 12


@dataclass(frozen=True)
class Parameters:
    """What a chunk's symbols are coded with, in device memory.

    rows: table rows, yet to be written for gaussian chunks. scales: None for factorized ones.
    sources: all that is read besides.
    """

    rows: DeviceArray
    means: DeviceMeans
    scales: DeviceArray | None
    sources: tuple[DeviceArray, ...]

    @property
    def blocks(self) -> list[Block]:
        """The memory of it all."""
        return [array.block for array in (self.rows, *self.sources)]


class DeviceChunk:
    """A chunk's model on the GPU of that number; any number of threads may share it."""

    def __init__(self, model: EntropyModel, index: int) -> None:
        self.model, self._index = model, index
        self.stream_guess = 0  # bytes that the next stream will hardly need more than
        self._coder: DeviceCoder | None = None
        self._kept: dict[str, tuple[Any, DeviceArray]] = {}
        self._lock = threading.Lock()

    @property
    def gaussian(self) -> bool:
        """Whether symbols have scales of their own."""
        return self.model.chunk.model != "factorized"

    @cached_property
    def pools(self) -> Pools:
        """The memory that all engines of the GPU share."""
        return pools_of(self._index)

    @property
    def coder(self) -> DeviceCoder:
        """The coder of the chunk's tables, made once: its copy on the device goes by what it is."""
        with self._lock:
            if self._coder is None:
                self._coder = DeviceCoder(self.model.coder.tables, self.model.coder.skip)
            return self._coder

    @property
    def tables(self) -> DeviceArray:
        """What the coder reads."""
        return self._resident("tables", self.coder.packed)

    def takes(self, shape: tuple[int, ...], scales: Any, means: Any) -> bool:
        """Whether parameters are as they should be; what is wrong with others is not said here."""
        return not self.gaussian or (
            _fits(scales, shape) and (means is None or _fits(means, shape))
        )

    def parameters(self, shape: tuple[int, ...], scales: Any, means: Any) -> Parameters:
        """What symbols of this shape are coded with; scales and means that `takes` has taken."""
        model = self.model
        if not self.gaussian:
            rows = self._resident("rows", model.indexes(None, shape, False))
            medians = self._resident("medians", model.medians)
            repeat = math.prod(shape[2:])
            given = DeviceMeans(medians.address, medians.size, repeat)
            return Parameters(rows, given, None, (medians,))
        rows, found = self.pools.array(shape, np.uint8), self.pools.resident(scales)
        if means is None:
            return Parameters(rows, steps.NO_MEANS, found, (found,))
        mean = self.pools.resident(means)
        return Parameters(rows, DeviceMeans(mean.address, mean.size), found, (found, mean))

    def find_rows(self, given: Parameters, coding: Coding, fault: int, stream: int) -> None:
        """Write the rows of gaussian chunks; fault: see `check_scales`."""
        if given.scales is None:
            return
        table = self.model.scale_table(coding.exact)
        thresholds = self._resident(f"scale table {coding.exact}", table.thresholds)
        steps.scale_indexes(
            given.scales.address, given.rows.address, given.rows.size, thresholds.address,
            table.thresholds.size, fault, stream=stream,
        )  # fmt: skip

    def check_scales(self, fault: int) -> None:
        """Raise what `EntropyModel` raises where `find_rows` left a fault."""
        if self.gaussian and (position := fault_at(fault)) is not None:
            raise not_a_number(position)

    def _resident(self, name: str, value: np.ndarray) -> DeviceArray:
        """The array on the device, copied there the first time that this very array comes."""
        with self._lock:
            kept, array = self._kept.get(name, (None, None))
            if array is None or kept is not value:
                array = self.pools.resident(value)
                array.block.wait()  # whichever thread comes next may take it as it is
                self._kept[name] = value, array
            return array


def raise_fault(faults: Iterable[LatentSRError | None]) -> None:
    """Raise the first error, if any.

    Nothing here refers to it then: an error that its own traceback leads to would keep the memory
    of its call until the garbage collector comes by.
    """
    found = [fault for fault in faults if fault is not None]
    del faults
    if found:
        raise found.pop(0)


def power_of_two(size: int) -> int:
    """Room for so many bytes: streams have all sizes, and the pools keep memory of each size."""
    return max(_LEAST_ROOM, 1 << (size - 1).bit_length())


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    return value is not None and value.dtype == np.float32 and tuple(value.shape) == shape
