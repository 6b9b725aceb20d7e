"""Integer context models: time of a picture's latent by instruction set, against CompressAI's loop.

python benchmarks/context_kernel.py [--rounds 21] [--loops 3] [--size 32x48] [--out results.json]

Shapes of mbt2018 with M = N = 192: 5x5 context to 384 channels, then 640, 512 and 384, over a
latent of HxW positions; 32x48 is a Kodak picture's. Each round decodes it once by every instruction
set, on one thread and on two, and encodes it once; figures are medians in milliseconds. The weights
are random, but those of the last layer are 0 and its biases give the channels' scales, so that
symbols follow their distributions at about a codec's rate; products take as long whatever the
numbers are. `coder` is one decode of all symbols at once; `products` is the time less that of a
model with 16 channels in the layers' place, which leaves 1.8 % of the multiplications and all the
rest; `rest` is what then remains: features and planes changing places, scale indexes, cold tables.
`compressai` is its own loop, `_decompress_ar`, with random weights and the same shapes, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import describe_machine

from latentsr import _kernels
from latentsr._kernels import Isa, Status
from latentsr.bundle import DEMO, Bundle
from latentsr.entropy import isa

M, MEAN_BITS = 192, 6
WIDE, THIN = (384, 640, 512), (16, 640, 16)  # outputs of layers 0 .. 2
TAPS = [(dy, dx) for dy in range(-2, 1) for dx in range(-2, 3) if (dy, dx) < (0, 0)]
Calls = dict[str, Callable[[], object]]


def macs(layers: tuple[int, ...]) -> int:
    """Multiplications of one position."""
    sizes = [len(TAPS) * M, *layers, 2 * M]
    return sum(a * b for a, b in pairwise(sizes))


def model_of(layers: tuple[int, ...], scales: np.ndarray, table: np.ndarray) -> Any:
    """A model whose scales are one a channel, whatever it sees."""
    rng = np.random.default_rng(2)
    sizes = [len(TAPS) * M, *layers, 2 * M]
    weights = [rng.integers(-5, 6, (b, a)).astype(np.int16) for a, b in pairwise(sizes)]
    weights[-1][:] = 0
    biases = [np.zeros(size, np.int32) for size in (layers[0], *layers[2:], 2 * M)]
    biases[-1][:M] = scales << 1
    shifts = [np.full(size, 7, np.uint8) for size in layers] + [np.ones(2 * M, np.uint8)]
    settings = np.array([MEAN_BITS, 655, 2047, 2**20, 8191, 8191, 8191], np.int32)
    lift = np.full(layers[1], 3, np.uint8)
    return _kernels.ContextModel(
        np.array(TAPS, np.int32), settings, weights, biases, shifts, lift, table
    )


def given_case(height: int, width: int) -> SimpleNamespace:
    """Models, features, a latent and its stream, every way of decoding it checked."""
    tensors = Bundle(DEMO).tensors
    table = tensors["y.thresholds"]
    tables = _kernels.LaneTables(
        _kernels.CdfTables(*(tensors[f"y.{name}"] for name in ("cdf", "length", "offset")))
    )
    rng = np.random.default_rng(1)
    rows = np.minimum(rng.exponential(9, M), len(table) - 1).astype(int)
    scales = table[rows].astype(np.int32)
    given = SimpleNamespace(tables=tables)
    given.wide, given.thin = (model_of(layers, scales, table) for layers in (WIDE, THIN))
    given.features = rng.integers(-(2**18), 2**18, (WIDE[1], height, width)).astype(np.float32)
    given.y = rng.normal(0, 1, (M, height, width)) * (scales / 1024.0)[:, None, None]
    given.y = given.y.astype(np.float32)
    given.symbols, given.latent = given.y.astype(np.int32), given.y.copy()
    given.scan = np.empty(given.y.size, np.int32), np.empty(given.y.size, np.uint8)
    best = isa.NAMES[isa.supported()[-1]]
    encode(given, given.wide, best)
    given.data = np.frombuffer(tables.encode(*given.scan, parts=1)[1], np.uint8)
    return given


def encode(given: SimpleNamespace, model: Any, one: Isa) -> None:
    outcome = model.encode(given.features, given.y, given.symbols, given.latent, *given.scan, one)
    if outcome[0] != Status.OK:
        raise SystemExit(f"encoding: {outcome}")


def decode(given: SimpleNamespace, model: Any, one: Isa, threads: int = 1) -> None:
    outcome = model.decode(
        given.features, given.data, given.tables, given.symbols, given.latent, one, threads
    )
    if outcome[0] != Status.OK:
        raise SystemExit(f"decoding: {outcome}")


def our_calls(given: SimpleNamespace) -> Calls:
    calls: Calls = {}
    out = np.empty(given.y.size, np.int32)
    for name in isa.supported():
        one = isa.NAMES[name]
        calls |= {
            f"{name}|decode": lambda one=one: decode(given, given.wide, one),
            f"{name}|decode, 2 threads": lambda one=one: decode(given, given.wide, one, 2),
            f"{name}|encode": lambda one=one: encode(given, given.wide, one),
            f"{name}|thin": lambda one=one: decode(given, given.thin, one),
            f"{name}|coder": lambda one=one: given.tables.decode(
                given.data, given.scan[1], out, one
            ),
        }
    return calls


def compressai_call(height: int, width: int) -> Callable[[], object]:
    """CompressAI's loop over a stream of its own of these shapes."""
    import torch
    from compressai.models import JointAutoregressiveHierarchicalPriors

    torch.set_num_threads(1)
    torch.manual_seed(1)
    net = JointAutoregressiveHierarchicalPriors(M, M).eval()
    net.update()
    size = height, width
    params = torch.randn(1, 2 * M, *size)
    padded = torch.nn.functional.pad(torch.randn(1, M, *size), (2, 2, 2, 2))
    with torch.inference_mode():
        string = net._compress_ar(padded.clone(), params, *size, 5, 2)

    def call() -> None:
        with torch.inference_mode():
            net._decompress_ar(string, torch.zeros_like(padded), params, *size, 5, 2)

    return call


