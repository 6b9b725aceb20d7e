"""Does grouping small pictures into batches pay on a CPU? Engine time alone, one thread.

Used by `benchmarks/pipeline.py`. The bundle's graphs have a batch of one; here the first dimension
is made free, and eight pictures go through in batches of 1, 2, 4 and 8, in turn in each round.
`times_alone` is the median over rounds of the processor time of eight calls over that of the
batches in the same round: above 1, batches are faster.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle

SIDES = (32, 64, 128, 256)
COUNT = 8
BATCHES = (1, 2, 4, 8)


def free_batch(graph: bytes) -> bytes:
    """The graph with any number of pictures."""
    import onnx

    model = onnx.load_from_string(graph)
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "n"
    data: bytes = model.SerializeToString()
    return data


def once(engine: Engine, port: str, pictures: np.ndarray, batch: int) -> float:
    start = time.process_time()
    for first in range(0, COUNT, batch):
        engine.run({port: pictures[first : first + batch]})
    return time.process_time() - start


def measure_batches(bundle: Bundle, backend: str, rounds: int) -> dict[str, Any]:
    """Gain of each batch for the graph that enlarges, by the picture's side."""
    options = EngineOptions(threads=1)
    graph = bundle.manifest.graphs["latent_sr"]
    port, stride = graph.inputs[0], bundle.manifest.chunks[-1].stride
    engine = get_backend(backend).load(free_batch(bundle.graph("latent_sr")), "latent_sr", options)
    rng = np.random.default_rng(3)
    found: dict[str, Any] = {}
    for side in SIDES:
        shape = (COUNT, bundle.manifest.chunks[-1].channels, side // stride, side // stride)
        pictures = rng.integers(-3, 4, shape).astype(np.float32)
        seconds: dict[int, list[float]] = {batch: [] for batch in BATCHES}
        for _ in range(rounds):
            for batch in BATCHES:
                seconds[batch].append(once(engine, port, pictures, batch))
        alone = np.array(seconds[1])
        found[f"{side}x{side}"] = {
            "ms_alone": round(float(np.median(alone)) / COUNT * 1e3, 3),
            "times_alone": {
                str(batch): round(float(np.median(alone / np.array(seconds[batch]))), 3)
                for batch in BATCHES[1:]
            },
        }
    return found
