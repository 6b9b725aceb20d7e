"""Streams from pictures on a GPU: the device's entropy coder against the processor's.

python benchmarks/gpu/encode_speed.py BUNDLE [--sizes 1920x1080,3840x2160] [--rounds 30]
    [--in-flight 1,4,8] [--dry-run] [--out encode.json]

From the uint8 picture in host memory to the stream's bytes; the picture is the shipped one,
resized. For each engine library there are two codecs that differ in `coder` alone, `cpu` and
`cuda`: the planes are made on the device in both. Their streams are compared before anything is
timed. Each round calls every codec once, in turn; warm-up comes first and is not counted.
`times_cuda`: median over rounds of the time with the processor's coder over that with the device's
in the same round. Rates: so many threads call at once. `stages_ms`: medians of what each step took
on the host; device work is waited for where a step needs its values, so most of the graphs' time is
in the first chunk's.

On a dry run both codecs are on the processor (`auto` in place of `cuda`), which shows that the
script works and nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np
from speed import begun, coded_picture, options

from latentsr.backends import split_device
from latentsr.bench.statistics import summary
from latentsr.bundle import Bundle
from latentsr.codec import Codec, load
from latentsr.errors import LatentSRError

CODERS, DRY = ("cpu", "cuda"), ("cpu", "auto")
ENGINES = ("tensorrt", "ort:cuda")


def opened(
    bundle: Bundle, engine: str, coders: tuple[str, str], picture: np.ndarray, warmup: int
) -> dict[str, Codec]:
    """A codec for each coder, warmed up; raises where one cannot run or makes another stream."""
    codecs, streams = {}, {}
    for coder in coders:
        codecs[coder] = load(bundle.path, *split_device(engine), coder=coder)
        for _ in range(max(warmup, 1)):
            streams[coder] = codecs[coder].encode(picture)
    if len(set(streams.values())) > 1:
        sizes = {coder: len(stream) for coder, stream in streams.items()}
        raise SystemExit(f"streams differ: found {sizes} bytes of {engine}, expected the same")
    return codecs


def milliseconds(codec: Codec, picture: np.ndarray) -> float:
    begin = time.perf_counter()
    codec.encode(picture)
    return (time.perf_counter() - begin) * 1e3


def rate(codec: Codec, picture: np.ndarray, in_flight: int, calls: int) -> float:
    """Pictures a second with so many threads."""
    with ThreadPoolExecutor(in_flight) as pool:
        list(pool.map(lambda _: codec.encode(picture), range(2 * in_flight)))
        begin = time.perf_counter()
        list(pool.map(lambda _: codec.encode(picture), range(calls)))
        return calls / (time.perf_counter() - begin)


def measure(
    codecs: dict[str, Codec], picture: np.ndarray, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row for each coder."""
    times: dict[str, list[float]] = {coder: [] for coder in codecs}
    stages: dict[str, dict[str, list[float]]] = {coder: {} for coder in codecs}
    for _ in range(given.rounds):
        for coder, codec in codecs.items():
            times[coder].append(milliseconds(codec, picture))
            for stage in codec.timeline.stages:
                stages[coder].setdefault(stage.name, []).append(stage.ms)
    device = times[list(codecs)[-1]]
    return [
        {
            "coder": coder,
            "ms": summary(times[coder]),
            "times_cuda": median(a / b for a, b in zip(times[coder], device, strict=True)),
            "pictures_per_second": {
                str(n): round(rate(codec, picture, n, max(given.rounds, n)), 2)
                for n in given.in_flight
            },
            "stages_ms": {name: round(median(ms), 4) for name, ms in stages[coder].items()},
        }
        for coder, codec in codecs.items()
    ]


def main() -> None:
    given = options(__doc__, "encode.json").parse_args()
    bundle = Bundle(given.bundle)
    result = begun(bundle, given)
    for size in given.sizes.split(","):
        run_size(bundle, size, given, result)
    if not result["rows"]:
        raise SystemExit("no engine could be measured; see `skipped`")


def run_size(bundle: Bundle, size: str, given: argparse.Namespace, result: dict[str, Any]) -> None:
    """All engines for one size; the result is written after each."""
    width, height = (int(side) for side in size.split("x"))
    picture = coded_picture((width, height), 1)
    engines, coders = (("ort",), DRY) if given.dry_run else (ENGINES, CODERS)
    for engine in engines:
        where = {"size": size, "engine": engine}
        try:
            codecs = opened(bundle, engine, coders, picture, given.warmup)
            rows = measure(codecs, picture, given)
        except (LatentSRError, RuntimeError) as error:
            result["skipped"].append({**where, "reason": str(error).strip()[:400]})
            print(f"{size} {engine:10} left out: {str(error).strip()[:120]}")
            continue
        result["rows"] += [{**where, **row} for row in rows]
        given.out.write_text(json.dumps(result, indent=1))
        for row in rows:
            figures = f"{row['ms']['p50']:9.2f} ms {row['times_cuda']:6.2f}x"
            rates = row["pictures_per_second"]
            print(f"{size} {engine:10} coder {row['coder']:5} {figures} {rates}", flush=True)
        for codec in codecs.values():
            codec.close()


if __name__ == "__main__":
    main()
