"""What `latentsr build` wins: engines by graph, INT8's speed and dB, latent against pixel route.

python benchmarks/build.py [--bundle demo] [--pictures PICTURES...] [--calibrate PICTURES...]
    [--rounds 21] [--seconds 4] [--gate 0.1] [--cache FOLDER] [--out benchmarks/results/build.json]

Builds FP32 and INT8 plans for the size of the first picture's stream, in a cache of its own.
`engines`: each graph before (ONNX Runtime as shipped) and after, paired, and both as a share of
NumPy's 1024³ matrix product by MACs; INT8 rows are against FP32's choice. `quality`: PSNR of each
route against the original with FP32 and with INT8, and of one against the other, on all pictures.
`routes`: whole decodes of the first picture by ONNX Runtime and OpenVINO as shipped, by the plan,
and by the plan in INT8, in turn within each round: milliseconds and engine milliseconds (medians).
`pixel_over_latent`: median over rounds of pixel_x4's time over latent_x4's of the same way.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from latentsr.bundle import DEMO, Bundle
from latentsr.codec import Codec, load
from latentsr.errors import BackendError, UsageError
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.plans.builders import Report, Wanted
from latentsr.plans.cache import FOLDER_VARIABLE
from latentsr.plans.cpu import CpuBuilder
from latentsr.plans.quality import lines
from latentsr.plans.samples import decode_routes, make_case

WAYS = {
    "ort": {"backend": "ort"},
    "openvino": {"backend": "openvino"},
    "plan": {"backend": "cpu"},
    "plan int8": {"backend": "cpu", "precision": "int8"},
}
SLOW, FAST = "pixel_x4", "latent_x4"


def build(given: argparse.Namespace, pictures: list[np.ndarray]) -> dict[str, Report]:
    """FP32 and INT8 plans for the size that the first picture is coded at."""
    bundle = Bundle(given.bundle)
    with load(given.bundle) as codec:
        first = make_case(codec, pictures[0], None, decode_routes(bundle.manifest)).given
    size = first.shape[1], first.shape[0]
    chosen = [to_rgb8(path) for path in expand(given.calibrate, PICTURES)]
    made = {}
    for precision in ("fp32", "int8"):
        wanted = Wanted(precision, [size], (), chosen, given.gate, given.seconds)
        made[precision] = CpuBuilder().build(bundle, wanted, print)
    return made


def codecs(bundle: str) -> dict[str, Codec]:
    """A codec for every way that there is here."""
    found = {}
    for way, options in WAYS.items():
        try:
            found[way] = load(bundle, **options)
            found[way].warmup(FAST)
        except (BackendError, UsageError) as error:
            found.pop(way, None)
            print(f"{way}: left out, {error}")
    return found


def quality(given: argparse.Namespace, ways: dict[str, Codec], pictures: list[np.ndarray]) -> Any:
    """INT8 against FP32 and the originals, route by route."""
    if "plan int8" not in ways:
        return []
    codec, names = ways["plan"], decode_routes(ways["plan"].bundle.manifest)
    cases = [make_case(codec, picture, None, names) for picture in pictures]
    low = ways["plan int8"]
    return lines(codec, cases, names, {name: low.engine(name) for name in graphs(low)})


def graphs(codec: Codec) -> list[str]:
    manifest = codec.bundle.manifest
    decides = {*manifest.entropy_graphs, *manifest.exact.values()}
    used = {step["graph"] for route in manifest.routes.values() if route.kind == "decode"
            for step in route.steps if step["op"] == "graph"}  # fmt: skip
    return sorted(used - decides)


def routes(ways: dict[str, Codec], picture: np.ndarray, rounds: int) -> dict[str, Any]:
    """Both routes by every way in turn."""
    any_codec = next(iter(ways.values()))
    stream = make_case(any_codec, picture, None, [SLOW, FAST]).stream
    runs = [(way, route) for way in ways for route in (SLOW, FAST)]
    whole: dict[tuple[str, str], list[float]] = {run: [] for run in runs}
    engine: dict[tuple[str, str], list[float]] = {run: [] for run in runs}
    for number in range(-2, rounds):
        for way, route in runs:
            begin = time.perf_counter()
            ways[way].decode(stream, route)
            ms = (time.perf_counter() - begin) * 1e3
            if number >= 0:  # the first ones load engines
                whole[way, route].append(ms)
                stages = ways[way].timeline.stages
                engine[way, route].append(sum(s.ms for s in stages if s.kind == "engine"))
    result: dict[str, Any] = {}
    for way, codec in ways.items():
        row = result[way] = {}
        for route in (SLOW, FAST):
            row[route] = {"ms": round(float(np.median(whole[way, route])), 3),
                          "engine_ms": round(float(np.median(engine[way, route])), 3),
                          "runs_on": codec.runs_on(route)}  # fmt: skip
        for key, times in (("pixel_over_latent", whole), ("pixel_over_latent_engines", engine)):
            pairs = zip(times[way, SLOW], times[way, FAST], strict=True)
            row[key] = round(float(np.median([a / b for a, b in pairs])), 2)
        for route in (SLOW, FAST):
            pairs = zip(whole["ort", route], whole[way, route], strict=True)
            row[route]["times_ort"] = round(float(np.median([a / b for a, b in pairs])), 2)
    return result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = str(DEMO.parent / "coffee.png")
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--pictures", nargs="+", default=[shipped])
    parser.add_argument("--calibrate", nargs="+", default=[shipped])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--gate", type=float, default=0.1)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="latentsr-") as folder:
        os.environ[FOLDER_VARIABLE] = str(given.cache or folder)
        pictures = [to_rgb8(path) for path in expand(given.pictures, PICTURES)]
        reports = build(given, pictures)
        ways = codecs(given.bundle)
        result = {
            "machine": describe_machine("onnx"), "bundle": given.bundle, "gate_db": given.gate,
            "seconds": given.seconds, "rounds": given.rounds,
            "engines": {name: report.rows for name, report in reports.items()},
            "notes": [note for report in reports.values() for note in report.notes],
            "quality": quality(given, ways, pictures),
            "routes": routes(ways, pictures[0], given.rounds),
        }  # fmt: skip
    show(result)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def show(result: dict[str, Any]) -> None:
    for precision, rows in result["engines"].items():
        for row in rows:
            kind = "sized" if row["for"] else "any"
            times = f"{row['before_ms']:8.2f} → {row['after_ms']:8.2f} ms ×{row['ratio']:.2f}"
            share = f"sgemm {row['sgemm_before']:.0%} → {row['sgemm_after']:.0%}"
            print(f"{precision} {row['graph']:26} {kind:6} {times}  {share}  {row['chosen']}")
    for line in result["quality"]:
        print(line)
    for way, row in result["routes"].items():
        times = f"latent {row[FAST]['ms']:8.2f} ms, pixel {row[SLOW]['ms']:8.2f} ms"
        ratios = f"{row['pixel_over_latent']} (engines {row['pixel_over_latent_engines']})"
        print(f"{way:10} {times}, ratio {ratios}")


if __name__ == "__main__":
    main()
