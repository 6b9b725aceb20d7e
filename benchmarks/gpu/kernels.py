"""The CUDA kernels against the coder on the processor, in one run: Gsym/s and GB/s.

python benchmarks/gpu/kernels.py [--rounds 15] [--repeat 20] [--out results.json]

Latents of 1920x1080 (192 channels, stride 16) and of 768x512, symbols drawn from 64 Gaussian
tables with scales 0.11 to 256, at about 0.1, 0.75 and 1.5 bits a symbol; batches of 1, 8 and 64;
parts as the encoder chooses them, and 8 or 64. Before anything is timed, every stream of the device
is compared with the processor's, byte for byte, and every symbol with what was encoded.

A device's time is that of `repeat` launches one after the other, divided, from the first launch to
the last result; streams, tables and symbols lie in device memory, so copies are not in it. The
processor decodes the same streams one after the other, with one thread and with all cores. Rounds
take both sides in turn; times are medians, `times` the median of the ratios of the same round.
Steps on latents and pictures are given in GB/s of what they read and write.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsr import cuda
from latentsr.backends.device_memory import DeviceMemory, device_memory
from latentsr.bench.machine import describe_machine
from latentsr.cuda import DecodePlan, DeviceCoder, EncodePlan, steps
from latentsr.cuda.batch import OUTCOME, RESULT
from latentsr.cuda.steps import DeviceMeans, DevicePlanes
from latentsr.entropy import Coder, Tables

SCALES = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
LATENTS = {"1920x1080": 192 * 68 * 120, "768x512": 192 * 32 * 48}
BATCHES, PARTS = (1, 8, 64), (0, 8, 64)
RATES = {"0.1": 0.085, "0.75": 0.275, "1.5": 0.56}
"""Bits a symbol, about, and the median of the scales that give them."""

Call = Callable[[], None]


def gaussian_tables() -> Tables:
    rows, offset = [], []
    for scale in SCALES:
        centre = math.ceil(6.1 * scale)
        edges = (np.arange(-centre, centre + 2) - 0.5) / (scale * math.sqrt(2))
        mass = np.diff([math.erf(edge) for edge in edges]) / 2
        sizes = np.floor(np.append(mass, 1e-9) * (65535 - mass.size)).astype(np.int64) + 1
        sizes[centre] += 65536 - sizes.sum()
        rows.append(np.concatenate([[0], np.cumsum(sizes)]))
        offset.append(-centre)
    cdf = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, entries in zip(cdf, rows, strict=True):
        row[: len(entries)] = entries
    lengths = np.array([len(entries) for entries in rows], np.int32)
    return Tables(cdf, lengths, np.array(offset, np.int32))


def draw(rng: np.random.Generator, count: int, median: float) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and table rows; the scales' logarithms are spread as trained codecs' are."""
    scales = np.clip(median * np.exp(rng.normal(0, 0.8, count)), SCALES[0], SCALES[-1])
    rows = np.minimum(np.searchsorted(SCALES, scales), SCALES.size - 1).astype(np.uint8)
    return np.rint(rng.normal(0, 1, count) * SCALES[rows]).astype(np.int32), rows


class Device:
    """Device arrays of one measurement, and its clock."""

    def __init__(self, memory: DeviceMemory) -> None:
        self.memory = memory
        self._blocks: list[int] = []

    def room(self, size: int) -> int:
        self._blocks.append(self.memory.allocate(max(size, 1)))
        return self._blocks[-1]

    def put(self, array: np.ndarray) -> int:
        address = self.room(array.nbytes)
        self.memory.upload(address, np.ascontiguousarray(array))
        return address

    def get(self, address: int, count: int, dtype: Any) -> np.ndarray:
        self.memory.synchronize()
        found = np.empty(count, dtype)
        self.memory.download(found, address)
        return found

    def seconds(self, call: Call, repeat: int) -> float:
        self.memory.synchronize()
        start = time.perf_counter()
        for _ in range(repeat):
            call()
        self.memory.synchronize()
        return (time.perf_counter() - start) / repeat

    def free(self) -> None:
        for block in self._blocks:
            self.memory.free(block)
        self._blocks.clear()


@dataclass(frozen=True)
class Case:
    """Streams of one batch with what they hold."""

    coder: Coder
    symbols: list[np.ndarray]
    rows: list[np.ndarray]
    streams: list[bytes]

    @property
    def count(self) -> int:
        return sum(one.size for one in self.symbols)


