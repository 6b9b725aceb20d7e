"""The steps between latents and symbols: NumPy expressions against the kernels, and what is left.

python benchmarks/latent_steps.py [--rounds 41] [--out results.json]

Two latents: that of a 1080p picture with 192 channels, 68 x 120 positions (1.57 million values),
and the shipped demo's, 96 channels, 8 x 12 positions. Scales, means and symbols are synthetic,
about 1.6 bits a symbol; tables and thresholds are the demo's. Each round runs every call twice:
once after 64 MiB of other memory were touched, as networks do (`cold`), and once more at once
(`hot`). Figures are medians in microseconds. `numpy` is the plain expression; for scale indexes
that is searchsorted, while what the runtime used before is the scalar kernel. `decode` is one
gaussian chunk in the `lanes` form with the symbols' checksum, before (scalar search, NumPy,
zlib over a copy) and now. One thread.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import describe_machine

from latentsr._kernels import Isa
from latentsr.bundle import DEMO, Bundle
from latentsr.chunks import Chunk
from latentsr.entropy import LatentSteps, ScaleTable, isa
from latentsr.pipeline.entropy_step import EntropyModel

SHAPES = {"1080p_192": (1, 192, 68, 120), "demo": (1, 96, 8, 12)}
CODING = SimpleNamespace(form="lanes", exact=False)
Calls = dict[str, Callable[[], object]]


def case(shape: tuple[int, ...], table: np.ndarray) -> SimpleNamespace:
    """Latent, means and scales of one picture."""
    rng = np.random.default_rng(1)
    rows = np.minimum(rng.exponential(14.2, shape), len(table) - 1).astype(np.int64)
    scales = (table[rows] * 0.999).astype(np.float32)
    means = rng.normal(0, 2, shape).astype(np.float32)
    latent = (means + rng.normal(0, scales)).astype(np.float32)
    symbols = np.rint(latent - means).astype(np.int32)
    medians = means[0, :, 0, 0].copy()
    out = np.empty(shape, np.float32)
    return SimpleNamespace(latent=latent, means=means, scales=scales, symbols=symbols,
                           medians=medians, table=table, out=out)  # fmt: skip


def numpy_symbols(latent: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    residual = np.rint(latent - shift)
    if not np.abs(residual).max(initial=0.0) <= 2.0**30:
        raise SystemExit("latent out of range")
    symbols = residual.astype(np.int32)
    return symbols, symbols.astype(np.float32) + shift


def numpy_crc(symbols: np.ndarray) -> int:
    return zlib.crc32(symbols.astype("<i4", copy=False).tobytes(), 0)


def channel_rows(shape: tuple[int, ...]) -> np.ndarray:
    channel = np.arange(shape[1], dtype=np.int32).reshape(1, -1, 1, 1)
    return np.ascontiguousarray(np.broadcast_to(channel, shape))


def by_numpy(given: SimpleNamespace) -> Calls:
    """The plain expressions."""
    shift = given.medians.reshape(1, -1, 1, 1)
    limits = given.table[:-1]
    return {
        "scale_indexes": lambda: np.searchsorted(limits, given.scales, "left").astype(np.uint8),
        "symbols, mean each": lambda: numpy_symbols(given.latent, given.means),
        "symbols, mean a channel": lambda: numpy_symbols(given.latent, shift),
        "latent, mean each": lambda: given.symbols.astype(np.float32) + given.means,
        "latent, mean a channel": lambda: given.symbols.astype(np.float32) + shift,
        "crc": lambda: numpy_crc(given.symbols),
    }


def by_kernel(given: SimpleNamespace, each: Isa) -> Calls:
    """The same by one instruction set; latents go into an array that is there, as an engine's."""
    steps, table = LatentSteps(each), ScaleTable(given.table)
    return {
        "scale_indexes": lambda: steps.indexes(given.scales, table),
        "symbols, mean each": lambda: steps.symbols("y", given.latent, given.means),
        "symbols, mean a channel": lambda: steps.symbols("y", given.latent, given.medians),
        "latent, mean each": lambda: steps.latent(given.symbols, given.means, given.out),
        "latent, mean a channel": lambda: steps.latent(given.symbols, given.medians, given.out),
        "crc": lambda: steps.crc(given.symbols, 0),
    }


def check(name: str, expected: Any, found: Any) -> None:
    """Stop where a kernel's result is not NumPy's."""
    pairs = (
        zip(expected, found, strict=True) if isinstance(expected, tuple) else [(expected, found)]
    )
    if not all(np.array_equal(a, b) for a, b in pairs):
        raise SystemExit(f"{name}: kernel and NumPy differ")


def decode_before(model: EntropyModel, data: bytes, given: SimpleNamespace) -> Calls:
    """The parts of a decode as they were."""
    scalar, rows = LatentSteps(Isa.SCALAR), model.indexes(given.scales, given.scales.shape, False)
    return {
        "indexes": lambda: scalar.indexes(given.scales, ScaleTable(given.table)),
        "coder": lambda: model.coder.decode(data, rows, "lanes"),
        "latent": lambda: given.symbols.astype(np.float32) + given.means,
        "crc": lambda: numpy_crc(given.symbols),
    }