def measure(calls: Calls, rounds: int, loop: Callable[[], object], loops: int) -> dict[str, float]:
    """Median milliseconds of each call; the slow loop takes part in the first rounds only."""
    times: dict[str, list[float]] = {name: [] for name in [*calls, "compressai"]}
    for turn in range(rounds):
        each = calls | ({"compressai": loop} if turn < loops else {})
        for name, call in each.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(found)) for name, found in times.items()}


def figures(ms: dict[str, float], positions: int) -> dict[str, Any]:
    """What the times say of each instruction set."""
    result: dict[str, Any] = {"compressai_ms": round(ms["compressai"], 1)}
    left = macs(THIN) / macs(WIDE)
    for name in isa.supported():
        whole = ms[f"{name}|decode"]
        products = (whole - ms[f"{name}|thin"]) / (1 - left)
        coder = ms[f"{name}|coder"]
        result[name] = {
            "decode_ms": round(whole, 2),
            "decode_2_threads_ms": round(ms[f"{name}|decode, 2 threads"], 2),
            "encode_ms": round(ms[f"{name}|encode"], 2),
            "positions_per_s": round(1e3 * positions / whole),
            "gmac_per_s": round(macs(WIDE) * positions / whole / 1e6, 1),
            "products_ms": round(products, 2),
            "products_gmac_per_s": round(macs(WIDE) * positions / products / 1e6, 1),
            "coder_ms": round(coder, 2),
            "rest_ms": round(whole - products - coder, 2),
            "two_threads_times": round(whole / ms[f"{name}|decode, 2 threads"], 2),
            "times_compressai": round(ms["compressai"] / whole, 1),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--loops", type=int, default=3, help="rounds with CompressAI's loop")
    parser.add_argument("--size", default="32x48")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    height, width = map(int, args.size.split("x"))
    case = given_case(height, width)
    ms = measure(our_calls(case), args.rounds, compressai_call(height, width), args.loops)
    result = {"machine": describe_machine(), "rounds": args.rounds, "loops": args.loops,
              "size": [height, width], "gmac": round(macs(WIDE) * height * width / 1e9, 3),
              "bits_per_symbol": round(8 * case.data.size / case.y.size, 3),
              **figures(ms, height * width)}  # fmt: skip
    for name, value in result.items():
        print(name, value)
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
