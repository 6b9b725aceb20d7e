"""Byte for byte the strings of CompressAI's coder, as far as that coder goes.

CompressAI's encoder gives its buffer one word for each step (a symbol, or a group of an escaped
value), which is too little below three steps: it then writes outside the buffer and may end the
process. It does not return for raw numbers of 2^28 and above, which are values more than about
2^27 outside their row. Both are left out here; golden streams cover them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from entropy_cases import CompressaiCoder, draw, gaussian_tables, random_tables, tables_from_rows
from latentsr.entropy import Tables, scale_indexes

ans = pytest.importorskip("compressai.ans", reason="needs CompressAI, the original coder")

REACH = 1 << 27
"""CompressAI codes values less than this far outside their row."""


def encode_there(tables: Tables, symbols: NDArray, indexes: NDArray) -> bytes:
    return ans.RansEncoder().encode_with_indexes(
        symbols.tolist(),
        indexes.tolist(),
        tables.cdf.tolist(),
        tables.length.tolist(),
        tables.offset.tolist(),
    )


def decode_there(tables: Tables, stream: bytes, indexes: NDArray) -> list[int]:
    return ans.RansDecoder().decode_with_indexes(
        stream,
        indexes.tolist(),
        tables.cdf.tolist(),
        tables.length.tolist(),
        tables.offset.tolist(),
    )


def check_both_ways(tables: Tables, symbols: NDArray, indexes: NDArray) -> None:
    coder = CompressaiCoder(tables)
    theirs = encode_there(tables, symbols, indexes)
    assert coder.encode(symbols, indexes) == theirs
    assert np.array_equal(coder.decode(theirs, indexes), symbols)
    assert decode_there(tables, theirs, indexes) == symbols.tolist()


@pytest.mark.parametrize("seed", range(300))
def test_random_tables(seed: int):
    rng = np.random.default_rng(1000 + seed)
    tables = random_tables(rng)
    count = int(rng.choice([3, 4, 10, 200]))
    outside = float(rng.choice([0, 0.02, 0.3, 1]))
    check_both_ways(tables, *draw(rng, tables, count, outside, REACH))


@pytest.mark.parametrize("seed", range(10))
def test_gaussian_tables(seed: int):
    rng = np.random.default_rng(seed)
    tables = gaussian_tables()
    check_both_ways(tables, *draw(rng, tables, 5_000, 0.001, REACH))


def test_widest_values():
    tables = tables_from_rows([[0, 30000, 65530, 65536]], [0])
    symbols = np.array([-REACH, REACH + 1, -REACH + 1, REACH, -1, 2], np.int32)
    check_both_ways(tables, symbols, np.zeros(6, np.uint8))


def test_each_number_of_groups():
    tables = tables_from_rows([[0, 60000, 65536]], [0])
    powers = np.array([2**k for k in range(27)], np.int32)
    symbols = np.concatenate([-powers, powers, powers + 1, 1 - powers])
    check_both_ways(tables, symbols, np.zeros(symbols.size, np.uint8))


def test_tables_of_trained_codecs(data_dir: Path):
    files = sorted((data_dir / "weights" / "compressai_cdf_tables").glob("*.npz"))
    if not files:
        pytest.skip("no compressai_cdf_tables in the test data")
    for file in files:
        with np.load(file) as held:
            tables = Tables(held["_quantized_cdf"], held["_cdf_length"], held["_offset"])
        rng = np.random.default_rng(7)
        symbols, _ = draw(rng, tables, 4_000, 0.01, 1 << 12)
        indexes = np.arange(4_000, dtype=np.int32) % tables.rows
        check_both_ways(tables, symbols, indexes)


def test_scale_indexes_are_those_of_build_indexes():
    torch = pytest.importorskip("torch", reason="needs PyTorch, which build_indexes runs on")
    models = pytest.importorskip("compressai.entropy_models", reason="needs CompressAI")
    scale_table = np.exp(np.linspace(np.log(0.11), np.log(256), 64)).astype(np.float32)
    model = models.GaussianConditional(scale_table.tolist())
    rng = np.random.default_rng(3)
    scales = np.exp(rng.normal(0, 3, 20_000)).astype(np.float32)
    above = np.nextafter(scale_table, np.float32(np.inf))
    below = np.nextafter(scale_table, np.float32(0))
    scales = np.concatenate([scales, scale_table, above, below, [np.float32(-1)]])
    expected = model.build_indexes(torch.from_numpy(scales)).numpy()
    assert np.array_equal(scale_indexes(scales, scale_table), expected)
