"""Latents ↔ bytes for one chunk with a context model (Minnen et al. 2018; Cheng et al. 2020).

Scales and means of a position depend on the latent before it, so the step takes *features*, what
the hyperprior says, in their place. Streams of the form `lanes` come from integers alone
(`latentsr.entropy.context`) and are exact; those of the form `compressai` come from a float
network in raster order, as CompressAI's own strings (`latentsr.entropy.float_context`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.backends.values import on_host
from latentsr.bundle import Bundle
from latentsr.chunks import Chunk
from latentsr.entropy.coder import Coder
from latentsr.entropy.context import ContextCoder
from latentsr.entropy.context_tensors import load_context
from latentsr.entropy.float_context import FloatContext
from latentsr.entropy.latents import LatentSteps
from latentsr.errors import BundleError, CorruptStream, DesyncError, StreamError, UsageError
from latentsr.pipeline.chunk_size import (
    check_latent,
    check_plausible,
    latent_shape,
    least_bits,
)
from latentsr.pipeline.coded_symbols import CodedSymbols
from latentsr.pipeline.entropy_step import Coding

if TYPE_CHECKING:
    from latentsr.pipeline.device_context import DeviceContextCoding


class ContextEntropy:
    """Coder and context model of one chunk; tensors stay resident.

    threads: that may work on one latent. Raises BundleError for tensors that are no context
    model.
    """

    INPUTS = ("features",)

    def __init__(self, bundle: Bundle, chunk: Chunk, threads: int = 1) -> None:
        assert chunk.context is not None
        tables = bundle.tables(chunk)
        self.chunk = chunk
        self.coder = Coder(tables)
        self.threads = threads
        self._least_bits = float(least_bits(tables).min()) * chunk.channels
        self._bundle = bundle
        self.exact: ContextCoder | None = None
        self.on_gpu: DeviceContextCoding | None = None  # what `device_coding.attach` puts there
        if bundle.manifest.exact:
            tensors = load_context(bundle, chunk.context.tensors, chunk.channels)
            limits = bundle.tensor(f"{chunk.name}.thresholds", "float32", (tables.rows,))
            self.exact = ContextCoder(tensors, limits, self.coder)

    @property
    def _has_float(self) -> bool:
        """Whether the family is one of CompressAI's, with strings of its own."""
        assert self.chunk.context is not None
        return f"{self.chunk.context.tensors}.float.0.weight" in self._bundle.tensors

    @cached_property
    def _float(self) -> FloatContext:
        """Made when first used: streams of our own need none."""
        return FloatContext.from_tensors(self.coder, self._bundle.tensors, self.chunk.name)

    @cached_property
    def _steps(self) -> LatentSteps:
        return LatentSteps()

    def encode(self, latent: Any, features: Any, coding: Coding) -> tuple[bytes, Any, Any]:
        """Code a float32 latent (1, M, h, w): bytes, the decoder's latent, int32 symbols.

        features: float32 (1, C1, h, w). Both may lie on a device; what is encoded there stays
        there, and is brought down otherwise.
        """
        check_latent(self.chunk, latent)
        exact = self._exact_coder(coding)
        if exact is not None and self.on_gpu and self.on_gpu.codes(latent.shape, features):
            return self.on_gpu.encode(latent, features)
        latent = on_host(latent)
        given = self._features(features, latent.shape)
        if exact is None and not self._has_float:
            raise UsageError(
                f"chunk {self.chunk.name} has no context model in floating point: found only the "
                "integer one, expected both for strings that CompressAI reads; encode with "
                "exact=True"
            )
        if exact is not None:
            data, restored, symbols = exact.encode(given, latent[0], self.threads)
            return data, restored[None], symbols[None]
        data, found = self._float.encode(given, latent[0], self.chunk.name)
        return data, found.latent[None], found.symbols[None]

    def decode(
        self, data: bytes, padded_size: tuple[int, int], features: Any, coding: Coding
    ) -> tuple[Any, Any]:
        """Decode one chunk to the float32 latent (1, M, h, w) and its int32 symbols.

        features: as for `encode`. Raises CorruptStream, DesyncError, or StreamError for a form that
        context models lack.
        """
        shape = latent_shape(self.chunk, padded_size)
        check_plausible(self.chunk, len(data), shape, self._least_bits)
        exact = self._exact_coder(coding)
        if exact is None:
            given = self._features(features, shape)
            found = self._float.decode(data, given, chunk=self.chunk.name)
            coding.repairs.append(found.repair)
            return found.latent[None], found.symbols[None]
        try:
            return self._decode_exact(exact, data, shape, features)
        except CorruptStream as error:
            raise DesyncError(
                f"chunk {self.chunk.name} ran out of step: {error}. Where the stream itself is "
                "whole, an engine here does not keep its integers; run `latentsr verify`"
            ) from None

    def _decode_exact(
        self, exact: ContextCoder, data: bytes, shape: tuple[int, ...], features: Any
    ) -> tuple[Any, Any]:
        if self.on_gpu is not None and self.on_gpu.codes(shape, features):
            return self.on_gpu.decode(data, shape, features)
        latent, symbols = exact.decode(self._features(features, shape), data, self.threads)
        return latent[None], symbols[None]

    def crc(self, symbols: Any, start: int) -> int:
        """Go on with the CRC-32 over symbols as little-endian int32."""
        if isinstance(symbols, CodedSymbols):
            return symbols.crc_after(start)
        return self._steps.crc(symbols, start)

    def _exact_coder(self, coding: Coding) -> ContextCoder | None:
        """The integer path, or None for the float path."""
        if (coding.form, coding.exact) == ("lanes", True) and self.exact is not None:
            return self.exact
        if (coding.form, coding.exact) != ("compressai", False):
            kind = "exact" if coding.exact else "float"
            raise StreamError(
                f"chunk {self.chunk.name} has a context model: found form {coding.form} with "
                f"{kind} parameters, expected lanes with exact ones or compressai with float "
                "ones; write the stream again with this runtime"
            )
        return None

    def _features(self, features: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Features of one latent without the batch; BundleError where they do not fit it."""
        features = on_host(features)
        found = None if features is None else features.shape
        if found is None or len(found) != 4 or (found[0], *found[2:]) != (1, *shape[2:]):
            raise BundleError(
                f"features of chunk {self.chunk.name} have the wrong shape: found {found}, "
                f"expected (1, any, {shape[2]}, {shape[3]}); export the bundle again"
            )
        return np.asarray(features[0])
