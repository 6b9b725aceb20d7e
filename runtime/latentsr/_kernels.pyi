"""Types of the compiled module; kernels/bindings is its source."""

from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

class Status(Enum):
    """What a kernel found; kernels/include/latentsr/status.h says what each detail means."""

    OK = 0
    BAD_INDEX = 1
    ODD_SIZE = 2
    TRUNCATED = 3
    TRAILING = 4
    BAD_START = 5
    BAD_END = 6
    BAD_ESCAPE = 7
    NOT_A_NUMBER = 8
    BAD_HEADER = 9
    TRAILING_SIDE = 10
    NOT_ZERO = 11
    OUT_OF_RANGE = 12

class Isa(Enum):
    """Instruction sets that a decoder of the `lanes` form was written for."""

    SCALAR = 0
    AVX2 = 1
    AVX512 = 2
    NEON = 3

Outcome = tuple[Status, int, int]

class CdfTables:
    """Prepared distributions; ValueError when they are none."""

    def __init__(
        self, cdf: NDArray[np.int32], length: NDArray[np.int32], offset: NDArray[np.int32]
    ) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def slots(self) -> int:
        """Slots of all rows."""

    def encode_compressai(
        self, symbols: NDArray[np.int32], indexes: NDArray[np.integer]
    ) -> tuple[Outcome, bytes]:
        """Outcome and stream; flat arrays, indexes uint8 or int32."""

    def decode_compressai(
        self, data: NDArray[np.uint8], indexes: NDArray[np.integer], out: NDArray[np.int32]
    ) -> Outcome:
        """Fill `out`; flat arrays, indexes uint8 or int32."""

class StreamReader:
    """A stream of the `compressai` form, and how far it was read."""

    def __init__(self, data: NDArray[np.uint8]) -> None: ...
    def start(self) -> Outcome:
        """What the first state was; every read says so again unless it was OK."""

    def read(
        self, tables: CdfTables, indexes: NDArray[np.integer], out: NDArray[np.int32]
    ) -> Outcome:
        """Fill `out` and move on, or stay after a fault; flat arrays, indexes uint8 or int32."""

    def close(self) -> Outcome:
        """Whether the stream ends here."""

    def position(self) -> tuple[int, int, int]:
        """State, byte of the next word, symbols read."""

    def seek(self, position: tuple[int, int, int]) -> None:
        """Go to a position; ValueError when the stream cannot have it."""

class StreamWriter:
    """Symbols of a stream of the `compressai` form, coded when all are there."""

    def __init__(self) -> None: ...
    def push(
        self, tables: CdfTables, symbols: NDArray[np.int32], indexes: NDArray[np.integer]
    ) -> Outcome:
        """Add copies of flat arrays, indexes uint8 or int32; nothing after a fault."""

    def flush(self) -> bytes:
        """The stream; the writer is empty afterwards."""

def fill_int32(list: Iterable[int], out: NDArray[np.int32]) -> None:
    """Copy integers; ValueError beyond 32 bits, TypeError for what is no integer."""

def tables_from_lists(
    cdf: Iterable[Iterable[int]], length: Iterable[int], offset: Iterable[int]
) -> CdfTables:
    """Prepared distributions from CompressAI's lists; errors as `CdfTables` and `fill_int32`."""

def same_lists(
    tables: CdfTables, cdf: Iterable[Iterable[int]], length: Iterable[int], offset: Iterable[int]
) -> bool:
    """Whether the lists would make the same tables; errors as `tables_from_lists`."""

def same_arrays(
    tables: CdfTables, cdf: NDArray[np.int32], length: NDArray[np.int32], offset: NDArray[np.int32]
) -> bool:
    """Whether the arrays would make the same tables."""

class LaneTables:
    """The distributions of a `CdfTables`, laid out for the `lanes` form."""

    def __init__(self, tables: CdfTables) -> None: ...
    def encode(
        self,
        symbols: NDArray[np.int32],
        indexes: NDArray[np.integer],
        lanes: int = 0,
        parts: int = 0,
        skip: int = 0,
        threads: int = 1,
    ) -> tuple[Outcome, bytes]:
        """Outcome and stream; flat arrays, indexes uint8 or int32; 0: as many as pay."""

    def decode(
        self,
        data: NDArray[np.uint8],
        indexes: NDArray[np.integer],
        out: NDArray[np.int32],
        isa: Isa,
        skip: int = 0,
        threads: int = 1,
    ) -> Outcome:
        """Fill `out`; flat arrays, indexes uint8 or int32; ValueError for an unsupported isa."""

