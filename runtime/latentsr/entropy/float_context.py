"""CompressAI's context models in float32: their strings read and written without torch.

In the autoregressive families (mbt2018, cheng2020) scales and means of a position's symbols come
from a small network that sees the latent before it, in raster order (Minnen et al. 2018). The
network, the coder and the loop over positions run in `latentsr._kernels`;
kernels/include/latentsr/context_float.h tells the arithmetic, which is the same on every
instruction set. torch sums in another order, so now and then a scale that lies on a threshold
belongs to another table row there, and from then on everything differs: `float_search` finds such
symbols.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.entropy import isa as instruction_sets
from latentsr.entropy.coder import Coder
from latentsr.entropy.evidence import Classes
from latentsr.entropy.faults import corruption
from latentsr.entropy.float_search import Network, Reading, Search
from latentsr.entropy.repair import Repair
from latentsr.errors import BundleError, CorruptStream, DesyncError, ImageError, StreamError

SLOPE = 0.01
"""Of torch's LeakyReLU as CompressAI uses it."""
SCALE_BOUND = 0.11
"""Smaller scales count as this one; CompressAI's `scale_bound`."""
SEARCH_SECONDS = 8.0


@dataclass(frozen=True)
class FloatLatent:
    """What a stream held: int32 symbols and float32 latent (M, H, W), and what was repaired."""

    symbols: NDArray[np.int32]
    latent: NDArray[np.float32]
    repair: Repair


