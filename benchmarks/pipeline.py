"""Many pictures at a time against one after the other: throughput, use of the cores, order.

python benchmarks/pipeline.py [--pictures kodak] [--route latent_x4] [--rounds 9] [--passes 5]
                              [--backend ort] [--out JSON]

Pictures are reduced by 4 (bicubic), encoded, and enlarged from the bytes in memory:

- `one_thread`: one after the other, an engine of one thread; `all_threads`: engines of all cores
- `many`: `Codec.upscale_many` as it comes; `many_sustained`: the same over `passes` times the
  streams, where filling and running dry no longer count
- `processes`: as many processes as cores, each with its share, one thread each: what this machine
  allows

Each round runs every way once, in turn. `times_one_thread` is the median over rounds of the rate
over that of `one_thread` in the same round; `cores_busy` is processor time / seconds / cores;
`cpu_ms`, processor time of a picture, shows what sharing costs, on a loaded machine, too.
Before that every picture of `many` is compared with that of `one_thread`, in order, and again with
damaged streams in between (`bad_streams`). `folder` is the command line on a folder of files, start
of the process and PNG included, with one job and as it comes. `batches`: see `batching.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from batching import measure_batches
from machine import describe_machine
from PIL import Image

import latentsr
from latentsr.codec import Codec
from latentsr.errors import LatentSRError
from latentsr.pipeline.schedule import usable_cores

HERE = Path(__file__).parent
KODAK = HERE.parent.parent / "shared" / "data" / "kodak"
REDUCTION = 4
COMMAND = Path(sys.executable).with_name("latentsr")
Way = Callable[[], float]
"""Makes the pictures of all streams and returns the processor time that it took."""


def reduced(folder: Path) -> list[np.ndarray]:
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            size = (image.width // REDUCTION, image.height // REDUCTION)
            found.append(np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC)))
    if not found:
        raise SystemExit(f"no picture: found no .png in {folder}, expected some; see --pictures")
    return found


def in_this_process(pictures: Callable[[], Any]) -> Way:
    def way() -> float:
        start = time.process_time()
        for _ in pictures():
            pass
        return time.process_time() - start

    return way


def share(streams: list[bytes], route: str, backend: str, pipe: Any) -> None:
    """A process of its own: at each word, its streams once; answers with its processor time."""
    with latentsr.load("demo", backend=backend, threads=1) as codec:
        codec.upscale(streams[0], route)
        pipe.send(0.0)
        while pipe.recv():
            start = time.process_time()
            for stream in streams:
                codec.upscale(stream, route)
            pipe.send(time.process_time() - start)


class Processes:
    """The machine's own limit: nothing shared but the cores and the memory."""

    def __init__(self, streams: list[bytes], route: str, backend: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        for number in range(count):
            here, there = context.Pipe()
            given = (streams[number::count], route, backend, there)
            context.Process(target=share, args=given, daemon=True).start()
            self._pipes.append(here)
        for pipe in self._pipes:
            pipe.recv()

    def __call__(self) -> float:
        for pipe in self._pipes:
            pipe.send(True)
        return sum(pipe.recv() for pipe in self._pipes)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send(False)


def check(one: Codec, many: Codec, streams: list[bytes], route: str) -> dict[str, Any]:
    """Compare all pictures with those of single calls, without and with damaged streams."""
    expected = [one.upscale(stream, route) for stream in streams]
    found = list(many.upscale_many(streams, route))
    same = sum(map(np.array_equal, found, expected))
    bad = [streams[0][:-5], b"", streams[1][:40] + bytes(9) + streams[1][49:]]
    places = {3: bad[0], len(streams) // 2: bad[1], len(streams) + 2: bad[2]}
    mixed = list(streams)
    for place, stream in sorted(places.items()):
        mixed.insert(place, stream)
    answers = list(many.upscale_many(iter(mixed), route, on_error="yield"))
    wrong = [n for n, one in enumerate(answers) if isinstance(one, LatentSRError)]
    rest = [one for one in answers if not isinstance(one, LatentSRError)]
    if same != len(streams) or wrong != sorted(places) or len(found) != len(streams):
        raise SystemExit(f"order or pictures differ: {same} of {len(streams)}, errors at {wrong}")
    return {
        "pictures": len(streams), "equal_in_order": same,
        "bad_streams": {"injected": len(places), "refused_in_place": len(wrong),
                        "others_equal": sum(map(np.array_equal, rest, expected))},
    }  # fmt: skip


def measure(ways: dict[str, tuple[Way, int]], rounds: int, cores: int) -> dict[str, Any]:
    """Each way once a round, in turn; a way is its call and the pictures it makes."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for way, _ in ways.values():
        way()
    for number in range(rounds):
        order = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
        for name in order:
            way, count = ways[name]
            start = time.perf_counter()
            cpu = way()
            seconds = time.perf_counter() - start
            rates[name].append(count / seconds)
            busy[name].append(cpu / seconds / cores)
            spent[name].append(cpu / count * 1e3)
    base = np.array(rates["one_thread"])
    return {
        name: {
            "pictures_per_s": round(float(np.median(rates[name])), 2),
            "times_one_thread": round(float(np.median(np.array(rates[name]) / base)), 3),
            "cores_busy": round(float(np.median(busy[name])), 3),
            "cpu_ms": round(float(np.median(spent[name])), 2),
        }
        for name in ways
    }


def folder_seconds(streams: list[bytes], route: str, backend: str, rounds: int) -> dict[str, Any]:
    """The command line over a folder: median seconds with one job and as it comes."""
    ways = {"one_job": ["--jobs", "1", "--threads", "1"], "as_it_comes": []}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        for number, stream in enumerate(streams):
            (Path(folder) / f"{number:03}.lss").write_bytes(stream)
        for _ in range(rounds):
            for name, options in ways.items():
                command = [str(COMMAND), "upscale", folder, "--route", route, "--backend", backend,
                           "-o", f"{folder}/{name}", *options]  # fmt: skip
                start = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - start)
    ratio = np.median(np.array(seconds["one_job"]) / np.array(seconds["as_it_comes"]))
    return {
        **{f"{name}_s": round(float(np.median(found)), 3) for name, found in seconds.items()},
        "times_one_job": round(float(ratio), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=KODAK)
    parser.add_argument("--route", default="latent_x4")
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "pipeline.json")
    given = parser.parse_args()
    cores, route, backend = usable_cores(), given.route, given.backend
    one = latentsr.load("demo", backend=backend, threads=1)
    every = latentsr.load("demo", backend=backend, threads=cores)
    many = latentsr.load("demo", backend=backend)
    streams = list(many.encode_many(reduced(given.pictures)))
    checked = check(one, many, streams, route)
    count, longer = len(streams), streams * given.passes
    processes = Processes(streams, route, backend, cores)
    ways: dict[str, tuple[Way, int]] = {
        "one_thread": (in_this_process(lambda: (one.upscale(s, route) for s in streams)), count),
        "all_threads": (in_this_process(lambda: (every.upscale(s, route) for s in streams)), count),
        "many": (in_this_process(lambda: many.upscale_many(streams, route)), count),
        "many_sustained": (
            in_this_process(lambda: many.upscale_many(iter(longer), route)), len(longer)
        ),
        "processes": (processes, count),
    }  # fmt: skip
    found = measure(ways, given.rounds, cores)
    processes.close()
    result = {
        "machine": describe_machine("onnx"), "backend": backend, "route": route, "cores": cores,
        "rounds": given.rounds, "order": checked, "ways": found,
        "folder": folder_seconds(streams, route, backend, max(3, given.rounds // 2)),
        "batches": measure_batches(many.bundle, backend, given.rounds),
    }  # fmt: skip
    for name, figures in found.items():
        print(f"{name:16}", *(f"{key} {value}" for key, value in figures.items()))
    print("folder          ", result["folder"])
    for side, figures in result["batches"].items():
        print(f"batches {side:8}", figures)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{given.out}: {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
