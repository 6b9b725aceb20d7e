"""Latents whose distributions depend on their own symbols, coded in the `lanes` form.

The context model, the coder and the walk over the positions run in `latentsr._kernels`, without
the GIL; `latentsr.entropy.reference_context` says what they compute, in integers only, so that
every machine finds the same distributions. This file checks what goes in and puts the kernels'
findings into words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.entropy import isa as instruction_sets
from latentsr.entropy.coder import Coder
from latentsr.entropy.context_tensors import ContextTensors
from latentsr.entropy.faults import corruption
from latentsr.entropy.latents import ScaleTable
from latentsr.errors import BundleError, ImageError, StreamError

Floats = NDArray[np.float32]
Symbols = NDArray[np.int32]


@dataclass(frozen=True)
class Quantised:
    """A quantised latent of M channels.

    symbols, latent: int32 and float32 (M, H, W), the latter what the decoder will have.
    scan_symbols, scan_indexes: int32 and uint8 (H * W * M,), symbols and table rows in the order
    of coding.
    """

    symbols: Symbols
    latent: Floats
    scan_symbols: Symbols
    scan_indexes: NDArray[np.uint8]


class ContextCoder:
    """A context model with the tables of its symbols; many threads may share one.

    Args:
        tensors: of the model, over M channels, with C1 features.
        thresholds: float32 (rows,), rising whole numbers over scales in units of 2^-10.
        coder: the tables, a row for each threshold; no rows are skipped.

    Raises:
        BundleError: tensors with which a sum could leave 32 bits, taps that reach what is not
            decoded yet, values out of range, or arrays that do not fit together.
    """

    def __init__(self, tensors: ContextTensors, thresholds: Floats, coder: Coder) -> None:
        ScaleTable(thresholds)
        self.tensors, self.thresholds = tensors, thresholds
        if len(thresholds) != coder.tables.rows:
            raise BundleError(
                f"context model: found {len(thresholds)} thresholds, expected "
                f"{coder.tables.rows}, one for each row of the tables; export the bundle again"
            )
        self._coder = coder
        self.channels = tensors.channels
        self.features = len(tensors.weights[1])
        biases = [bias for bias in tensors.biases if bias is not None]
        try:
            self._native = _kernels.ContextModel(
                tensors.taps,
                tensors.settings,
                list(tensors.weights),
                biases,
                list(tensors.shifts),
                tensors.lift,
                thresholds,
            )
        except ValueError as error:
            raise BundleError(f"context model, {error}; export the bundle again") from None

    @cached_property
    def _isa(self) -> Isa:
        return instruction_sets.choose()

    def quantise(self, features: Floats, y: Floats, threads: int = 1) -> Quantised:
        """Symbols of a latent, and with which rows of the tables they are to be coded.

        Args:
            features: float32 (C1, H, W), whole numbers in units of 2^-10.
            y: float32 (M, H, W).
            threads: that may be used, which never changes a bit.

        Raises:
            BundleError: features or latent of another kind.
            ImageError: a latent less its mean is NaN or beyond 2^30.
            StreamError: a feature is not finite.
        """
        shape = self._shape(features)
        if y.dtype != np.float32 or y.shape != shape:
            raise BundleError(
                f"latent of a context model: found {y.dtype} {y.shape}, expected float32 {shape}; "
                "export the bundle again"
            )
        made = Quantised(
            np.empty(shape, np.int32),
            np.empty(shape, np.float32),
            np.empty(y.size, np.int32),
            np.empty(y.size, np.uint8),
        )
        status, position, _ = self._native.encode(
            np.ascontiguousarray(features),
            np.ascontiguousarray(y),
            made.symbols,
            made.latent,
            made.scan_symbols,
            made.scan_indexes,
            self._isa,
            threads,
        )
        refuse(status, position)
        return made

    def encode(
        self, features: Floats, y: Floats, threads: int = 1
    ) -> tuple[bytes, Floats, Symbols]:
        """The stream, the decoder's latent and the symbols, (M, H, W) each; see `quantise`."""
        made = self.quantise(features, y, threads)
        # Positions are decoded one after the other, so parts would have nobody to read them.
        data = self._coder.encode(made.scan_symbols, made.scan_indexes, parts=1)
        return data, made.latent, made.symbols

    def decode(
        self, features: Floats, data: bytes | bytearray | memoryview, threads: int = 1
    ) -> tuple[Floats, Symbols]:
        """The inverse of `encode`: the decoder's latent and the symbols, (M, H, W) each.

        Raises:
            CorruptStream: truncated, trailing or damaged data, or another model's.
            BundleError: features of another kind.
            StreamError: a feature is not finite.
        """
        shape = self._shape(features)
        symbols, latent = np.empty(shape, np.int32), np.empty(shape, np.float32)
        outcome = self._native.decode(
            np.ascontiguousarray(features),
            np.frombuffer(data, np.uint8),
            self._coder.lanes,
            symbols,
            latent,
            self._isa,
            threads,
        )
        check_decoded(*outcome)
        return latent, symbols

    def _shape(self, features: Floats) -> tuple[int, int, int]:
        wrong = features.dtype != np.float32 or features.ndim != 3
        if wrong or features.shape[0] != self.features:
            raise BundleError(
                f"features of a context model: found {features.dtype} {features.shape}, expected "
                f"float32 ({self.features}, h, w); export the bundle again"
            )
        return self.channels, features.shape[1], features.shape[2]


def check_decoded(status: Status, position: int, detail: int) -> None:
    """Raise what a decode's outcome means, unless it is good: as `ContextCoder.decode`."""
    refuse(status, position)
    if status != Status.OK:
        raise corruption("lanes", status, position, detail)


def refuse(status: Status, position: int) -> None:
    """Raise for what no bytes of a stream can cause."""
    if status == Status.OUT_OF_RANGE:
        raise ImageError(
            "latent of a context model is out of range: found values beyond 2^30 or NaN, first at "
            f"element {position} of the scan, expected a trained network's latents; check the "
            "checkpoint"
        )
    if status == Status.NOT_A_NUMBER:
        raise StreamError(
            f"features of a context model, element {position}: found no finite number, expected "
            "one; the entropy-parameter network overflowed, check its weights and precision"
        )
