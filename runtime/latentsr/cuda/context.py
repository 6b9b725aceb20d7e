"""DeviceContext: integer context models on a CUDA device, latent for latent as `ContextCoder`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.cuda.coder import DeviceCoder
from latentsr.cuda.module import compiled, launching
from latentsr.entropy.context_tensors import ContextTensors
from latentsr.errors import BundleError

MOST_SYMBOLS = 1 << 29
"""Symbols of one latent."""


@dataclass(frozen=True)
class ContextArrays:
    """Device addresses for a latent (M, H, W) of a model with C1 features.

    model: copy of `DeviceContext.packed`, at a multiple of 16. features: float32 (C1, H, W).
    scratch: `DeviceContext.scratch` bytes at a multiple of 256. symbols: int32 (M, H, W), written.
    latent: float32 (M, H, W), written. result: `RESULT`, written.
    """

    model: int
    features: int
    scratch: int
    symbols: int
    latent: int
    result: int


class DeviceContext:
    """A context model as the kernels read it; `packed` must be in device memory.

    Args:
        tensors, thresholds: as for `ContextCoder`.

    Raises:
        BackendError: this build has no CUDA kernels.
        BundleError: as `ContextCoder`.
    """

    def __init__(self, tensors: ContextTensors, thresholds: NDArray[np.float32]) -> None:
        native = compiled()
        biases = [bias for bias in tensors.biases if bias is not None]
        try:
            self._native = native.PackedContext(
                tensors.taps, tensors.settings, list(tensors.weights), biases,
                list(tensors.shifts), tensors.lift, thresholds,
            )  # fmt: skip
        except ValueError as error:
            raise BundleError(f"context model, {error}; export the bundle again") from None
        self.packed: NDArray[np.uint8] = np.frombuffer(self._native.bytes, np.uint8)

    def scratch(self, height: int, width: int) -> int:
        """Bytes of scratch for a latent of this size."""
        return int(self._native.scratch(height, width))

    def decode(
        self, coder: DeviceCoder, tables: int, size: tuple[int, int], data: tuple[int, int],
        at: ContextArrays, stream: int = 0,
    ) -> None:  # fmt: skip
        """Start decoding a stream of the `lanes` form with one part.

        Args:
            coder: of the symbols, without certain rows.
            tables: address of a copy of `coder.packed`.
            size: height and width of the latent, of at most `MOST_SYMBOLS` symbols.
            data: address of the stream, which needs no alignment, and its bytes.
            at: where the arrays are; the result is what `ContextCoder.decode` words.
            stream: handle of the CUDA stream.

        Raises:
            BackendError: CUDA refused a launch.
        """
        with launching("decoding with a context model"):
            self._native.decode(
                at.model, coder.native, tables, *size, *data, at.features, at.scratch, at.symbols,
                at.latent, at.result, stream,
            )  # fmt: skip

    def encode(
        self, size: tuple[int, int], y: int, scan: tuple[int, int], at: ContextArrays,
        stream: int = 0,
    ) -> None:  # fmt: skip
        """Start quantising a latent y, float32 (M, H, W).

        Args:
            size, at, stream: as for `decode`; the result is what `ContextCoder.quantise` words.
            y: its address.
            scan: addresses of int32 and uint8 (H * W * M,), written: symbols and table rows in the
                order in which they are to be coded, in one part.

        Raises:
            BackendError: CUDA refused a launch.
        """
        with launching("quantising with a context model"):
            self._native.encode(
                at.model, *size, at.features, y, at.scratch, at.symbols, at.latent, *scan,
                at.result, stream,
            )  # fmt: skip
