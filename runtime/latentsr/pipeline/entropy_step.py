"""Latents ↔ bytes for one chunk: quantisation, scale indexes and the rANS coder put together.

A ``factorized`` chunk (Ballé et al. 2018, the hyper-latent z; y of a factorized prior) has a
table and a median per channel. A ``gaussian`` chunk has a table per scale; the scale index of
a symbol is the number of scale-table entries (all but the last) that lie below its σ; where the
bundle has exact graphs σ is an integer and the table is `thresholds`. Symbols are
round(latent - mean or median), half to even; the decoder returns symbol + mean or median.
"""

from __future__ import annotations

import math
import zlib
from typing import Protocol

import numpy as np

from latentsr.bundle import Bundle
from latentsr.entropy.coder import Coder, scale_indexes
from latentsr.errors import BundleError, CorruptStream, DesyncError, ImageError
from latentsr.manifest import Chunk

_SYMBOL_LIMIT = 2.0**30


class Coding(Protocol):
    """How a call codes: form of the coder, and whether scales are exact integers."""

    form: str
    exact: bool


class EntropyModel:
    """Coder, tables and quantisation of one chunk; tables stay resident."""

    def __init__(self, bundle: Bundle, chunk: Chunk) -> None:
        tables = bundle.tables(chunk)
        self.chunk = chunk
        self.coder = Coder(tables)
        self._least_bits = _least_bits(tables.cdf, tables.length)
        if chunk.model == "factorized":
            medians = bundle.tensor(f"{chunk.name}.medians", "float32", (chunk.channels,))
            self._medians = medians.reshape(1, -1, 1, 1)
        else:
            rows = (len(tables.cdf),)
            self._scale_table = bundle.tensor(f"{chunk.name}.scale_table", "float32", rows)
            self._thresholds = self._scale_table
            if bundle.manifest.exact:
                self._thresholds = bundle.tensor(f"{chunk.name}.thresholds", "float32", rows)

    def encode(
        self,
        latent: np.ndarray,
        scales: np.ndarray | None,
        means: np.ndarray | None,
        coding: Coding,
    ) -> tuple[bytes, np.ndarray, np.ndarray]:
        """Code a float32 latent (1, C, h, w): bytes, the decoder's latent, int32 symbols."""
        shift = self._shift(means)
        residual = np.rint(latent if shift is None else latent - shift)
        # `not <=` also catches NaN.
        if not np.abs(residual).max(initial=0.0) <= _SYMBOL_LIMIT:
            raise ImageError(
                f"latent {self.chunk.name} is out of range: found values beyond 2^30 or NaN, "
                "expected a trained network's latents; check the checkpoint"
            )
        symbols = residual.astype(np.int32)
        indexes = self.indexes(scales, latent.shape, coding.exact)
        data = self.coder.encode(symbols, indexes, form=coding.form)
        return data, self._latent(symbols, shift), symbols

    def decode(
        self,
        data: bytes,
        padded_size: tuple[int, int],
        scales: np.ndarray | None,
        means: np.ndarray | None,
        coding: Coding,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode one chunk to the float32 latent (1, C, h, w) and its int32 symbols.

        Raises CorruptStream, or DesyncError where the bytes may be whole but σ differs.
        """
        shape = self._shape(padded_size)
        self._check_plausible(len(data), shape)
        try:
            indexes = self.indexes(scales, shape, coding.exact)
            symbols = self.coder.decode(data, indexes, form=coding.form)
        except CorruptStream as error:
            if self.chunk.model == "factorized":
                raise
            raise DesyncError(
                f"chunk {self.chunk.name} ran out of step: {error}. Where the stream itself is "
                "whole, its writer computed another scale index (another device or library); "
                "decode where it was written, or write it again with this runtime"
            ) from None
        return self._latent(symbols, self._shift(means)), symbols

    @staticmethod
    def crc(symbols: np.ndarray, start: int) -> int:
        """Go on with the CRC-32 over symbols as little-endian int32."""
        return zlib.crc32(symbols.astype("<i4", copy=False).tobytes(), start)

    def _shape(self, padded_size: tuple[int, int]) -> tuple[int, int, int, int]:
        stride = self.chunk.stride
        if any(side % stride for side in padded_size):
            raise CorruptStream(
                f"padded size does not fit latent {self.chunk.name}: found {padded_size}, "
                f"expected multiples of {stride}; decode with the stream's own bundle"
            )
        return 1, self.chunk.channels, padded_size[0] // stride, padded_size[1] // stride

    def _check_plausible(self, size: int, shape: tuple[int, int, int, int]) -> None:
        """Refuse sizes that so few bytes cannot hold, before memory is taken for them."""
        positions = shape[2] * shape[3]
        if self.chunk.model == "factorized":
            least = positions * float(self._least_bits.sum())
        else:
            least = positions * shape[1] * float(self._least_bits.min())
        if least > size * 8 + 64:
            raise CorruptStream(
                f"chunk {self.chunk.name} is too short for the picture: found {size} bytes, "
                f"expected at least {math.ceil(least / 8)}; fetch or write the stream again"
            )

    def indexes(self, scales: np.ndarray | None, shape: tuple[int, ...], exact: bool) -> np.ndarray:
        """Table row of each symbol: the channel, or the scale index of its σ."""
        if self.chunk.model == "factorized":
            channel = np.arange(self.chunk.channels, dtype=np.int32).reshape(1, -1, 1, 1)
            return np.ascontiguousarray(np.broadcast_to(channel, shape))
        if scales is None or scales.shape != tuple(shape):
            found = None if scales is None else scales.shape
            raise BundleError(
                f"scales of chunk {self.chunk.name} have the wrong shape: found {found}, "
                f"expected {tuple(shape)}; export the bundle again"
            )
        table = self._thresholds if exact else self._scale_table
        return scale_indexes(np.ascontiguousarray(scales), table)

    def _shift(self, means: np.ndarray | None) -> np.ndarray | None:
        return self._medians if self.chunk.model == "factorized" else means

    @staticmethod
    def _latent(symbols: np.ndarray, shift: np.ndarray | None) -> np.ndarray:
        latent = symbols.astype(np.float32)
        return latent if shift is None else latent + shift


def _least_bits(cdf: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Bits that the cheapest symbol of each table costs."""
    widest = [int(np.diff(row[:n]).max()) for row, n in zip(cdf, length, strict=True)]
    return 16 - np.log2(np.asarray(widest, dtype=np.float64))