def make_case(tables: Tables, size: int, batch: int, median: float, parts: int) -> Case:
    rng = np.random.default_rng(1)
    coder = Coder(tables)
    drawn = [draw(rng, size, median) for _ in range(min(batch, 4))]  # some of them again and again
    streams = [coder.encode(s, r, threads=os.cpu_count() or 1, parts=parts or None)
               for s, r in drawn]  # fmt: skip
    order = [i % len(drawn) for i in range(batch)]
    return Case(coder, [drawn[i][0] for i in order], [drawn[i][1] for i in order],
                [streams[i] for i in order])  # fmt: skip


def decode_call(device: Device, coder: DeviceCoder, case: Case) -> Call:
    """A decode of the batch, once checked."""
    plan = DecodePlan.of(case.streams, [one.size for one in case.symbols])
    sizes = plan.sizes()
    out, results = device.room(sizes["out"]), device.room(sizes["results"])
    given = {
        "tables": device.put(coder.packed), "streams": device.put(plan.streams),
        "data": device.put(plan.data), "indexes": device.put(np.concatenate(case.rows)),
        "out": out, "part_results": device.room(sizes["part_results"]), "results": results,
    }  # fmt: skip
    coder.decode(plan, **given)
    faults = coder.faults(device.get(results, len(case.streams), RESULT))
    found = device.get(out, plan.symbols, np.int32)
    if any(faults) or not np.array_equal(found, np.concatenate(case.symbols)):
        sys.exit(f"decode: the device's symbols differ from the processor's: {faults}")
    return lambda: coder.decode(plan, **given)


def encode_call(device: Device, coder: DeviceCoder, case: Case, parts: int) -> Call:
    """An encode of the batch, once checked."""
    room = max(map(len, case.streams))
    plan = EncodePlan.of([one.size for one in case.symbols], parts=parts, room=room)
    sizes = plan.sizes()
    data, outcomes = device.room(sizes["data"]), device.room(sizes["outcomes"])
    given = {
        "tables": device.put(coder.packed), "targets": device.put(plan.targets),
        "symbols": device.put(np.concatenate(case.symbols)),
        "indexes": device.put(np.concatenate(case.rows)),
        "scratch": device.room(sizes["scratch"]), "data": data, "outcomes": outcomes,
    }  # fmt: skip
    coder.encode(plan, **given)
    found = device.get(outcomes, len(case.streams), OUTCOME)
    whole = device.get(data, plan.room, np.uint8).tobytes()
    lengths = found["size"].astype(int)
    made = [whole[i * room : i * room + n] for i, n in enumerate(lengths)]
    if any(coder.encode_faults(found)) or made != case.streams:
        sys.exit("encode: the device's bytes differ from the processor's")
    return lambda: coder.encode(plan, **given)


def processor_calls(case: Case, parts: int) -> dict[str, dict[str, Call]]:
    """Both ways on the processor, with one thread and with all."""
    out = np.empty(case.symbols[0].size, np.int32)

    def decode(threads: int) -> None:
        for stream, rows in zip(case.streams, case.rows, strict=True):
            case.coder.decode(stream, rows, threads=threads, out=out)

    def encode(threads: int) -> None:
        for symbols, rows in zip(case.symbols, case.rows, strict=True):
            case.coder.encode(symbols, rows, threads=threads, parts=parts or None)

    cores = os.cpu_count() or 1
    return {
        "decode": {"1 thread": lambda: decode(1), "all cores": lambda: decode(cores)},
        "encode": {"1 thread": lambda: encode(1), "all cores": lambda: encode(cores)},
    }


def seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_coder(
    device: Device, tables: Tables, name: tuple[str, str, int, int], given: argparse.Namespace
) -> dict[str, Any]:
    """One batch, both ways."""
    latent, rate, batch, parts = name
    case = make_case(tables, LATENTS[latent], batch, RATES[rate], parts)
    coder = DeviceCoder(tables)
    calls = {"decode": decode_call(device, coder, case),
             "encode": encode_call(device, coder, case, parts)}  # fmt: skip
    others = processor_calls(case, parts)
    times: dict[str, dict[str, list[float]]] = {
        way: {side: [] for side in ("device", *others[way])} for way in calls
    }
    # A batch of many pictures takes the processor long; it then has fewer rounds.
    for _ in range(given.rounds if batch < 64 else max(given.rounds // 5, 1)):
        for way, call in calls.items():
            times[way]["device"].append(device.seconds(call, given.repeat))
            for side, other in others[way].items():
                times[way][side].append(seconds(other))
    result: dict[str, Any] = {
        "latent": latent, "batch": batch, "parts": 1 << (case.streams[0][0] >> 4),
        "bits_per_symbol": round(8 * sum(map(len, case.streams)) / case.count, 3),
    }  # fmt: skip
    for way, sides in times.items():
        result[way] = figures(sides, case.count)
    return result


def figures(sides: dict[str, list[float]], count: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        side: {"ms": round(1e3 * float(np.median(own)), 4),
               "gsym_per_s": round(count / 1e9 / float(np.median(own)), 4)}
        for side, own in sides.items()
    }  # fmt: skip
    device = sides["device"]
    for side, own in sides.items():
        if side != "device":
            pairs = zip(own, device, strict=True)
            found[side]["times"] = round(float(np.median([a / b for a, b in pairs])), 2)
    return found


def step_calls(device: Device, latent: int, height: int, width: int) -> dict[str, tuple[Call, int]]:
    """Each step with the bytes that it reads and writes."""
    rng = np.random.default_rng(2)
    room, put = device.room, device.put
    fault, symbols, restored = room(8), room(4 * latent), room(4 * latent)
    values = put(rng.normal(0, 4, latent).astype(np.float32))
    means = DeviceMeans(put(rng.normal(0, 1, latent).astype(np.float32)), latent)
    thresholds = put(SCALES[:-1].astype(np.float32))
    rows, scales = room(latent), put(rng.uniform(0.1, 20, latent).astype(np.float32))
    samples = rng.uniform(-0.1, 1.1, (1, 3, height, width))
    crcs, streams = room(4), put(DecodePlan.of([b""], [latent]).streams)
    pixels, picture = height * width, room(3 * height * width)
    found: dict[str, tuple[Call, int]] = {
        "symbols_from_latent": (lambda: steps.symbols_from_latent(
            values, means, symbols, restored, latent, fault), 16 * latent),
        "latent_from_symbols": (lambda: steps.latent_from_symbols(
            symbols, means, restored, latent), 12 * latent),
        "scale_indexes": (lambda: steps.scale_indexes(
            scales, rows, latent, thresholds, 63, fault), 5 * latent),
        "crc_of_symbols": (lambda: steps.crc_of_symbols(symbols, streams, 1, crcs), 4 * latent),
    }  # fmt: skip
    for kind, size in ((np.float32, 4), (np.float16, 2)):
        planes = DevicePlanes.dense(put(samples.astype(kind)), 1, height, width, size)
        found[f"picture_from_planes {kind.__name__}"] = (
            lambda planes=planes: steps.picture_from_planes(planes, picture, fault),
            3 * pixels * (size + 1),
        )
        found[f"planes_from_picture {kind.__name__}"] = (
            lambda planes=planes: steps.planes_from_picture(picture, height, width, planes),
            3 * pixels * (size + 1),
        )
    return found


def measure_steps(device: Device, given: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for name, (call, size) in step_calls(device, LATENTS["1920x1080"], 2160, 3840).items():
        times = [device.seconds(call, given.repeat) for _ in range(given.rounds)]
        middle = float(np.median(times))
        found[name] = {"us": round(1e6 * middle, 2), "gb_per_s": round(size / 1e9 / middle, 1)}
        print(f"{name:32} {found[name]['us']:9.2f} us {found[name]['gb_per_s']:8.1f} GB/s")
    return found


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    memory = device_memory()
    if reason := cuda.why_not():
        sys.exit(reason)
    tables = gaussian_tables()
    report: dict[str, Any] = {
        "machine": describe_machine(), "device": device_name(), "memory": memory.name,
        "rounds": given.rounds, "repeat": given.repeat, "coder": [],
    }  # fmt: skip
    device = Device(memory)
    for name in itertools.product(LATENTS, RATES, BATCHES, PARTS):
        report["coder"].append(measure_coder(device, tables, name, given))
        show(report["coder"][-1])
        device.free()
    report["steps"] = measure_steps(device, given)
    device.free()
    if given.out:
        given.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
