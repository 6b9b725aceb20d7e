"""Public pixel SR weights through the exporter's graphs and the runtime: Y-channel PSNR on Set5.

python benchmarks/set5_pixel_sr.py SET5_FOLDER --out results.json [--backend ort] WEIGHTS...

LR is Pillow's bicubic reduction of the HR picture cropped to a multiple of the scale; PSNR is of
the BT.601 Y channel of the 8-bit output, with a border of the scale cut off, as is usual. Files
with several scales are measured at each. `difference` is the largest between the engine's samples
and torch's on the whole set, in 0..1.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from PIL import Image

from latentsr.backends import BACKENDS, get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.pipeline import image_steps
from latentsr.report.metrics import psnr_y
from latentsr.stream import Padding
from latentsr_export.parts import GraphSpec
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr
from latentsr_export.trace import count_macs, trace

THREADS = 2
NO_PADDING = Padding(0, 0, 0, 0)


@dataclass(frozen=True)
class Whole:
    """A picture without padding, for the runtime's image steps."""

    width: int
    height: int
    padding: Padding = NO_PADDING
    threads: int = THREADS


def reduced(picture: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture cropped to a multiple of the scale, and its bicubic reduction."""
    height, width = (side // scale * scale for side in picture.shape[:2])
    high = picture[:height, :width]
    small = Image.fromarray(high).resize((width // scale, height // scale), Image.BICUBIC)
    return high, np.array(small)


def set5(network: PixelSR, engine: Engine, pictures: list[Path]) -> tuple[dict[str, float], float]:
    """PSNR of Y for each picture, and the largest difference from torch."""
    result, difference = {}, 0.0
    for path in pictures:
        high, low = reduced(to_rgb8(path), network.scale)
        whole = Whole(low.shape[1], low.shape[0])
        x = image_steps.pad(low, whole, {})
        made = engine.run({"x": x})["hr"]
        with torch.no_grad():
            expected = network.module(torch.from_numpy(x)).numpy()
        difference = max(difference, float(np.abs(made - expected).max()))
        enlarged = image_steps.picture(made, whole, {})
        result[path.stem] = psnr_y(enlarged, high, network.scale)
    return result, difference


def measure(network: PixelSR, pictures: list[Path], backend: str) -> dict[str, Any]:
    """One line of the results."""
    spec = GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture")
    graph = trace("pixel_sr", spec)
    engine = get_backend(backend).load(graph, "pixel_sr", EngineOptions(threads=THREADS))
    values, difference = set5(network, engine, pictures)
    return {
        "network": network.name, "scale": network.scale, "source": network.source,
        "parameters": network.parameters, "kmacs_per_lr_pixel": count_macs(graph, spec.feeds) / 1e3,
        "mean": statistics.mean(values.values()), "pictures": values, "difference": difference,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--backend", default="ort", choices=sorted(BACKENDS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = expand([given.folder], PICTURES)
    rows: dict[str, Any] = {}
    for weights in given.weights:
        held = load_pixel_sr(weights)
        for scale in held.scales or (held.scale,):
            row = measure(load_pixel_sr(weights, scale), pictures, given.backend)
            rows[f"{weights.name} x{scale}"] = row
            print(f"{weights.name} x{scale}: {row['mean']:.3f} dB, {row['difference']:.1e} from "
                  f"torch, {row['kmacs_per_lr_pixel']:.0f} kMAC", flush=True)  # fmt: skip
    if given.out:
        result = {"machine": describe_machine(), "backend": given.backend, "weights": rows}
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
