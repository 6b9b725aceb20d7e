"""Entropy coding side by side: CompressAI's Python path, its C++ coder, and our two forms.

python benchmarks/entropy.py [--symbols 1048576] [--rounds 15] [--out results.json]

Synthetic latents: Gaussian symbols over 64 scales from 0.11 to 256, the mix of scales set so that
the ideal code length is about 0.7, 1.6 or 4.6 bits a symbol. All coders use CompressAI's own
tables. Each round runs every coder twice, so that a slow moment of the machine meets all of them:
once after 64 MiB of other memory were touched, as networks do between two pictures (`cold`), and
once more at once (`hot`). Figures are medians over the rounds. `compressai` is
GaussianConditional.compress/decompress with tensors at both ends, `compressai_ans` the call into
its C++ coder with lists made beforehand; ours have arrays at both ends. CompressAI's two run in
the first rounds only. One thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai import ans
from compressai.entropy_models import GaussianConditional
from machine import describe_machine
from numpy.typing import NDArray

from latentsr.entropy import Coder, Tables, isa

SCALES = np.exp(np.linspace(np.log(0.11), np.log(256), 64)).astype(np.float32)
MEAN_ROW = {"0.7": 8.0, "1.6": 14.2, "4.6": None}
SLOW_ROUNDS = 3


def latents(
    rng: np.random.Generator, mean_row: float | None, count: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Symbols and rows: exponentially distributed rows, or all rows alike for None."""
    rows = rng.integers(0, 64, count) if mean_row is None else rng.exponential(mean_row, count)
    indexes = np.minimum(rows, 63).astype(np.uint8)
    symbols = np.rint(rng.normal(0, SCALES[indexes]))
    return symbols.astype(np.int32), indexes


def ideal_bits(tables: Tables, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> float:
    """Code length by the tables' probabilities; escaped values cost what their slot costs."""
    value = symbols - tables.offset[indexes]
    escape = tables.length[indexes] - 2
    slot = np.where((value >= 0) & (value < escape), value, escape)
    sizes = tables.cdf[indexes, slot + 1] - tables.cdf[indexes, slot]
    return float(np.sum(16 - np.log2(sizes)))


def coder_for(tables: Tables, name: str) -> Coder:
    """A coder bound to one instruction set."""
    before = os.environ.get(isa.VARIABLE)
    os.environ[isa.VARIABLE] = name
    coder = Coder(tables)
    coder.decode(coder.encode(np.zeros(1, np.int32), np.zeros(1, np.uint8), "lanes"),
                 np.zeros(1, np.uint8), "lanes")  # fmt: skip
    if before is None:
        del os.environ[isa.VARIABLE]
    else:
        os.environ[isa.VARIABLE] = before
    return coder


def theirs(
    model: Any, tables: Tables, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]
) -> tuple[dict[str, Callable[[], object]], bytes]:
    """Calls of CompressAI's two levels, and its stream."""
    y = torch.from_numpy(symbols).float().reshape(1, 1, 1, -1)
    rows = torch.from_numpy(indexes).int().reshape(1, 1, 1, -1)
    strings = model.compress(y, rows)
    cdf = (tables.cdf.tolist(), tables.length.tolist(), tables.offset.tolist())
    flat, at = symbols.tolist(), indexes.tolist()
    calls: dict[str, Callable[[], object]] = {
        "compressai encode": lambda: model.compress(y, rows),
        "compressai decode": lambda: model.decompress(strings, rows),
        "compressai_ans encode": lambda: ans.RansEncoder().encode_with_indexes(flat, at, *cdf),
        "compressai_ans decode": lambda: ans.RansDecoder().decode_with_indexes(
            strings[0], at, *cdf
        ),
    }
    return calls, strings[0]


def ours(
    tables: Tables, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]
) -> tuple[dict[str, Callable[[], object]], dict[str, bytes]]:
    """Calls of our two forms, the lanes form for each instruction set, and the streams."""
    plain = Coder(tables)
    streams = {form: plain.encode(symbols, indexes, form) for form in ("compressai", "lanes")}
    out = np.empty(symbols.shape, np.int32)
    calls: dict[str, Callable[[], object]] = {
        "form_compressai encode": lambda: plain.encode(symbols, indexes, "compressai"),
        "form_compressai decode": lambda: plain.decode(
            streams["compressai"], indexes, "compressai", out=out
        ),
        "form_lanes encode": lambda: plain.encode(symbols, indexes, "lanes"),
    }
    for name in isa.supported():
        coder = coder_for(tables, name)
        decoded = coder.decode(streams["lanes"], indexes, "lanes")
        if not np.array_equal(decoded, symbols):
            raise SystemExit(f"lanes with {name}: decoded symbols differ")
        calls[f"form_lanes_{name} decode"] = lambda c=coder: c.decode(
            streams["lanes"], indexes, "lanes", out=out
        )
    return calls, streams


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each call, cold and hot."""
    times: dict[str, dict[str, list[float]]] = {
        state: {name: [] for name in calls} for state in ("cold", "hot")
    }
    other = np.zeros(64 << 20, np.uint8)
    for turn in range(rounds):
        for name, call in calls.items():
            if turn >= SLOW_ROUNDS and name.startswith("compressai"):
                continue
            other += 1
            for state in ("cold", "hot"):
                start = time.perf_counter()
                call()
                times[state][name].append(time.perf_counter() - start)
    return {
        state: {name: float(np.median(found)) for name, found in times[state].items()}
        for state in times
    }


def run(model: Any, tables: Tables, mean_row: float | None, given: Any) -> dict[str, Any]:
    """All coders on one mix of scales."""
    symbols, indexes = latents(np.random.default_rng(1), mean_row, given.symbols)
    calls, their_stream = theirs(model, tables, symbols, indexes)
    our_calls, streams = ours(tables, symbols, indexes)
    if streams["compressai"] != their_stream:
        raise SystemExit("compressai form: bytes differ from CompressAI's")
    ideal = ideal_bits(tables, symbols, indexes)
    measured = measure(calls | our_calls, given.rounds)
    speeds = {}
    for state, seconds in measured.items():
        base = {way: seconds[f"compressai {way}"] for way in ("encode", "decode")}
        speeds[state] = {
            "msym_per_s": {name: symbols.size / s / 1e6 for name, s in seconds.items()},
            "times_compressai": {name: base[name.split()[1]] / s for name, s in seconds.items()},
        }
    return {
        "ideal_bits_per_symbol": ideal / symbols.size,
        "bits_over_ideal_percent": {
            form: 100 * (8 * len(data) / ideal - 1) for form, data in streams.items()
        },
        **speeds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=1 << 20)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = GaussianConditional(SCALES.tolist())
    model.update()
    tables = Tables(model.quantized_cdf.numpy(), model.cdf_length.numpy(), model.offset.numpy())
    result: dict[str, Any] = {
        "machine": describe_machine(), "symbols": given.symbols, "rounds": given.rounds,
        "rates": {},
    }  # fmt: skip
    for rate, mean_row in MEAN_ROW.items():
        found = run(model, tables, mean_row, given)
        result["rates"][rate] = found
        print(rate, f"{found['ideal_bits_per_symbol']:.3f}", found["bits_over_ideal_percent"])
        for name in found["hot"]["msym_per_s"]:
            figures = [found[s][k][name] for s in ("cold", "hot") for k in found[s]]
            print("  {:28} cold {:6.1f} Msym/s ×{:5.1f}   hot {:6.1f} Msym/s ×{:5.1f}".format(
                name, *figures))  # fmt: skip
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
