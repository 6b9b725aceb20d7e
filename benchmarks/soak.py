"""Thousands of pictures of mixed sizes through one codec: does memory stay flat?

python benchmarks/soak.py [--pictures 2000] [--sizes 400] [--side 256] [--jobs N] [--out JSON]

Crops of the shipped picture, as many sizes as asked for with sides from 1 up to `side`, are encoded
and then decoded and enlarged in turn, in random order, by `decode_many` and `upscale_many` of one
codec. The resident set is sampled after every tenth picture, when the picture was let go.
`slope_kib_per_picture` is the least-squares line through the samples of the second half, as which
a leak would show; `drift_mib` is that over the half. Afterwards eight threads at a time call one
codec with every route, and each result is compared with that of a single thread
(`eight_threads`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from PIL import Image

import latentsr
from latentsr.bundle import DEMO
from latentsr.codec import Codec

RESULT = Path(__file__).parent / "results" / "soak.json"
EVERY, THREADS, CHECKED, CHECK_SIDE = 10, 8, 12, 96


def resident_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS in /proc/self/status: this script needs Linux")


def crops(count: int, side: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Parts of the shipped picture of different sizes."""
    with Image.open(DEMO.parent / "coffee.png") as image:
        whole = np.asarray(image.convert("RGB"))
    most = [min(side, length) for length in whole.shape[:2]]
    sizes: set[tuple[int, int]] = set()
    while len(sizes) < min(count, most[0] * most[1] // 2):
        sizes.add((int(rng.integers(1, most[0] + 1)), int(rng.integers(1, most[1] + 1))))
    for height, width in sorted(sizes):
        top = int(rng.integers(0, whole.shape[0] - height + 1))
        left = int(rng.integers(0, whole.shape[1] - width + 1))
        yield whole[top : top + height, left : left + width]


def endure(
    codec: Codec, streams: list[bytes], pictures: int, jobs: int | None, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Resident set in MiB after so many pictures."""
    samples = []
    order = rng.integers(0, len(streams), pictures)
    chosen = [streams[index] for index in order]
    half = pictures // 2
    # Two iterators in turn: both kinds of picture over the whole of the time.
    kinds = [codec.decode_many(iter(chosen[:half]), jobs=jobs),
             codec.upscale_many(iter(chosen[half:]), jobs=jobs)]  # fmt: skip
    for number in range(1, 2 * half + 1):
        picture = next(kinds[number % 2])
        if picture.dtype != np.uint8 or not picture.size:
            raise SystemExit(f"picture {number}: found {picture.dtype} {picture.shape}")
        del picture
        if number % EVERY == 0:
            samples.append((number, resident_mib()))
    for kind in kinds:
        if next(kind, None) is not None:
            raise SystemExit("more pictures than streams")
    return samples


def line(samples: list[tuple[int, float]]) -> dict[str, float]:
    """What the resident set did, most of all in the second half."""
    later = np.array(samples[len(samples) // 2 :])
    slope, _ = np.polyfit(later[:, 0], later[:, 1], 1)
    every = np.array(samples)[:, 1]
    return {
        "first_mib": round(float(every[0]), 1), "middle_mib": round(float(later[0, 1]), 1),
        "last_mib": round(float(every[-1]), 1), "peak_mib": round(float(every.max()), 1),
        "slope_kib_per_picture": round(float(slope) * 1024, 3),
        "drift_mib": round(float(slope) * float(later[-1, 0] - later[0, 0]), 2),
    }  # fmt: skip


def eight_threads(codec: Codec, streams: list[bytes]) -> dict[str, int]:
    """Results of all routes from eight threads at a time that differ from one thread's."""
    routes = [n for n, r in codec.bundle.manifest.routes.items() if r.kind == "decode"]
    todo = [(stream, route) for stream in streams for route in routes]

    def digest(one: tuple[bytes, str]) -> str:
        return hashlib.sha256(codec.decode(*one).tobytes()).hexdigest()

    expected = [digest(one) for one in todo]
    orders = [np.random.default_rng(n).permutation(len(todo)) for n in range(THREADS)]

    def run(order: np.ndarray) -> int:
        return sum(digest(todo[index]) != expected[index] for index in order)

    with ThreadPoolExecutor(THREADS) as pool:
        wrong = sum(pool.map(run, orders))
    return {"threads": THREADS, "calls": THREADS * len(todo), "different": wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--sizes", type=int, default=400)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    with latentsr.load("demo", backend=given.backend) as codec:
        streams = list(codec.encode_many(crops(given.sizes, given.side, rng)))
        start = time.perf_counter()
        samples = endure(codec, streams, given.pictures, given.jobs, rng)
        seconds = time.perf_counter() - start
    with latentsr.load("demo", backend=given.backend, threads=1) as codec:
        small = list(crops(CHECKED, CHECK_SIDE, rng))
        threads = eight_threads(codec, [codec.encode(picture) for picture in small])
    result: dict[str, Any] = {
        "machine": describe_machine(), "backend": given.backend, "pictures": given.pictures,
        "sizes": len(streams), "largest_side": given.side, "seconds": round(seconds, 1),
        "memory": line(samples), "eight_threads": threads,
        "resident_mib": [[number, round(mib, 1)] for number, mib in samples[::10]],
    }  # fmt: skip
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k not in ("machine", "resident_mib")}))
    print(f"{given.out}: {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
