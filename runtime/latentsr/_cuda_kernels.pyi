"""Types of the compiled module for CUDA devices; kernels/bindings/cuda_*.cpp is its source.

Addresses are device addresses, `stream` a stream's handle; kernels/include/latentsr/cuda/launches.h
says what each array must be. RuntimeError with CUDA's words where a launch is refused.
"""

import numpy as np
from numpy.typing import NDArray

_Triple = tuple[int, int, int]

def obstacle() -> str:
    """Why kernels cannot run here; empty when they can."""

def encode_scratch(symbol_count: int, target_count: int, most_parts: int) -> int:
    """Bytes of scratch of an encode."""

def encode_bound(count: int, lanes: int, parts: int) -> int:
    """Bytes that a stream of `count` symbols cannot exceed."""

class PackedTables:
    """Tables of the `lanes` form as one block of bytes; ValueError when they are none."""

    def __init__(
        self, cdf: NDArray[np.int32], length: NDArray[np.int32], offset: NDArray[np.int32]
    ) -> None: ...
    @property
    def bytes(self) -> bytes:
        """To be copied to the device; `base` is the copy's address."""

    def decode(
        self,
        base: int,
        streams: int,
        stream_count: int,
        most_parts: int,
        skip: int,
        data: int,
        indexes: int,
        index_bytes: int,
        out: int,
        part_results: int,
        results: int,
        stream: int,
    ) -> None: ...
    def encode(
        self,
        base: int,
        targets: int,
        target_count: int,
        most_parts: int,
        skip: int,
        symbols: int,
        indexes: int,
        index_bytes: int,
        symbol_count: int,
        scratch: int,
        data: int,
        outcomes: int,
        stream: int,
    ) -> None: ...

class PackedContext:
    """A context model as one block of bytes; ValueError when the tensors are none."""

    def __init__(
        self,
        taps: NDArray[np.int32],
        settings: NDArray[np.int32],
        weights: list[NDArray[np.int16]],
        biases: list[NDArray[np.int32]],
        shifts: list[NDArray[np.uint8]],
        lift: NDArray[np.uint8],
        thresholds: NDArray[np.float32],
    ) -> None: ...
    @property
    def bytes(self) -> bytes:
        """To be copied to the device; `base` is the copy's address."""

    def scratch(self, height: int, width: int) -> int:
        """Bytes of scratch for a latent of this size."""

    def decode(
        self,
        base: int,
        tables: PackedTables,
        table_base: int,
        height: int,
        width: int,
        data: int,
        size: int,
        features: int,
        scratch: int,
        symbols: int,
        latent: int,
        result: int,
        stream: int,
    ) -> None: ...
    def encode(
        self,
        base: int,
        height: int,
        width: int,
        features: int,
        y: int,
        scratch: int,
        symbols: int,
        latent: int,
        scan_symbols: int,
        scan_indexes: int,
        result: int,
        stream: int,
    ) -> None: ...

def scale_indexes(
    scales: int,
    sample_bytes: int,
    count: int,
    thresholds: int,
    threshold_count: int,
    out: int,
    fault: int,
    stream: int,
) -> None: ...
def symbols_from_latent(
    latent: int,
    sample_bytes: int,
    means: int,
    mean_count: int,
    repeat: int,
    count: int,
    symbols: int,
    restored: int,
    fault: int,
    stream: int,
) -> None: ...
def latent_from_symbols(
    symbols: int,
    means: int,
    mean_count: int,
    repeat: int,
    count: int,
    latent: int,
    sample_bytes: int,
    stream: int,
) -> None: ...
def clear_certain(
    indexes: int,
    index_bytes: int,
    skip: int,
    means: int,
    mean_count: int,
    repeat: int,
    count: int,
    symbols: int,
    restored: int,
    stream: int,
) -> None: ...
def crc_of_symbols(
    symbols: int, streams: int, stream_count: int, starts: int, crcs: int, stream: int
) -> None: ...
def combine_crcs(before: int, own: int, count: int) -> int:
    """Computed on the host, at once."""

def limit_samples(samples: int, sample_bytes: int, count: int, out: int, stream: int) -> None: ...
def convert_samples(samples: int, sample_bytes: int, count: int, out: int, stream: int) -> None: ...
def picture_from_planes(
    planes: int,
    sample_bytes: int,
    strides: _Triple,
    sizes: _Triple,
    pictures: int,
    fault: int,
    stream: int,
) -> None: ...
def planes_from_picture(
    pictures: int,
    height: int,
    width: int,
    top: int,
    left: int,
    planes: int,
    sample_bytes: int,
    strides: _Triple,
    sizes: _Triple,
    stream: int,
) -> None: ...
