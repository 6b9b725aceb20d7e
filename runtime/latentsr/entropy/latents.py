"""From a network's arrays to symbols and table rows, and back, one pass over memory each.

`latentsr._kernels` does the work without the GIL; every instruction set gives the bits of the
NumPy expression that the docstring names. Arrays are C-ordered, or are copied to be so.
"""

from __future__ import annotations

import math
import zlib
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.entropy import isa as instruction_sets
from latentsr.entropy.arrays import check_out
from latentsr.errors import BundleError, ImageError, StreamError, UsageError

_FOLDING = (Isa.AVX2, Isa.AVX512)
"""Instruction sets with a CRC-32 faster than zlib's."""

_Scalar = TypeVar("_Scalar", bound=np.generic)

Mean = NDArray[np.float32] | None
"""What is taken from a latent before rounding: float32 of the latent's shape, or float32
(channels,) for latents (n, channels, ...), or nothing."""


class ScaleTable:
    """The scales of the Gaussian tables' rows, checked once.

    Args:
        table: float32 (entries,), rising, 1 to 256 of them.

    Raises:
        BundleError: the table is empty, too long, of another type, or does not rise.
    """

    def __init__(self, table: NDArray[np.float32]) -> None:
        if table.dtype != np.float32 or table.ndim != 1 or not 1 <= table.size <= 256:
            raise BundleError(
                f"scale table: found {table.dtype} {table.shape}, expected 1 to 256 float32 values"
            )
        if not np.all(table[:-1] < table[1:]) or np.isnan(table).any():
            raise BundleError("scale table: found values that do not rise, expected rising scales")
        self.thresholds = np.array(table[:-1])


class LatentSteps:
    """The steps, bound to one instruction set; many threads may share one object.

    Args:
        isa: the instruction set, or None for the one that LATENTSR_ISA or the processor sets.

    Raises:
        UsageError: the environment asks for an instruction set that is not there.
    """

    def __init__(self, isa: Isa | None = None) -> None:
        self.isa = instruction_sets.choose() if isa is None else isa

    def indexes(self, scales: NDArray[np.float32], table: ScaleTable) -> NDArray[np.uint8]:
        """Row of the Gaussian tables for each predicted scale, as CompressAI's `build_indexes`.

        Args:
            scales: float32 of any shape, standard deviations in quantisation steps.
            table: the scales of the rows.

        Returns:
            uint8 array of the scales' shape: the first row whose scale is not below the
            predicted one; the last row when there is none.

        Raises:
            StreamError: a scale is NaN, so the network that made it ran on damaged numbers.
            UsageError: the scales are not float32.
        """
        out = np.empty(scales.shape, np.uint8)
        flat = _flat("scales", scales, np.float32)
        status, position, _ = _kernels.scale_indexes(
            flat, table.thresholds, out.reshape(-1), self.isa
        )
        if status == Status.NOT_A_NUMBER:
            raise not_a_number(position)
        return out

    def symbols(
        self, name: str, latent: NDArray[np.float32], mean: Mean
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Quantise a latent: `rint(latent - mean)`, half to even, and the decoder's latent.

        Args:
            name: what messages call the latent.
            latent: float32 of any shape.
            mean: see `Mean`.

        Returns:
            int32 symbols and float32 `symbols + mean`, both of the latent's shape.

        Raises:
            ImageError: a value less its mean is NaN or beyond 2^30.
            UsageError: an array of another type, or a mean that does not fit the latent.
        """
        symbols = np.empty(latent.shape, np.int32)
        restored = np.empty(latent.shape, np.float32)
        flat = _flat("latent", latent, np.float32)
        values, repeat = _means(mean, latent.shape)
        status, position, _ = _kernels.symbols_from_latent(
            flat, values, repeat, symbols.reshape(-1), restored.reshape(-1), self.isa
        )
        if status == Status.OUT_OF_RANGE:
            raise out_of_range(name, position)
        return symbols, restored

    def latent(
        self, symbols: NDArray[np.int32], mean: Mean, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """The decoder's latent: `symbols.astype(float32) + mean`.

        Args:
            symbols: int32 of any shape.
            mean: see `Mean`.
            out: float32 array of the symbols' shape in C order, such as an engine's input.

        Returns:
            float32 array of the symbols' shape; `out` itself when it was given.

        Raises:
            UsageError: an array of another type, or a mean or an `out` that does not fit.
        """
        latent = np.empty(symbols.shape, np.float32) if out is None else out
        if out is not None:
            check_out(out, symbols.shape, np.float32)
        values, repeat = _means(mean, symbols.shape)
        flat = _flat("symbols", symbols, np.int32)
        _kernels.latent_from_symbols(flat, values, repeat, latent.reshape(-1), self.isa)
        return latent

    def crc(self, symbols: NDArray[np.int32], start: int) -> int:
        """CRC-32 (as in zlib) of the symbols as little-endian int32, going on from `start`."""
        flat = _flat("symbols", symbols, np.int32)
        if self.isa not in _FOLDING:
            return zlib.crc32(flat.data, start)  # faster than tables alone, as the kernel then is
        return _kernels.crc32(flat.view(np.uint8), start & 0xFFFFFFFF, self.isa)


def out_of_range(name: str, position: int) -> ImageError:
    """The error for a latent of that name that cannot be quantised."""
    return ImageError(
        f"latent {name} is out of range: found values beyond 2^30 or NaN, first at element "
        f"{position}, expected a trained network's latents; check the checkpoint"
    )


def not_a_number(position: int) -> StreamError:
    """The error for a scale that is none."""
    return StreamError(
        f"scales, element {position}: found NaN, expected a number; the entropy-parameter "
        "network overflowed, check its weights and precision"
    )


def scale_indexes(scales: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`LatentSteps.indexes` for a table that is used once; raises what both classes raise."""
    return LatentSteps().indexes(scales, ScaleTable(table))


def _flat(name: str, array: NDArray[_Scalar], dtype: type[_Scalar]) -> NDArray[_Scalar]:
    """The array in C order and one dimension; copied only where it must be."""
    if array.dtype != dtype:
        raise UsageError(f"{name}: found {array.dtype}, expected {dtype.__name__}")
    if not (array.flags.c_contiguous and array.flags.aligned):
        array = np.array(array, order="C")
    return array.reshape(-1)


def _means(mean: Mean, shape: tuple[int, ...]) -> tuple[Mean, int]:
    """The means as the kernels take them, and how many neighbours share one."""
    if mean is None:
        return None, 1
    if mean.shape == shape:
        return _flat("mean", mean, np.float32), 1
    if len(shape) > 1 and mean.shape == shape[1:2]:
        return _flat("mean", mean, np.float32), math.prod(shape[2:])
    raise UsageError(
        f"mean: found shape {mean.shape}, expected {shape}, that of the latent, or one value for "
        "each of its channels"
    )
