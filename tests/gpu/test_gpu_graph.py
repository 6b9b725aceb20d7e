"""A decode captured in a CUDA graph, as runtimes replay it: nothing in it allocates or waits."""

from __future__ import annotations

import numpy as np
import pytest
from device_arrays import DeviceArrays

import entropy_cases
from latentsr.cuda import DecodeArrays, DecodePlan, DeviceCoder, steps
from latentsr.cuda.batch import RESULT
from latentsr.entropy import Coder


def test_a_graph_decodes_again_and_again(arrays: DeviceArrays) -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy captures the graph here")
    rng = np.random.default_rng(1)
    tables = entropy_cases.gaussian_tables()
    symbols, rows = entropy_cases.draw(rng, tables, 50_000)
    data = Coder(tables).encode(symbols, rows, parts=8)
    coder, plan = DeviceCoder(tables), DecodePlan.of([data], [rows.size])
    sizes = plan.sizes()
    out, results, latent = (arrays.room(sizes[k]) for k in ("out", "results", "out"))
    at = DecodeArrays(
        arrays.put(coder.packed), arrays.put(plan.streams), arrays.put(plan.data),
        arrays.put(rows), out, arrays.room(sizes["part_results"]), results,
    )  # fmt: skip
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        coder.decode(plan, at, stream=stream.ptr)
        steps.latent_from_symbols(out, steps.NO_MEANS, latent, rows.size, stream=stream.ptr)
        graph = stream.end_capture()
    for _ in range(3):
        arrays.set(out, np.zeros(rows.size, np.int32))
        arrays.check()  # waits, as the graph runs in a stream of its own
        graph.launch(stream)
        stream.synchronize()
        assert coder.faults(arrays.get(results, 1, RESULT)) == [None]
        np.testing.assert_array_equal(arrays.get(out, rows.size, np.int32), symbols)
        found = arrays.get(latent, rows.size, np.float32)
        np.testing.assert_array_equal(found, symbols.astype(np.float32))
    arrays.check()
