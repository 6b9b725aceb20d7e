"""Sizes of a chunk's latent: what the picture asks for, and whether the bytes can hold it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from latentsr.chunks import Chunk
from latentsr.entropy.tables import Tables
from latentsr.errors import BundleError, CorruptStream

Shape = tuple[int, int, int, int]


def latent_shape(chunk: Chunk, padded_size: tuple[int, int]) -> Shape:
    """(1, C, h, w) of a chunk; CorruptStream where the picture (height, width) does not fit."""
    strides = rows, columns = chunk.stride, chunk.columns
    named = str(rows) if rows == columns else f"{rows} rows, {columns} columns"
    if any(side % stride for side, stride in zip(padded_size, strides, strict=True)):
        raise CorruptStream(
            f"padded size does not fit latent {chunk.name}: found {padded_size}, "
            f"expected multiples of {named}; decode with the stream's own bundle"
        )
    return 1, chunk.channels, padded_size[0] // rows, padded_size[1] // columns


def least_bits(tables: Tables) -> np.ndarray:
    """Bits that the cheapest symbol of each row costs."""
    rows = zip(tables.cdf, tables.length, strict=True)
    widest = [int(np.diff(row[:n]).max()) for row, n in rows]
    return 16 - np.log2(np.asarray(widest, dtype=np.float64))


def check_plausible(chunk: Chunk, size: int, shape: Shape, bits: float) -> None:
    """Refuse sizes that so few bytes cannot hold, before memory is taken for them.

    bits: least of a position. Raises CorruptStream.
    """
    least = shape[2] * shape[3] * bits
    if least > size * 8 + 64:
        raise CorruptStream(
            f"chunk {chunk.name} is too short for the picture: found {size} bytes, "
            f"expected at least {math.ceil(least / 8)}; fetch or write the stream again"
        )


def check_latent(chunk: Chunk, latent: Any) -> None:
    """BundleError unless a latent to encode is float32 (1, C, h, w) or a batch of such."""
    channels = latent.shape[1] if latent.ndim == 4 else None
    if latent.dtype != np.float32 or channels != chunk.channels:
        raise BundleError(
            f"latent {chunk.name} is of the wrong kind: found {latent.dtype} "
            f"{latent.shape}, expected float32 (1, {chunk.channels}, h, w); export the "
            "bundle again"
        )