class ContextModel:
    """An integer context model; kernels/include/latentsr/context.h says what it computes."""

    def __init__(
        self,
        taps: NDArray[np.int32],
        settings: NDArray[np.int32],
        weights: Sequence[NDArray[np.int16]],
        biases: Sequence[NDArray[np.int32]],
        shifts: Sequence[NDArray[np.uint8]],
        lift: NDArray[np.uint8],
        thresholds: NDArray[np.float32],
    ) -> None:
        """ValueError, saying what is wrong, for tensors that are no model.

        taps: (T, 2). weights: of layers 0 .. L, 0 (C0, T, M) or (C0, T M), k (Ck, Ck-1), CL = 2 M.
        biases: of layers 0, 2 .. L. shifts: of layers 0 .. L. lift: (C1,). settings: (4 + L,).
        thresholds: one for each row of the tables; the last is not used.
        """

    @property
    def channels(self) -> int:
        """M."""

    @property
    def features(self) -> int:
        """C1."""

    def decode(
        self,
        features: NDArray[np.float32],
        data: NDArray[np.uint8],
        tables: LaneTables,
        symbols: NDArray[np.int32],
        latent: NDArray[np.float32],
        isa: Isa,
        threads: int = 1,
    ) -> Outcome:
        """Fill `symbols` and `latent`, (M, H, W), from features (C1, H, W) and a stream.

        Faults are those of `LaneTables.decode`, positions in scan order; BAD_HEADER for a stream
        of several parts; NOT_A_NUMBER for a feature that is not finite, with its place.
        """

    def encode(
        self,
        features: NDArray[np.float32],
        y: NDArray[np.float32],
        symbols: NDArray[np.int32],
        latent: NDArray[np.float32],
        scan_symbols: NDArray[np.int32],
        scan_indexes: NDArray[np.uint8],
        isa: Isa,
        threads: int = 1,
    ) -> Outcome:
        """Fill `symbols` and `latent` as `decode` will, from a latent y (M, H, W).

        scan_symbols, scan_indexes: (M H W,), for `LaneTables.encode` with parts=1. OUT_OF_RANGE
        for a latent less its mean that is NaN or beyond 2^30, its place in scan order.
        """

def isa_supported(isa: Isa) -> bool:
    """Whether this build has the decoder and this processor runs it."""

def scale_indexes(
    scales: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    out: NDArray[np.uint8],
    isa: Isa,
) -> Outcome:
    """Fill `out`; flat arrays; ValueError for an unsupported isa."""

def symbols_from_latent(
    latent: NDArray[np.float32],
    means: NDArray[np.float32] | None,
    repeat: int,
    symbols: NDArray[np.int32],
    restored: NDArray[np.float32] | None,
    isa: Isa,
) -> Outcome:
    """Fill `symbols` and `restored`; flat arrays; value i has mean (i / repeat) mod size."""

def latent_from_symbols(
    symbols: NDArray[np.int32],
    means: NDArray[np.float32] | None,
    repeat: int,
    out: NDArray[np.float32],
    isa: Isa,
) -> None:
    """Fill `out`; flat arrays; means as above."""

def crc32(data: NDArray[np.uint8], start: int, isa: Isa) -> int:
    """zlib's CRC-32, going on from `start`; a flat array."""

def picture_from_planes(
    planes: NDArray[np.float32], out: NDArray[np.uint8], isa: Isa, threads: int = 1
) -> bool:
    """Fill `out` (H, W, 3) from planes (3, H, W); False when a sample is NaN or infinite.

    The planes may be a window of larger ones: only the samples of a row must lie side by side.
    """

def planes_from_picture(
    picture: NDArray[np.uint8],
    out: NDArray[np.float32],
    top: int,
    left: int,
    isa: Isa,
    threads: int = 1,
) -> None:
    """Fill `out` (3, H', W') with a picture (H, W, 3) at a place, its border repeated outwards."""

class FloatContext:
    """A context model in float32; ValueError with the reason when its arrays are none."""

    def __init__(
        self,
        taps: NDArray[np.int32],
        context: NDArray[np.float32],
        weights: list[NDArray[np.float32]],
        biases: list[NDArray[np.float32]],
        slope: float,
        scale_table: NDArray[np.float32],
        bound: float,
    ) -> None:
        """(T, 2); (C0, T, M); layers 1 to L; biases of layers 0 and 2 to L; (rows,)."""

    def decode(
        self,
        tables: CdfTables,
        data: NDArray[np.uint8],
        features: NDArray[np.float32],
        symbols: NDArray[np.int32],
        rows: NDArray[np.uint8],
        latent: NDArray[np.float32],
        begin: tuple[int, int, int],
        changes: list[tuple[int, int]],
        tolerance: float,
        most_doubts: int,
        isa: Isa,
    ) -> tuple[Outcome, tuple[int, int, int], list[tuple[int, int, float, int, int]]]:
        """Fill the flat arrays from `begin` on; outcome, end, doubts.

        features (H, W, C1). begin and end: state, byte of the next word, symbols before. changes:
        (symbol number, row), rising, none before `begin`. A doubt: symbol number, other row,
        distance, and state and byte where its position begins. ValueError for what does not fit.
        """

    def encode(
        self,
        features: NDArray[np.float32],
        y: NDArray[np.float32],
        symbols: NDArray[np.int32],
        rows: NDArray[np.uint8],
        latent: NDArray[np.float32],
        isa: Isa,
    ) -> Outcome:
        """Fill symbols, rows and latent; all flat, (H, W, M) in C order; features as above."""
