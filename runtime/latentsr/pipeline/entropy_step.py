"""Latents ↔ bytes for one chunk: quantisation, scale indexes and the rANS coder put together.

A ``factorized`` chunk (Ballé et al. 2018, the hyper-latent z; y of a factorized prior) has a
table and a median per channel. A ``gaussian`` chunk has a table per scale; the scale index of
a symbol is the number of scale-table entries (all but the last) that lie below its σ; where the
bundle has exact graphs σ is an integer and the table is `thresholds`. Symbols are
round(latent - mean or median), half to even; the decoder returns symbol + mean or median.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from latentsr.backends.values import on_host
from latentsr.bundle import Bundle
from latentsr.chunks import Chunk
from latentsr.entropy.coder import Coder
from latentsr.entropy.latents import LatentSteps, ScaleTable
from latentsr.entropy.mend import mend
from latentsr.entropy.neighbours import NeighbourModel
from latentsr.entropy.repair import Repair, changed_indexes, find_doubts
from latentsr.errors import BundleError, CorruptStream, DesyncError
from latentsr.pipeline.chunk_size import check_latent, check_plausible, latent_shape, least_bits
from latentsr.pipeline.coded_symbols import CodedSymbols

if TYPE_CHECKING:
    from latentsr.pipeline.device_coding import DeviceCoding

_MOST_ROWS_KEPT = 1 << 24  # a factorized prior's y up to about 4K pictures; beyond, memory counts


class Coding(Protocol):
    """How a call codes: form of the coder, whether scales are exact integers, what was repaired."""

    form: str
    exact: bool
    repairs: list[Repair]


class EntropyModel:
    """Coder, tables and quantisation of one chunk; tables stay resident.

    threads: that may code the parts of one long chunk. coder: of another chunk with the same
    tables and `skip`, to share its memory.
    """

    INPUTS = ("scales", "means")

    def __init__(
        self, bundle: Bundle, chunk: Chunk, threads: int = 1, coder: Coder | None = None
    ) -> None:
        tables = bundle.tables(chunk) if coder is None else coder.tables
        if chunk.skip > tables.rows:
            raise BundleError(
                f"chunk {chunk.name} skips too many rows: found {chunk.skip}, expected at most "
                f"{tables.rows}; export the bundle again"
            )
        self.chunk = chunk
        self.coder = coder or Coder(tables, chunk.skip)
        self.threads = threads
        self.on_gpu: DeviceCoding | None = None  # what `device_coding.attach` puts there
        self._channel_rows = np.empty((0, 0, 0, 0), np.uint8)
        least = least_bits(tables)
        if chunk.model == "factorized":
            self._least_bits = float(least.sum())
            self.medians = bundle.tensor(f"{chunk.name}.medians", "float32", (chunk.channels,))
        else:
            self._least_bits = float(least.min()) * chunk.channels
            rows = (len(tables.cdf),)
            scale_table = bundle.tensor(f"{chunk.tables}.scale_table", "float32", rows)
            self._scale_table = self._thresholds = ScaleTable(scale_table)
            self._scales = scale_table
            self._neighbours = _neighbours(bundle, chunk)
            if bundle.manifest.exact:
                thresholds = bundle.tensor(f"{chunk.tables}.thresholds", "float32", rows)
                self._thresholds = ScaleTable(thresholds)

    @cached_property
    def _steps(self) -> LatentSteps:
        """Bound when first used, as the coder is; two threads may both do it, without harm."""
        return LatentSteps()

    def encode(
        self, latent: Any, scales: Any, means: Any, coding: Coding
    ) -> tuple[bytes, Any, Any]:
        """Code a float32 latent (1, C, h, w): bytes, the decoder's latent, int32 symbols.

        latent, scales, means: on the host or on a device. What is encoded on a GPU stays there.
        Raises ImageError for values that cannot be quantised, StreamError for scales that are NaN.
        """
        check_latent(self.chunk, latent)
        if self.on_gpu is not None and self.on_gpu.encodes(latent.shape, scales, means, coding):
            return self.on_gpu.encode(latent, scales, means, coding)
        latent, scales, means = on_host(latent), on_host(scales), on_host(means)
        symbols, restored = self._steps.symbols(
            self.chunk.name, latent, self._mean(means, latent.shape)
        )
        indexes = self.indexes(scales, latent.shape, coding.exact)
        if self.chunk.skip and coding.form == "lanes":
            symbols[indexes < self.chunk.skip] = 0
            restored = self._steps.latent(symbols, self._mean(means, latent.shape))
        data = self.coder.encode(symbols, indexes, form=coding.form, threads=self.threads)
        return data, restored, symbols

    def decode(
        self, data: bytes, padded_size: tuple[int, int], scales: Any, means: Any, coding: Coding
    ) -> tuple[Any, Any]:
        """Decode one chunk to the float32 latent (1, C, h, w) and its int32 symbols.

        scales, means: on the host or on a device. What is decoded on a GPU stays there. Raises
        CorruptStream, or DesyncError where the bytes may be whole but σ differs.
        """
        shape = latent_shape(self.chunk, padded_size)
        check_plausible(self.chunk, len(data), shape, self._least_bits)
        if self.on_gpu is not None and self.on_gpu.decodes(shape, scales, means, coding):
            return self.on_gpu.decode(data, shape, scales, means, coding)
        scales, means = on_host(scales), on_host(means)
        indexes = self.indexes(scales, shape, coding.exact)
        if self.chunk.model == "gaussian" and coding.form == "compressai" and not coding.exact:
            symbols = self._decode_float(data, scales, indexes, coding)
        else:
            symbols = self._decode(data, indexes, coding.form)
        return self._steps.latent(symbols, self._mean(means, shape)), symbols

    def _decode(self, data: bytes, indexes: np.ndarray, form: str, tried: str = "") -> np.ndarray:
        try:
            return self.coder.decode(data, indexes, form=form, threads=self.threads)
        except CorruptStream as error:
            raise self.out_of_step(error, tried) from None

    def out_of_step(self, error: CorruptStream, tried: str = "") -> CorruptStream:
        """The error that a coder's finding is for this chunk, whose σ may differ."""
        if self.chunk.model == "factorized":
            return error
        return DesyncError(
            f"chunk {self.chunk.name} ran out of step: {error}. Where the stream itself is "
            "whole, its writer computed another scale index (another device or library)"
            f"{tried}; decode where it was written, or write it again with this runtime"
        )

    def _decode_float(
        self, data: bytes, scales: np.ndarray | None, indexes: np.ndarray, coding: Coding
    ) -> np.ndarray:
        """Decode what a float network's scales were coded with, mending indexes in doubt."""
        assert scales is not None  # `indexes` refuses that
        doubts = find_doubts(scales, indexes, self._scale_table, self._steps)
        repair = Repair(self.chunk.name, doubts.places.size)
        try:
            symbols = self.coder.decode(data, indexes, form=coding.form)
        except CorruptStream:
            model = None
            if self._neighbours is not None:
                model = NeighbourModel(self._neighbours, self._scales, indexes)
            repair, places = mend(repair, self.coder, data, indexes, doubts, model)
            rows = changed_indexes(indexes, doubts, places or ())
            tried = (
                f"; {repair.tries} sets of {repair.doubtful} doubtful indexes were tried in "
                f"{repair.seconds:.1f} s"
            )
            symbols = self._decode(data, rows, coding.form, tried)
        coding.repairs.append(repair)
        return symbols

    def crc(self, symbols: Any, start: int) -> int:
        """Go on with the CRC-32 over symbols as little-endian int32."""
        if isinstance(symbols, CodedSymbols):
            return symbols.crc_after(start)
        return self._steps.crc(symbols, start)

    def indexes(self, scales: np.ndarray | None, shape: tuple[int, ...], exact: bool) -> np.ndarray:
        """Table row of each symbol: the channel, or the scale index of its σ."""
        if self.chunk.model == "factorized":
            return self._rows_of_channels(tuple(shape))
        if scales is None or scales.shape != tuple(shape):
            found = None if scales is None else scales.shape
            raise BundleError(
                f"scales of chunk {self.chunk.name} have the wrong shape: found {found}, "
                f"expected {tuple(shape)}; export the bundle again"
            )
        return self._steps.indexes(scales, self.scale_table(exact))

    def scale_table(self, exact: bool) -> ScaleTable:
        """What scales are compared with in a gaussian chunk: integers where they are exact."""
        return self._thresholds if exact else self._scale_table

    def _rows_of_channels(self, shape: tuple[int, ...]) -> np.ndarray:
        """Each symbol's channel. The last shape's is kept: pictures come in one size mostly."""
        rows = self._channel_rows  # read once: another thread may put its own in place
        if rows.shape != shape:
            kind = np.uint8 if self.chunk.channels <= 256 else np.int32
            channel = np.arange(self.chunk.channels, dtype=kind).reshape(1, -1, 1, 1)
            rows = np.ascontiguousarray(np.broadcast_to(channel, shape))
            rows.flags.writeable = False
            if rows.size <= _MOST_ROWS_KEPT:
                self._channel_rows = rows
        return rows

    def _mean(self, means: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
        """What lies between latent and symbols: the medians, or the network's means."""
        if self.chunk.model == "factorized":
            return self.medians
        if means is None or (means.shape == tuple(shape) and means.dtype == np.float32):
            return means
        try:
            if means.dtype != np.float32:
                raise ValueError
            return np.broadcast_to(means, shape)
        except ValueError:
            raise BundleError(
                f"means of chunk {self.chunk.name} are of the wrong kind: found {means.dtype} "
                f"{means.shape}, expected float32 {tuple(shape)}; export the bundle again"
            ) from None


def _neighbours(bundle: Bundle, chunk: Chunk) -> np.ndarray | None:
    """Statistics for repairs, where the exporter measured them; refused where they are none."""
    name = f"{chunk.name}.neighbours"
    if name not in bundle.tensors:
        return None
    found = bundle.tensor(name, "float32", (chunk.channels, 3))
    if not np.isfinite(found).all() or not (found[:, 2] > 0).all():
        raise BundleError(
            f"entropy tensor {name} is wrong: found values that are no numbers or variances, "
            "expected finite ones above 0; export the bundle again"
        )
    return found
