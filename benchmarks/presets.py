"""Every preset from untrained weights to pictures: export, parity, bytes, and times of each route.

python benchmarks/presets.py HR_PICTURE [--size full] [--rounds 3] [--only NAMES] [--out FILE.json]

The HR picture is cut to 768x512 and to 501x333, reduced and coded by each preset's `encode_hr`, and
enlarged by each of its routes, on ONNX Runtime and with two threads. Weights are untrained: bytes
and pictures mean nothing, times and parity do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

import latentsr
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.image import to_rgb8
from latentsr_export.presets import PRESETS
from latentsr_export.presets.export import export_preset

SIZES = ((768, 512), (501, 333))


def milliseconds(call: Callable[[], Any], rounds: int) -> float:
    """Median of some calls, after one that warms up."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def parity(bundle: Bundle) -> float:
    """Largest difference between torch and the runtime over all graphs, as a share of the peak."""
    found = [
        port["max_abs"] / max(port["peak"], 1.0)
        for graph in bundle.manifest.graphs.values()
        for port in graph.parity["torch"].values()
    ]
    return max(found)


def measure(codec: Codec, picture: np.ndarray, rounds: int) -> dict[str, Any]:
    """Bytes and times of one picture."""
    stream = codec.encode(picture, "encode_hr")
    routes = {
        name: milliseconds(lambda name=name: codec.decode(stream, name), rounds)
        for name, route in codec.bundle.manifest.routes.items() if route.kind == "decode"
    }  # fmt: skip
    made = codec.upscale(stream, codec.bundle.manifest.upscale or "latent_x4")
    encode = milliseconds(lambda: codec.encode(picture, "encode_hr"), rounds)
    coded = 8 * len(stream) / (picture.shape[0] * picture.shape[1])
    return {"bytes": len(stream), "bpp_hr": coded, "output": list(made.shape[1::-1]),
            "encode_ms": encode, "decode_ms": routes}  # fmt: skip


def one(name: str, high: np.ndarray, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One preset: exported, and run on both sizes."""
    start = time.perf_counter()
    bundle = export_preset(name, folder / f"{name}.lsr", random=True, size=given.size)
    seconds = time.perf_counter() - start
    found: dict[str, Any] = {
        "export_seconds": seconds, "parity": parity(bundle),
        "parameters": sum(g["parameters"] for g in bundle.manifest.raw["graphs"].values()),
        "pictures": {},
    }  # fmt: skip
    with latentsr.load(bundle.path, threads=2) as codec:
        for width, height in SIZES:
            picture = np.ascontiguousarray(high[:height, :width])
            found["pictures"][f"{width}x{height}"] = measure(codec, picture, given.rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of presets")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    high = to_rgb8(given.picture)
    result: dict[str, Any] = {
        "machine": describe_machine("onnx"),
        "size": given.size,
        "presets": {},
    }
    for preset in PRESETS:
        if given.only and preset.name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            result["presets"][preset.name] = one(preset.name, high, given, Path(folder))
        print(preset.name, json.dumps(result["presets"][preset.name]), flush=True)
        if given.out:
            given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
