"""The CUDA kernels against the coder on the processor, in one run: Gsym/s and GB/s.

python benchmarks/gpu/kernels.py [--only coder steps context] [--rounds 15] [--repeat 20]
                                 [--out results.json]

Latents of 1920x1080 (192 channels, stride 16) and of 768x512, symbols drawn from 64 Gaussian
tables with scales 0.11 to 256, at about 0.1, 0.75 and 1.5 bits a symbol; batches of 1, 8 and 64;
parts as the encoder chooses them, and 8 or 64. Before anything is timed, every stream of the device
is compared with the processor's, byte for byte, and every symbol with what was encoded.

A device's time is that of `repeat` launches one after the other, divided, from the first launch to
the last result; streams, tables and symbols lie in device memory, so copies are not in it. The
processor decodes the same streams one after the other, with one thread and with all cores. Rounds
take both sides in turn; times are medians, `times` the median of the ratios of the same round.
Steps on latents and pictures are given in GB/s of what they read and write. Context models have
the shapes of mbt2018 (M = N = 192): a latent is decoded, or quantised without being coded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coder_cases import LATENTS, RATES, gaussian_tables, make_case
from coder_speed import measure_coder
from context_speed import POSITIONS, measure_context
from device_clock import DeviceClock
from step_speed import measure_steps, step_calls

from latentsr import cuda
from latentsr.backends.device import open_device
from latentsr.bench.machine import describe_machine

BATCHES, PARTS = (1, 8, 64), (0, 8, 64)
UHD = 2160, 3840


def device_name() -> str:
    """Name, memory and driver as the driver's own tool prints them."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def show(result: dict[str, Any]) -> None:
    for way in ("decode", "encode"):
        sides = result[way]
        speeds = "  ".join(f"{side} {f['gsym_per_s']:7.3f}" for side, f in sides.items())
        print(f"{result['latent']:10} {result['bits_per_symbol']:6.3f} bit/sym batch "
              f"{result['batch']:3} parts {result['parts']:3} {way}: {speeds} Gsym/s")  # fmt: skip


def show_context(picture: str, result: dict[str, Any]) -> None:
    for way in ("decode", "quantise"):
        sides = "  ".join(f"{side} {f['ms']:8.2f}" for side, f in result[way].items())
        print(f"context model, {picture:9} {way:8}: {sides} ms")


def coder_rows(clock: DeviceClock, given: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """The `lanes` coder, a row for each case."""
    tables, rows = gaussian_tables(), []
    for latent, rate, batch, parts in itertools.product(LATENTS, RATES, BATCHES, PARTS):
        case = make_case(tables, LATENTS[latent], batch, RATES[rate], parts)
        # A batch of many pictures takes the processor long; it then has fewer rounds.
        rounds = given.rounds if batch < 64 else max(given.rounds // 5, 1)
        found = measure_coder(clock, case, parts, rounds, given.repeat)
        rows.append({"latent": latent, **found})
        show(rows[-1])
        clock.free()
        yield "coder", rows


def step_rows(clock: DeviceClock, given: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Steps on latents and pictures."""
    calls = step_calls(clock, LATENTS["1920x1080"], *UHD)
    yield "steps", measure_steps(clock, calls, given.rounds, given.repeat)


def context_rows(clock: DeviceClock, given: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Context models, a row for each picture's size."""
    rows = {}
    for picture, size in POSITIONS.items():
        found = measure_context(clock, size, max(given.rounds // 3, 1), max(given.repeat // 4, 1))
        rows[picture] = found
        show_context(picture, found)
        clock.free()
        yield "context", rows


KINDS = {"coder": coder_rows, "steps": step_rows, "context": context_rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    device = open_device()
    if reason := cuda.why_not():
        sys.exit(reason)
    report: dict[str, Any] = {
        "machine": describe_machine(), "device": device_name(), "memory": device.library,
        "rounds": given.rounds, "repeat": given.repeat,
    }  # fmt: skip
    clock = DeviceClock(device)
    for kind in given.only:
        for name, rows in KINDS[kind](clock, given):
            report[name] = rows
            if given.out:  # after each row: a later one may fail, or not come in time
                given.out.write_text(json.dumps(report, indent=1) + "\n")
        clock.free()


if __name__ == "__main__":
    main()