class FloatContext:
    """One context model with the tables of its symbols; many threads may share it.

    Args:
        coder: tables of 16 bits, one row an entry of the scale table.
        taps: int32 (T, 2), each (dy, dx) before the position: dy < 0, or dy = 0 and dx < 0.
        weights: float32 arrays: context prediction (C0, T, M), the first layer's half over the
            context (C1, C0), then (Ck, Ck-1), the last one with 2 M outputs, scales before means.
        biases: float32 arrays of the context prediction and of the layers after the first, whose
            own is part of the features.
        scale_table: float32 (rows,), rising.
        slope: of the LeakyReLU between the layers, 0 to less than 1.
        bound: scales below it count as it.
        isa: instruction set, or None for the one that LATENTSR_ISA or the processor sets.

    Raises:
        BundleError: arrays of another type, or that do not fit together.
        UsageError: the environment asks for an instruction set that is not there.
    """

    def __init__(
        self,
        coder: Coder,
        taps: NDArray[np.int32],
        weights: Sequence[NDArray[np.float32]],
        biases: Sequence[NDArray[np.float32]],
        scale_table: NDArray[np.float32],
        slope: float = SLOPE,
        bound: float = SCALE_BOUND,
        isa: Isa | None = None,
    ) -> None:
        self._coder = coder
        self._isa = instruction_sets.choose() if isa is None else isa
        try:
            if np.size(scale_table) != coder.tables.rows:
                raise ValueError(
                    f"found {np.size(scale_table)} scales for {coder.tables.rows} rows"
                )
            self._native = _kernels.FloatContext(
                np.ascontiguousarray(taps),
                np.ascontiguousarray(weights[0]),
                [np.ascontiguousarray(weight) for weight in weights[1:]],
                [np.ascontiguousarray(bias) for bias in biases],
                slope,
                np.ascontiguousarray(scale_table),
                bound,
            )
        except (TypeError, ValueError, IndexError) as error:
            raise BundleError(
                f"float context model: {str(error).splitlines()[0]}; export the bundle again"
            ) from error
        self._channels = int(weights[0].shape[2])
        self._features = int(weights[1].shape[0])

    @cached_property
    def _classes(self) -> Classes:
        """Needed for searches only; two threads may both make them, which is harmless."""
        return Classes(self._coder.tables)

    @classmethod
    def from_tensors(
        cls, coder: Coder, tensors: Mapping[str, NDArray[Any]], chunk: str = "y"
    ) -> FloatContext:
        """The model of a bundle's chunk: `CHUNK.context.taps` and `CHUNK.context.float.*`.

        Raises:
            BundleError: tensors are missing, or do not fit together.
        """
        prefix = f"{chunk}.context."
        count = sum(f"{prefix}float.{k}.weight" in tensors for k in range(len(tensors)))
        named = [f"{prefix}float.{k}.weight" for k in range(count)]
        named += [f"{prefix}float.{k}.bias" for k in range(count) if k != 1]
        named += [f"{prefix}taps", f"{chunk}.scale_table"]
        missing = [name for name in named if name not in tensors]
        if missing or count < 3:
            raise BundleError(
                f"float context model of chunk {chunk}: found {count} layers, missing "
                f"{missing or 'layers'}, expected 3 layers or more; export the bundle again"
            )
        arrays = [np.asarray(tensors[name]) for name in named]
        return cls(coder, arrays[-2], arrays[:count], arrays[count:-2], arrays[-1])

    def decode(
        self,
        data: bytes | bytearray | memoryview,
        features: NDArray[np.float32],
        seconds: float = SEARCH_SECONDS,
        chunk: str = "y",
    ) -> FloatLatent:
        """Read a latent.

        Args:
            data: one whole stream of the `compressai` form; any bytes are safe.
            features: float32 (C1, H, W), the first layer's half over the hyper-latent's
                parameters and its bias.
            seconds: that a search for differing table rows may take.
            chunk: its name in messages and in the result's repair.

        Raises:
            CorruptStream: the data is no stream, or nothing in it is in doubt and it does not fit.
            DesyncError: it went out of step, and the search found no remedy.
            BundleError: features of another kind.
        """
        shape, network = self._start(features)
        stream = np.frombuffer(bytes(data), np.uint8)
        reader = _kernels.StreamReader(stream)
        if reader.start()[0] != Status.OK:
            raise corruption("compressai", *reader.start())
        start = time.perf_counter()
        reading = Reading(network, self._coder.native, stream, self._channels)
        run = reading.run(None, reader.position(), ())
        doubtful, tries = run.doubtful, 0
        if run.fault is not None:
            first = run.fault
            found, tries = Search(reading, run, self._classes).run(seconds)
            passed = time.perf_counter() - start
            if found is None:
                _raise_unread(chunk, first, doubtful, tries, passed)
            run = found
        passed = time.perf_counter() - start if tries else 0.0
        repair = Repair(chunk, doubtful, len(run.changes), tries, passed)
        return FloatLatent(_planes(reading.symbols, shape), _planes(reading.latent, shape), repair)

    def encode(
        self, features: NDArray[np.float32], y: NDArray[np.float32], chunk: str = "y"
    ) -> tuple[bytes, FloatLatent]:
        """Write a latent: symbol = rint(y - mean), half to even.

        Args:
            features: as for `decode`.
            y: float32 (M, H, W).

        Returns:
            A stream of the `compressai` form, and what a decoder finds in it.

        Raises:
            ImageError: a latent less its mean is NaN or no int32.
            StreamError: the network gives numbers that are not finite.
            BundleError: features or latent of another kind.
        """
        shape, network = self._start(features)
        if y.dtype != np.float32 or y.shape != shape:
            raise BundleError(
                f"latent {chunk} is of the wrong kind: found {y.dtype} {y.shape}, expected float32 "
                f"{shape}; export the bundle again"
            )
        count = y.size
        symbols, latent = np.empty(count, np.int32), np.empty(count, np.float32)
        rows = np.empty(count, np.uint8)
        status, place, _ = self._native.encode(
            network.features, _raster(y).reshape(-1), symbols, rows, latent, self._isa
        )
        if status == Status.OUT_OF_RANGE:
            raise ImageError(
                f"latent {chunk} is out of range: found NaN or more than 32 bits hold at symbol "
                f"{place}, expected a trained network's latents; check the checkpoint"
            )
        if status == Status.NOT_A_NUMBER:
            raise StreamError(_no_number(place) + "; the network overflowed, check its weights")
        data = self._coder.encode(symbols, rows, form="compressai")
        return data, FloatLatent(_planes(symbols, shape), _planes(latent, shape), Repair(chunk, 0))

    def _start(self, features: NDArray[np.float32]) -> tuple[tuple[int, int, int], Network]:
        """The latent's shape, and the network with its features in raster order."""
        wrong = features.dtype != np.float32 or features.ndim != 3
        if wrong or features.shape[0] != self._features:
            raise BundleError(
                f"features of a context model: found {features.dtype} {features.shape}, expected "
                f"float32 ({self._features}, h, w); export the bundle again"
            )
        _, height, width = features.shape
        network = Network(self._native, _raster(features), self._isa)
        return (self._channels, height, width), network


def _raster(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(channels, H, W) to (H, W, channels)."""
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _planes(values: NDArray, shape: tuple[int, int, int]) -> NDArray:
    """Values in raster order, flat, to (channels, H, W)."""
    channels, height, width = shape
    return np.ascontiguousarray(values.reshape(height, width, channels).transpose(2, 0, 1))


def _no_number(place: int) -> str:
    return f"scale or mean of symbol {place}: found no finite number, expected one"


def _raise_unread(
    chunk: str, fault: tuple[Status, int, int], doubtful: int, tries: int, seconds: float
) -> NoReturn:
    """The error for a stream that no choice of rows brings to its right end."""
    if fault[0] == Status.NOT_A_NUMBER:
        found = f"{_no_number(fault[1])}; decode it with the bundle it was written with"
    else:
        found = str(corruption("compressai", *fault))
    if not doubtful:
        raise CorruptStream(f"chunk {chunk}: {found}")
    raise DesyncError(
        f"chunk {chunk} ran out of step: {found}. Where the stream itself is whole, its writer "
        f"computed another scale index (another device or library); {tries} ways to change "
        f"{doubtful} doubtful indexes and those behind them were tried in {seconds:.1f} s; decode "
        "where it was written, or write it again with this runtime"
    )
