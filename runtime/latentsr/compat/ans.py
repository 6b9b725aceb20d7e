"""The classes of `compressai.ans`, on latentsr's coder: the same strings, bit for bit.

Arguments may be lists, as CompressAI passes them, or arrays, or anything with `__array__`;
symbols come back as they were asked for: a list for a list of indexes, an int32 array of the
indexes' shape otherwise. Tables are those of an entropy model (`quantized_cdf`, `cdf_length`,
`offset`); `latentsr.compat.table_cache` says when they are looked at again.

Where CompressAI ends the process, does not return, or decodes nonsense, these do not: streams of
0 to 2 symbols are coded right, so is every int32 symbol, and a stream that is empty, cut off or
holds what no encoder writes raises `CorruptStream`. As in CompressAI a stream may hold more
symbols than are decoded, so damage that leaves it well-formed passes unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr._kernels import Status
from latentsr.compat.table_cache import Integers, Rows, StreamTables, TableCache
from latentsr.entropy.arrays import flat_indexes, flat_int32
from latentsr.entropy.faults import bad_index, corruption
from latentsr.errors import UsageError

TABLES = TableCache()
"""The tables that all coders of this process share."""


class RansEncoder:
    """Codes all symbols of a stream in one call."""

    def encode_with_indexes(
        self,
        symbols: Integers,
        indexes: Integers,
        cdfs: Rows,
        cdfs_sizes: Integers,
        offsets: Integers,
    ) -> bytes:
        """The stream of `symbols` (int32 values), each coded with the row that its index names.

        Raises:
            UsageError: different counts, a value out of its range, or tables that are none.
        """
        return encode(TABLES.find(cdfs, cdfs_sizes, offsets), symbols, indexes)


class BufferedRansEncoder:
    """Gathers symbols over several calls and codes them at `flush`."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._native = _kernels.StreamWriter()
        self._tables = StreamTables(TABLES)

    def encode_with_indexes(
        self,
        symbols: Integers,
        indexes: Integers,
        cdfs: Rows,
        cdfs_sizes: Integers,
        offsets: Integers,
    ) -> None:
        """Add symbols behind those that were added before; arguments as for `RansEncoder`.

        Raises:
            UsageError: as for `RansEncoder`; nothing is added then.
        """
        tables = self._tables.find(cdfs, cdfs_sizes, offsets)
        outcome = self._native.push(tables, *_pairs(symbols, indexes))
        _raise_unless_ok(outcome, tables)

    def flush(self) -> bytes:
        """The stream of all symbols added; the encoder is empty afterwards."""
        data = self._native.flush()
        self._start()
        return data


class RansDecoder:
    """Decodes a stream in one call, or a piece at a time."""

    def __init__(self) -> None:
        self._native: _kernels.StreamReader | None = None
        self._tables = StreamTables(TABLES)

    def decode_with_indexes(
        self,
        encoded: bytes,
        indexes: Integers,
        cdfs: Rows,
        cdfs_sizes: Integers,
        offsets: Integers,
    ) -> list[int] | NDArray[np.int32]:
        """The first symbols of a stream, one for each index.

        Raises:
            CorruptStream: the data is empty, cut off, or holds what no encoder writes.
            UsageError: an index out of range, tables that are none, or data that is no bytes.
        """
        reader = _reader(encoded)
        return _read(reader, TABLES.find(cdfs, cdfs_sizes, offsets), indexes)

    def set_stream(self, encoded: bytes) -> None:
        """Take a stream (a copy is kept) for `decode_stream` to read from its beginning.

        Raises:
            CorruptStream: the data has no valid beginning.
            UsageError: the data is no bytes.
        """
        self._native = _reader(encoded)
        self._tables = StreamTables(TABLES)

    def decode_stream(
        self, indexes: Integers, cdfs: Rows, cdfs_sizes: Integers, offsets: Integers
    ) -> list[int] | NDArray[np.int32]:
        """The next symbols of the stream, one for each index.

        Raises:
            CorruptStream: the stream ends too early or holds what no encoder writes.
            UsageError: an index out of range, tables that are none, or no stream was set.
        """
        if self._native is None:
            raise UsageError("decode_stream: found no stream; call set_stream first")
        return _read(self._native, self._tables.find(cdfs, cdfs_sizes, offsets), indexes)


def encode(tables: _kernels.CdfTables, symbols: Integers, indexes: Integers) -> bytes:
    """The stream of `symbols`, with tables prepared before; errors as for `RansEncoder`."""
    outcome, data = tables.encode_compressai(*_pairs(symbols, indexes))
    _raise_unless_ok(outcome, tables)
    return data


def decode_into(
    tables: _kernels.CdfTables, data: bytes, indexes: NDArray[np.integer], out: NDArray[np.int32]
) -> None:
    """Fill `out`, flat and contiguous, with a stream's first symbols, one for each index.

    Raises:
        CorruptStream, UsageError: as `RansDecoder.decode_with_indexes`.
    """
    outcome = _reader(data).read(tables, flat_indexes(indexes), out)
    _raise_unless_ok(outcome, tables)


def _reader(data: bytes) -> _kernels.StreamReader:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"stream: found {type(data).__name__}, expected bytes")
    reader = _kernels.StreamReader(np.frombuffer(data, np.uint8))
    status, position, detail = reader.start()
    if status != Status.OK:
        raise corruption("compressai", status, position, detail)
    return reader


def _read(
    reader: _kernels.StreamReader, tables: _kernels.CdfTables, indexes: Integers
) -> list[int] | NDArray[np.int32]:
    rows = _rows(indexes)
    symbols = np.empty(rows.shape, np.int32)
    _raise_unless_ok(reader.read(tables, rows, symbols), tables)
    if isinstance(indexes, list | tuple):
        return symbols.tolist()
    return symbols.reshape(np.shape(indexes))


def _pairs(symbols: Integers, indexes: Integers) -> tuple[NDArray[np.int32], NDArray[np.integer]]:
    """Both as the kernels take them."""
    if isinstance(symbols, list | tuple):
        values = _from_list("symbols", symbols)
    else:
        values = flat_int32("symbols", np.asarray(symbols))
    rows = _rows(indexes)
    if values.size != rows.size:
        raise UsageError(f"indexes: found {rows.size}, expected {values.size}, one for each symbol")
    return values, rows


def _rows(indexes: Integers) -> NDArray[np.integer]:
    if isinstance(indexes, list | tuple):
        return _from_list("indexes", indexes)
    return flat_indexes(np.asarray(indexes))


def _from_list(name: str, values: Sequence[int]) -> NDArray[np.int32]:
    array = np.empty(len(values), np.int32)
    try:
        _kernels.fill_int32(values, array)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: {error}, expected 32-bit integers") from error
    return array


def _raise_unless_ok(outcome: tuple[Status, int, int], tables: _kernels.CdfTables) -> None:
    status, position, detail = outcome
    if status == Status.BAD_INDEX:
        raise bad_index(position, detail, tables.rows)
    if status != Status.OK:
        raise corruption("compressai", status, position, detail)
