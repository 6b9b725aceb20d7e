"""How long until the first picture, in fresh processes.

python benchmarks/start.py [--bundle demo] [--picture PICTURE] [--rounds 15] [--seconds 2]
    [--out benchmarks/results/start.json]

Each round starts one process for each way, in turn. `ort`, `openvino`: the libraries as shipped.
`plan, cold`: backend cpu with a plan and no compiled graphs kept; `plan, warm`: with them.
A process times, from the same clock: `import_ms` (`import latentsr`), `load_ms` (`latentsr.load`,
numpy and the engines' modules among it), `first_ms` (the first `upscale` of a stream), `second_ms`
(the next one, for comparison), and `picture_ms` = load + first. `process_ms` is what the process
took from outside, `cpu_ms` processor time from Python's own start to the first picture, all threads
together, which suffers less from others. Medians; files are in the system's cache throughout.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from latentsr.bundle import DEMO, Bundle
from latentsr.codec import load
from latentsr.image import to_rgb8
from latentsr.plans.builders import Wanted
from latentsr.plans.cache import FOLDER_VARIABLE
from latentsr.plans.cpu import CpuBuilder
from latentsr.plans.facts import libraries
from latentsr.plans.samples import decode_routes, make_case

PROCESS = """
import sys, time, json
t = [time.perf_counter()]
import latentsr
t.append(time.perf_counter())
codec = latentsr.load(sys.argv[1], backend=sys.argv[2])
t.append(time.perf_counter())
stream = open(sys.argv[3], "rb").read()
for number in range(2):
    codec.upscale(stream)
    t.append(time.perf_counter())
    cpu = cpu if number else time.process_time()
print(json.dumps([*(1e3 * (b - a) for a, b in zip(t, t[1:])), 1e3 * cpu]))
"""
PARTS = ("import_ms", "load_ms", "first_ms", "second_ms", "cpu_ms")


def measure(command: list[str], cache: Path) -> dict[str, float]:
    """One fresh process."""
    begin = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, FOLDER_VARIABLE: str(cache)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    whole = (time.perf_counter() - begin) * 1e3
    found = dict(zip(PARTS, json.loads(done.stdout), strict=True))
    picture = found["load_ms"] + found["first_ms"]
    return {**found, "picture_ms": picture, "process_ms": whole}


def prepare(given: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """A stream, and a cache with plans for its size but no compiled graphs."""
    bundle, picture = Bundle(given.bundle), to_rgb8(given.picture)
    with load(given.bundle) as codec:
        case = make_case(codec, picture, None, decode_routes(bundle.manifest))
    stream, cold = folder / "picture.lss", folder / "cold"
    stream.write_bytes(case.stream)
    os.environ[FOLDER_VARIABLE] = str(cold)
    size = case.given.shape[1], case.given.shape[0]
    wanted = Wanted("fp32", [size], [bundle.manifest.upscale], [picture], seconds=given.seconds)
    CpuBuilder().build(bundle, wanted, print)
    for library in libraries():
        for path in cold.glob(f"{library}-*"):
            path.unlink()
    return stream, cold


def run(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    stream, cold = prepare(given, folder)
    ways = {f"{name}": (name, cold) for name in libraries()}
    ways |= {"plan, cold": ("cpu", folder / "new"), "plan, warm": ("cpu", folder / "warm")}
    shutil.copytree(cold, folder / "warm")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(-1, given.rounds):  # the first round fills the system's cache and ours
        for way, (backend, cache) in ways.items():
            if way == "plan, cold":
                shutil.rmtree(cache, ignore_errors=True)
                shutil.copytree(cold, cache)
            command = [sys.executable, "-c", PROCESS, given.bundle, backend, str(stream)]
            times = measure(command, cache)
            if number >= 0:
                found[way].append(times)
    return {
        way: {key: round(float(np.median([row[key] for row in rows])), 2) for key in rows[0]}
        for way, rows in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--picture", default=str(DEMO.parent / "coffee.png"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latentsr-") as folder:
        ways = run(given, Path(folder))
    result = {"machine": describe_machine(), "bundle": given.bundle, "rounds": given.rounds,
              "ways": ways}  # fmt: skip
    for way, row in ways.items():
        print(f"{way:12}", "  ".join(f"{key} {value:8.1f}" for key, value in row.items()))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
