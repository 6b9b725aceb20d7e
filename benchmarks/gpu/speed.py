"""Pictures from bytes on a GPU: latency of one, rate of many, against PyTorch and ONNX Runtime.

python benchmarks/gpu/speed.py BUNDLE [--sizes 1920x1080,3840x2160] [--routes NAMES] [--rounds 30]
    [--in-flight 1,4,8] [--dry-run] [--out speed.json]

BUNDLE: with FP16 variants, or the FP16 contenders are left out. Sizes are those of the output.
From the stream's bytes to the uint8 picture in host memory; the picture is the shipped one,
resized. Each round calls every contender once, in turn; warm-up comes first (kernels chosen, graphs
captured) and is not counted. `times_ours`: median over rounds of a contender's time over that of
our first contender in the same round. Rates: so many threads call at once, all streams are the
same. Stages: medians of what each step took on the host; device work is waited for where a step
needs its values.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from contenders import contenders, opened
from PIL import Image

from latentsr.bench.machine import describe_machine
from latentsr.bench.statistics import summary
from latentsr.bundle import DEMO, Bundle
from latentsr.codec import Codec, load
from latentsr.errors import LatentSRError
from latentsr.report.metrics import psnr

PACKAGES = ("latentsr", "numpy", "onnxruntime", "onnxruntime-gpu", "tensorrt", "torch", "onnx",
            "cuda-python", "cuda-bindings", "pycuda")  # fmt: skip


def coded_picture(size: tuple[int, int], scale: int) -> np.ndarray:
    """The shipped picture, so large that the route's output has the size."""
    with Image.open(DEMO.parent / "coffee.png") as image:
        sides = (size[0] // scale, size[1] // scale)
        return np.asarray(image.convert("RGB").resize(sides, Image.Resampling.BICUBIC))


def decode(codec: Codec, stream: bytes, route: str) -> tuple[float, np.ndarray]:
    """Milliseconds and the picture."""
    begin = time.perf_counter()
    picture = codec.decode(stream, route)
    return (time.perf_counter() - begin) * 1e3, picture


def rate(codec: Codec, stream: bytes, route: str, in_flight: int, calls: int) -> float | str:
    """Pictures a second with so many threads, or why it cannot be."""
    try:
        return round(_rate(codec, stream, route, in_flight, calls), 2)
    except Exception as error:  # of whatever library: the others are still to be measured
        return str(error).strip()[:200]


def _rate(codec: Codec, stream: bytes, route: str, in_flight: int, calls: int) -> float:
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(lambda _: codec.decode(stream, route), range(2 * in_flight)))
        begin = time.perf_counter()
        list(pool.map(lambda _: codec.decode(stream, route), range(calls)))
        return calls / (time.perf_counter() - begin)


def measure(
    codecs: dict[str, Codec], stream: bytes, route: str, given: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Rows of all contenders for one route and size, and those that failed."""
    ready, failed, first = {}, [], None
    for name, codec in codecs.items():
        try:
            for _ in range(given.warmup):
                _, picture = decode(codec, stream, route)
        except Exception as error:
            failed.append({"contender": name, "reason": str(error).strip()[:400]})
            continue
        first = picture if first is None else first
        same = np.array_equal(first, picture)
        ready[name] = {"codec": codec, "psnr": 100.0 if same else psnr(first, picture)}
    times: dict[str, list[float]] = {name: [] for name in ready}
    stages: dict[str, dict[str, list[float]]] = {name: {} for name in ready}
    for _ in range(given.rounds):
        for name, entry in ready.items():
            times[name].append(decode(entry["codec"], stream, route)[0])
            for stage in entry["codec"].timeline.stages:
                stages[name].setdefault(stage.name, []).append(stage.ms)
    ours = times[next(iter(times))] if times else []
    rows = []
    for name, entry in ready.items():
        ratios = [other / own for other, own in zip(times[name], ours, strict=True)]
        rates = {str(n): rate(entry["codec"], stream, route, n, max(given.rounds, n))
                 for n in given.in_flight}  # fmt: skip
        rows.append({
            "contender": name, "ms": summary(times[name]), "times_ours": median(ratios),
            "pictures_per_second": rates, "psnr_to_first": round(entry["psnr"], 2),
            "stages_ms": {s: round(median(ms), 4) for s, ms in stages[name].items()},
        })  # fmt: skip
    return rows, failed


def gpu() -> dict[str, Any]:
    """The GPU as our device module finds it."""
    from latentsr.backends.device import open_device

    try:
        device = open_device()
    except LatentSRError as error:
        return {"none": str(error)[:300]}
    return {"name": device.name, "sm": device.capability, "cuda_driver": device.driver,
            "library": device.library}  # fmt: skip


def options(about: str, out: str) -> argparse.ArgumentParser:
    """The options of a measurement by size of picture."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--sizes", default="1920x1080,3840x2160")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("--in-flight", type=numbers, default=[1, 4, 8])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(out))
    return parser


def numbers(text: str) -> list[int]:
    """``1,4,8`` as numbers."""
    return [int(n) for n in text.split(",")]


def begun(bundle: Bundle, given: argparse.Namespace) -> dict[str, Any]:
    """A result without rows yet."""
    return {
        "machine": describe_machine(PACKAGES), "gpu": gpu(), "bundle": bundle.manifest.name,
        "dry_run": given.dry_run, "rows": [], "skipped": [],
    }  # fmt: skip


def main() -> None:
    parser = options(__doc__, "speed.json")
    parser.add_argument("--routes", default="")
    given = parser.parse_args()
    bundle = Bundle(given.bundle)
    result = begun(bundle, given)
    for size in given.sizes.split(","):
        run_size(bundle, size, given, result)
    if not result["rows"]:
        raise SystemExit("no contender could be measured; see `skipped`")


def run_size(bundle: Bundle, size: str, given: argparse.Namespace, result: dict[str, Any]) -> None:
    """All routes for one size of the output; the result is written after each."""
    width, height = (int(side) for side in size.split("x"))
    for name, route in bundle.manifest.routes.items():
        if route.kind != "decode" or (given.routes and name not in given.routes.split(",")):
            continue
        with load(bundle.path, backend="ort") as encoder:
            stream = encoder.encode(coded_picture((width, height), max(route.scale, 1)))
        codecs, skipped = opened(contenders(given.dry_run), bundle, stream)
        rows, failed = measure(codecs, stream, name, given)
        where = {"route": name, "size": size, "stream_bytes": len(stream)}
        result["rows"] += [{**where, **row} for row in rows]
        result["skipped"] += [{**where, **entry} for entry in (*skipped, *failed)]
        given.out.write_text(json.dumps(result, indent=1))
        for row in rows:
            figures = f"{row['ms']['p50']:9.2f} ms {row['times_ours']:6.2f}x"
            rates = row["pictures_per_second"]
            print(f"{size} {name:12} {row['contender']:28} {figures} {rates}", flush=True)
        for entry in (*skipped, *failed):
            print(f"{size} {name:12} {entry['contender']:28} left out: {entry['reason'][:120]}")
        for codec in codecs.values():
            codec.close()


if __name__ == "__main__":
    main()
