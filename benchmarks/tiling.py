"""Tiles against whole pictures: peak memory, time, regions, and whether the samples are the same.

python benchmarks/tiling.py [--picture FILE] [--rounds 3] [--threads 2] [--out results.json]

The picture (by default the shipped one, enlarged) is brought to 1920x1080, coded with the demo
bundle, and made into 7680x4320 from its stream: `whole` at once, `tiled` within `--memory`, each
into a PNG file by the same strip writer, and `region`, 512x512 in the middle, into an array. Each
runs in a process of its own, in turn, for some rounds; the engines are loaded first, and the first
run of a process counts. `peak_mib` is the process's peak resident set, interpreter, libraries and
weights included; times are medians in seconds, ratios are paired within rounds. `engine` leaves
out the writing of the file. `pixel_x4` is measured on the whole picture if `--pixel` is given: it
takes minutes.

`factor`: what a run of one engine takes, over the bytes that the bundle's window tells; the runtime
counts with `latentsr.tiling.budget.ENGINE_FACTOR`.

`same`: pictures of odd sizes, 1x1 among them, through three networks (the synthesis transform, the
latent SR decoder and EDSR), tiled within the smallest budget that works, padded at the end and on
all sides: samples of 8 bits that differ from the whole picture's, and by how much.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from PIL import Image

import latentsr
from latentsr.bundle import DEMO
from latentsr.codec import Codec
from latentsr.errors import UsageError
from latentsr.image import to_rgb8

LOW = (1920, 1080)
REGION = 512
SIZES = ((1, 1), (37, 61), (131, 75), (200, 333))  # rows, columns
ROUTES = {"synthesis": "lr", "latent SR": "latent_x4", "EDSR": "pixel_x4"}
GRAPHS = {"synthesis": (64, 64), "latent_sr": (48, 48), "pixel_sr": (256, 256)}
WAYS = ("whole", "tiled", "region")


def subject(way: str, stream: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One way in this process: seconds, and the peak of its memory."""
    data = stream.read_bytes()
    with latentsr.load("demo", backend=given.backend, threads=given.threads) as codec:
        scale = codec.bundle.manifest.routes[given.route].scale
        width, height = LOW[0] * scale, LOW[1] * scale
        if way != "tiled":
            codec.warmup(given.route)
        start = time.perf_counter()
        if way == "region":
            box = ((width - REGION) // 2, (height - REGION) // 2, REGION, REGION)
            codec.upscale(data, given.route, region=box)
        else:
            budget = given.memory if way == "tiled" else None
            codec.upscale_to(data, stream.with_suffix(".png"), given.route, budget)
        seconds = time.perf_counter() - start
        stages = codec.timeline.stages
        written = sum(stage.ms for stage in stages if stage.kind == "write") / 1e3
        return {
            "seconds": seconds,
            "engine": seconds - written,
            "peak_mib": peak_mib(),
            "gmacs": codec.timeline.macs / 1e9,
            "stages": {stage.name: round(stage.ms, 1) for stage in stages},
        }


def engine_factor(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Memory that a graph's engine takes in this process, against what its window tells."""
    with latentsr.load("demo", backend=given.backend, threads=given.threads) as codec:
        raw = codec.bundle.manifest.raw["graphs"][name]
        rows, columns = GRAPHS[name]
        shape = (1, raw["channels"], rows, columns)
        x = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
        engine = codec.engine(name)
        before = peak_mib()
        engine.run_lean({raw["inputs"][0]: x})
        told = raw["window"]["bytes"] * rows * columns / (1 << 20)
        taken = peak_mib() - before
        return {
            "told_mib": round(told),
            "taken_mib": round(taken),
            "factor": round(taken / told, 2),
        }


def factors(given: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for name in GRAPHS:
        command = [sys.executable, __file__, "--engine", name, "--backend", given.backend,
                   "--threads", str(given.threads)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found[name] = json.loads(done.stdout)
        print(name, found[name])
    return found


def peak_mib() -> float:
    """Peak resident set of this process; unlike getrusage's, not that of its parent before."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measured(stream: Path, route: str, given: argparse.Namespace) -> dict[str, Any]:
    """All ways in turn, each in a fresh process."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(given.rounds):
        for way in WAYS:
            command = [
                sys.executable, __file__, "--subject", way, "--stream", str(stream),
                "--route", route, "--memory", given.memory, "--backend", given.backend,
                "--threads", str(given.threads),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            found[way].append(json.loads(done.stdout))
            last = found[way][-1]
            print(f"{route} {number} {way:7} {last['seconds']:8.2f} s {last['engine']:8.2f} s "
                  f"{last['peak_mib']:7.0f} MiB {last['gmacs']:8.1f} GMACs")  # fmt: skip
    rows: dict[str, Any] = {way: summary(runs) for way, runs in found.items()}
    rows["tiled"]["times_whole"] = ratio(found["tiled"], found["whole"], "engine")
    rows["region"]["times_whole"] = ratio(found["region"], found["whole"], "engine")
    return rows


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "seconds": round(statistics.median(run["seconds"] for run in runs), 3),
        "engine": round(statistics.median(run["engine"] for run in runs), 3),
        "peak_mib": round(max(run["peak_mib"] for run in runs)),
        "gmacs": round(runs[0]["gmacs"], 1),
        "stages": runs[-1]["stages"],
    }


def ratio(runs: list[dict[str, Any]], others: list[dict[str, Any]], key: str) -> float:
    pairs = zip(runs, others, strict=True)
    return round(statistics.median(run[key] / other[key] for run, other in pairs), 4)


def same(codec: Codec, picture: np.ndarray) -> list[dict[str, Any]]:
    """Differences of tiled pictures, in samples of 8 bits."""
    rows = []
    for network, route in ROUTES.items():
        for height, width in SIZES:
            for centred in (False, True):
                stream = codec.encode(picture[:height, :width], centred=centred)
                whole = codec.decode(stream, route)
                budget, tiled = smallest(codec, stream, route)
                moved = np.abs(whole.astype(np.int16) - tiled)
                rows.append({
                    "network": network, "size": [width, height], "centred": centred,
                    "memory_mib": budget, "differing": int((moved > 0).sum()),
                    "of": int(moved.size), "most": int(moved.max()),
                })  # fmt: skip
                print(rows[-1])
    return rows


def smallest(codec: Codec, stream: bytes, route: str) -> tuple[int, np.ndarray]:
    """The picture within the first of some budgets, in MiB, that is large enough."""
    for budget in (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        try:
            return budget, codec.decode(stream, route, memory=budget << 20)
        except UsageError:
            continue
    raise SystemExit(f"{route} fits into no budget")


def low_picture(path: Path | None) -> np.ndarray:
    """The picture at 1920x1080."""
    image = Image.fromarray(to_rgb8(DEMO.parent / "coffee.png" if path is None else path))
    width = min(image.width, image.height * LOW[0] // LOW[1])
    cut = image.crop((0, 0, width, width * LOW[1] // LOW[0]))
    return np.asarray(cut.resize(LOW, Image.Resampling.BICUBIC))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--pixel", action="store_true", help="measure pixel_x4, too")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--subject", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--route", default="latent_x4", help=argparse.SUPPRESS)
    parser.add_argument("--engine", choices=GRAPHS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.engine:
        print(json.dumps(engine_factor(given.engine, given)))
        return
    if given.subject:
        print(json.dumps(subject(given.subject, given.stream, given)))
        return
    picture = low_picture(given.picture)
    result: dict[str, Any] = {
        "machine": describe_machine(), "backend": given.backend, "threads": given.threads,
        "rounds": given.rounds, "low": list(LOW), "memory": given.memory,
        "factor": factors(given), "routes": {},
    }  # fmt: skip
    with latentsr.load("demo", backend=given.backend, threads=given.threads) as codec:
        stream = codec.encode(picture)
        result["same"] = same(codec, picture[200:, 300:])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.lss"
        path.write_bytes(stream)
        for route in ("latent_x4", "pixel_x4")[: 1 + given.pixel]:
            result["routes"][route] = measured(path, route, given)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