def decode_now(model: EntropyModel, data: bytes, given: SimpleNamespace) -> Calls:
    """The parts of a decode as they are, and all of it."""
    shape, steps = given.scales.shape, LatentSteps()
    rows, size = model.indexes(given.scales, shape, False), shape[2:]
    return {
        "indexes": lambda: model.indexes(given.scales, shape, False),
        "coder": lambda: model.coder.decode(data, rows, "lanes"),
        "latent": lambda: steps.latent(given.symbols, given.means),
        "crc": lambda: model.crc(given.symbols, 0),
        "all": lambda: model.crc(model.decode(data, size, given.scales, given.means, CODING)[1], 0),
    }


def whole_before(parts: Calls, model: EntropyModel, data: bytes, given: SimpleNamespace) -> object:
    rows = parts["indexes"]()
    symbols = model.coder.decode(data, rows, "lanes")
    return symbols.astype(np.float32) + given.means, numpy_crc(symbols)


def measure(calls: Calls, rounds: int) -> dict[str, dict[str, float]]:
    """Median microseconds of each call, cold and hot."""
    times: dict[str, dict[str, list[float]]] = {
        state: {name: [] for name in calls} for state in ("cold", "hot")
    }
    other = np.zeros(64 << 20, np.uint8)
    for _ in range(rounds):
        for name, call in calls.items():
            other += 1
            for state in ("cold", "hot"):
                start = time.perf_counter()
                call()
                times[state][name].append(time.perf_counter() - start)
    return {
        state: {name: round(1e6 * float(np.median(found)), 2) for name, found in of_state.items()}
        for state, of_state in times.items()
    }


def run_steps(given: SimpleNamespace, rounds: int) -> dict[str, Any]:
    """Every step, NumPy and each instruction set in turn."""
    ways = {"numpy": by_numpy(given)}
    ways |= {name: by_kernel(given, isa.NAMES[name]) for name in isa.supported()}
    rows = EntropyModel(Bundle(DEMO), Chunk("z", "factorized", 64, 1, 1, "z"))
    shape = (1, 64, *given.latent.shape[2:])
    ways["numpy"]["channel rows"] = lambda: channel_rows(shape)
    ways["kept"] = {"channel rows": lambda: rows.indexes(None, shape, False)}
    flat: Calls = {}
    for step, plain in ways["numpy"].items():
        for way, calls in ways.items():
            if step in calls:
                check(f"{step}, {way}", plain(), calls[step]())
                flat[f"{step}|{way}"] = calls[step]
    found: dict[str, Any] = {}
    for state, medians in measure(flat, rounds).items():
        for name, us in medians.items():
            step, way = name.split("|")
            entry = found.setdefault(step, {}).setdefault(state, {})
            entry[way] = {"us": us, "times_numpy": round(medians[f"{step}|numpy"] / us, 2)}
    return found


def run_decode(bundle: Bundle, given: SimpleNamespace, rounds: int) -> dict[str, Any]:
    """A decode's parts and its whole, before and now."""
    # Statistics of the demo's 96 channels have no place in a latent of another width.
    bundle.tensors = {n: t for n, t in bundle.tensors.items() if not n.endswith(".neighbours")}
    model = EntropyModel(bundle, Chunk("y", "gaussian", given.latent.shape[1], 1, 1, "y"))
    data, _, symbols = model.encode(given.latent, given.scales, given.means, CODING)
    check("symbols", given.symbols, symbols)
    before, now = decode_before(model, data, given), decode_now(model, data, given)
    parts = dict(before)
    before["all"] = lambda: whole_before(parts, model, data, given)
    calls = {f"before|{name}": call for name, call in before.items()}
    calls |= {f"now|{name}": call for name, call in now.items()}
    found: dict[str, Any] = {"bits_per_symbol": round(8 * len(data) / symbols.size, 3)}
    for state, medians in measure(calls, rounds).items():
        for name, us in medians.items():
            time_of, part = name.split("|")
            found.setdefault(state, {}).setdefault(time_of, {})[part] = us
        found[state]["faster"] = round(medians["before|all"] / medians["now|all"], 2)
    return found


def report(name: str, result: dict[str, Any]) -> None:
    print(name)
    for step, states in result["steps"].items():
        for state, ways in states.items():
            figures = "  ".join(f"{w} {f['us']:.1f} ×{f['times_numpy']}" for w, f in ways.items())
            print(f"  {step:24} {state:4} µs  {figures}")
    for state in ("cold", "hot"):
        print(f"  decode {state} µs  {result['decode'][state]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    bundle = Bundle(DEMO)
    table = bundle.tensors["y.scale_table"]
    result: dict[str, Any] = {"machine": describe_machine(), "zlib": zlib.ZLIB_RUNTIME_VERSION,
                              "rounds": given.rounds, "isa": isa.supported(),
                              "latents": {}}  # fmt: skip
    for name, shape in SHAPES.items():
        picture = case(shape, table)
        result["latents"][name] = {
            "values": picture.latent.size,
            "steps": run_steps(picture, given.rounds),
            "decode": run_decode(bundle, picture, given.rounds),
        }
        report(name, result["latents"][name])
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
