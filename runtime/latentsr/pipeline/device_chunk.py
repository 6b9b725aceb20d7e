"""What decoding and encoding a chunk on a GPU share: its parameters and table rows.

Scales and means are taken where the engine left them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.backends.device_pool import Block, DeviceArray
from latentsr.cuda import steps
from latentsr.cuda.steps import DeviceMeans, fault_at
from latentsr.entropy.latents import not_a_number
from latentsr.pipeline.device_tables import DeviceTables

if TYPE_CHECKING:
    from latentsr.pipeline.entropy_step import Coding, EntropyModel


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


class DeviceChunk(DeviceTables):
    """A chunk's model on the GPU of that number."""

    def __init__(self, model: EntropyModel, index: int) -> None:
        super().__init__(model.coder, index)
        self.model = model

    @property
    def gaussian(self) -> bool:
        """Whether symbols have scales of their own."""
        return self.model.chunk.model != "factorized"

    def takes(self, shape: tuple[int, ...], scales: Any, means: Any) -> bool:
        """Whether parameters are as they should be; what is wrong with others is not said here."""
        return not self.gaussian or (
            _fits(scales, shape) and (means is None or _fits(means, shape))
        )

    def parameters(self, shape: tuple[int, ...], scales: Any, means: Any) -> Parameters:
        """What symbols of this shape are coded with; scales and means that `takes` has taken."""
        model = self.model
        if not self.gaussian:
            rows = self.kept("rows", model.indexes(None, shape, False))
            medians = self.kept("medians", model.medians)
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
        thresholds = self.kept(f"scale table {coding.exact}", table.thresholds)
        steps.scale_indexes(
            given.scales.address, given.rows.address, given.rows.size, thresholds.address,
            table.thresholds.size, fault, stream=stream,
        )  # fmt: skip

    def check_scales(self, fault: int) -> None:
        """Raise what `EntropyModel` raises where `find_rows` left a fault."""
        if self.gaussian and (position := fault_at(fault)) is not None:
            raise not_a_number(position)


def _fits(value: Any, shape: tuple[int, ...]) -> bool:
    return value is not None and value.dtype == np.float32 and tuple(value.shape) == shape
