"""Suzuki et al.'s two decoders one after the other and side by side, in one run.

python benchmarks/side_by_side.py [--sizes 16x12 32x24 64x48] [--rounds 15] [--out FILE]

The preset at the paper's size with seeded weights: only speed means something. For latents of each
size (columns x rows, a sixteenth of the picture's), with ONNX Runtime on the CPU and two threads in
all, in turn, medians over the rounds:

turn      G_m, then G_s, each on both threads, as the runtime does it
threads   at once, each with one thread of its own: every engine is there twice
shared    at once, on the engines of `turn`, whose threads then compete
residual  S, which follows on G_m: what the rest of the route takes on both threads
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle
from latentsr_export.presets.export import export_preset


def engines(bundle: Bundle, threads: int) -> dict[str, Engine]:
    """The three networks behind the latent."""
    backend, options = get_backend("ort"), EngineOptions(threads=threads)
    return {
        name: backend.load(bundle.graph(name), name, options)
        for name in ("main", "detail", "residual")
    }


def variants(
    both: dict[str, Engine], single: dict[str, Engine], pool: ThreadPoolExecutor, y: np.ndarray
) -> dict[str, Callable[[], Any]]:
    """What is timed, by name."""
    latent = {"y_hat": y}
    x_m = both["main"].run(latent)

    def at_once(loaded: dict[str, Engine]) -> None:
        other = pool.submit(loaded["detail"].run, latent)
        loaded["main"].run(latent)
        other.result()

    def in_turn() -> None:
        both["main"].run(latent)
        both["detail"].run(latent)

    return {
        "turn": in_turn,
        "threads": lambda: at_once(single),
        "shared": lambda: at_once(both),
        "residual": lambda: both["residual"].run(x_m),
    }


def measure(bundle: Bundle, sizes: list[str], rounds: int) -> list[dict[str, Any]]:
    """A row a size."""
    both, single = engines(bundle, 2), engines(bundle, 1)
    rows = []
    with ThreadPoolExecutor(1) as pool:
        for size in sizes:
            width, height = map(int, size.split("x"))
            generator = np.random.default_rng(0)
            y = generator.normal(0, 2, (1, 64, height, width)).round().astype(np.float32)
            timed = variants(both, single, pool, y)
            ms: dict[str, list[float]] = {name: [] for name in timed}
            for number in range(rounds + 2):
                for name, call in timed.items():
                    begun = time.perf_counter()
                    call()
                    if number >= 2:  # the first two warm up
                        ms[name].append(1e3 * (time.perf_counter() - begun))
            row = {"latent": size, "ms": {n: statistics.median(v) for n, v in ms.items()}}
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["16x12", "32x24", "64x48"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suzuki.lsr"
        export_preset("suzuki-selective-detail", path, {}, random=True)
        rows = measure(Bundle(path), given.sizes, given.rounds)
    if given.out:
        result = {"machine": describe_machine(), "rounds": given.rounds, "rows": rows}
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
