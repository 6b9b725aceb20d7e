"""Threads on one stream of the `lanes` form: the same bytes, symbols and faults as one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from entropy_cases import draw, gaussian_tables
from latentsr import _kernels
from latentsr.entropy import Coder, isa


def test_threads_change_nothing():
    """Bytes, symbols and the fault that is named, with parts of which several are damaged."""
    tables = gaussian_tables()
    symbols, indexes = draw(np.random.default_rng(9), tables, 40_000, 0.001)
    kernel = _kernels.LaneTables(_kernels.CdfTables(tables.cdf, tables.length, tables.offset))
    stream = kernel.encode(symbols, indexes, 8, 16)[1]
    assert all(kernel.encode(symbols, indexes, 8, 16, 0, n)[1] == stream for n in (2, 5, 64))
    rng = np.random.default_rng(10)
    for _ in range(50):
        data = np.frombuffer(stream, np.uint8).copy()
        for at in rng.integers(0, data.size, 3):
            data[at] ^= 1 << int(rng.integers(0, 8))
        found = {
            kernel.decode(data, indexes, np.empty(symbols.size, np.int32), chosen, 0, threads)
            for threads in (1, 2, 5)
            for chosen in (isa.NAMES[name] for name in isa.supported())
        }
        assert len(found) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own():
    tables = gaussian_tables()
    symbols, indexes = draw(np.random.default_rng(12), tables, 20_000, 0.001)
    coder = Coder(tables)
    stream = coder.encode(symbols, indexes, threads=3, parts=8)
    child = os.fork()
    if child == 0:
        same = np.array_equal(coder.decode(stream, indexes, threads=3), symbols)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(coder.decode(stream, indexes, threads=3), symbols)


def test_many_callers_share_the_workers():
    tables = gaussian_tables()
    coder = Coder(tables)
    cases = [draw(np.random.default_rng(seed), tables, 3_000, 0.001) for seed in range(6)]

    def round_trip(case: tuple[NDArray, NDArray]) -> bool:
        stream = coder.encode(*case, threads=4, parts=16)
        return np.array_equal(coder.decode(stream, case[1], threads=5), case[0])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, cases * 40))
