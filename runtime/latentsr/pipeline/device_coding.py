"""Which chunks are coded on the GPU that the engines run on, so that latents never cross the bus.

In a decode only the stream goes up, in an encode only the picture; down come the picture or the
stream, whose length is guessed, and a few bytes of findings. All of it has the bits and the errors
of the processor's coders, which go on doing what the device's do not: streams in CompressAI's form,
and chunks of too few symbols. `device_context` codes the chunks with context models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from latentsr.backends.base import EngineOptions
from latentsr.backends.device import parse_index
from latentsr.backends.device_pool import DeviceArray
from latentsr.cuda import module
from latentsr.cuda.batch import MOST_ENCODED
from latentsr.errors import BackendError, UsageError
from latentsr.pipeline import device_decoding, device_encoding
from latentsr.pipeline.coded_symbols import CodedSymbols
from latentsr.pipeline.context_step import ContextEntropy
from latentsr.pipeline.device_chunk import DeviceChunk
from latentsr.pipeline.device_context import DeviceContextCoding
from latentsr.pipeline.entropy_step import Coding, EntropyModel

CODERS = ("auto", "cpu", "cuda")
"""What `EngineOptions.coder` may be; ``auto`` is ``cuda`` for chunks of so many symbols or more:
`LEAST_SYMBOLS` to decode, `LEAST_ENCODED` to encode."""

LEAST_SYMBOLS = 1 << 15
"""Symbols of a chunk from which ``auto`` decodes on the device.

Below, what does not depend on the size decides: six launches and a wait there, about 70 µs,
against one wait and two copies here; one processor core decodes, restores and copies 2^15 symbols
in about as long, at 2 to 3 ns each. An estimate: `benchmarks/gpu/kernels.py` has the figures to set
it by.
"""

LEAST_ENCODED = 1 << 16
"""Symbols of a chunk from which ``auto`` encodes on the device.

Eight launches and a wait, or two where a stream is larger than was guessed, take about 120 µs
there, and a warp, which is what a stream of less than 96 kB gets, another 3 ns a symbol. One
processor core quantises, looks up, codes and copies both ways at 5 to 6 ns a symbol. An estimate,
too: `benchmarks/gpu/encode_speed.py` measures both.
"""

LEAST_PREDICTED = 1 << 14
"""Symbols of a chunk with a context model from which ``auto`` codes on the device, both ways.

A front takes five launches there, some 15 µs, and 8x11 positions, 2^14 symbols of 192 channels,
come in 32 fronts. Two processor cores take about 40 ns a symbol and are a little faster with more
of them, as they wait for each other at every layer. An estimate as well:
`benchmarks/gpu/kernels.py` measures both.
"""


def attach(models: Iterable[object], options: EngineOptions) -> None:
    """Let these entropy models code on the GPU, where options and this build want it.

    Raises UsageError for a coder that is none or has no GPU, BackendError where ``cuda`` is asked
    for and the kernels cannot run.
    """
    on_gpu = options.device.partition(":")[0] == "cuda"
    if options.coder not in CODERS or (options.coder == "cuda" and not on_gpu):
        expected = CODERS if on_gpu else CODERS[:2]
        raise UsageError(
            f"coder is not available on device {options.device}: found {options.coder!r}, expected "
            f"{' or '.join(expected)}; choose one of these, or a backend on a GPU"
        )
    if options.coder == "cpu" or not on_gpu:
        return
    if options.coder == "cuda" and (reason := module.why_not()):
        raise BackendError(reason)
    index = parse_index(options.device, "entropy coder")
    least = (0, 0) if options.coder == "cuda" else (LEAST_SYMBOLS, LEAST_ENCODED)
    for model in models:
        if isinstance(model, EntropyModel):
            model.on_gpu = DeviceCoding(model, index, *least)
        elif isinstance(model, ContextEntropy) and model.exact is not None:
            fewest = LEAST_PREDICTED if options.coder == "auto" else 0
            model.on_gpu = DeviceContextCoding(model.exact, model.coder, index, fewest)


class DeviceCoding:
    """Codes the `lanes` streams of one chunk; any number of threads may share it.

    index: number of the GPU; least_decoded, least_encoded: symbols from which the device does the
    work.
    """

    def __init__(
        self, model: EntropyModel, index: int, least_decoded: int, least_encoded: int
    ) -> None:
        self._chunk = DeviceChunk(model, index)
        self._least_decoded, self._least_encoded = least_decoded, least_encoded

    def decodes(self, shape: tuple[int, ...], scales: Any, means: Any, coding: Coding) -> bool:
        """Whether a chunk of this shape is decoded here; what is wrong with it is not."""
        return self._least_decoded <= math.prod(shape) and self._takes(shape, scales, means, coding)

    def encodes(self, shape: tuple[int, ...], scales: Any, means: Any, coding: Coding) -> bool:
        """Whether a latent of this shape is encoded here; what is wrong with it is not."""
        fits = self._least_encoded <= math.prod(shape) <= MOST_ENCODED
        return fits and self._takes(shape, scales, means, coding)

    def decode(
        self, data: bytes, shape: tuple[int, ...], scales: Any, means: Any, coding: Coding
    ) -> tuple[DeviceArray, CodedSymbols]:
        """Latent and symbols; see `device_decoding.decode`."""
        return device_decoding.decode(self._chunk, data, shape, scales, means, coding)

    def encode(
        self, latent: Any, scales: Any, means: Any, coding: Coding
    ) -> tuple[bytes, DeviceArray, CodedSymbols]:
        """Bytes, the decoder's latent and symbols; see `device_encoding.encode`."""
        return device_encoding.encode(self._chunk, latent, scales, means, coding)

    def _takes(self, shape: tuple[int, ...], scales: Any, means: Any, coding: Coding) -> bool:
        return (
            coding.form == "lanes" and self._chunk.takes(shape, scales, means) and module.usable()
        )
