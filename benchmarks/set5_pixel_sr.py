"""Public pixel SR weights exported and run through the runtime: Y-channel PSNR on Set5.

python benchmarks/set5_pixel_sr.py SET5_FOLDER --codec codec.pth --out results.json WEIGHTS...

LR is Pillow's bicubic reduction of the HR picture cropped to a multiple of the scale; PSNR is of
the BT.601 Y channel of the rounded 8-bit output, with a border of the scale cut off, as is usual.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from PIL import Image

import latentsr
from latentsr.codec import Codec
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.report.metrics import psnr_y
from latentsr_export.exporter import export


def enlarge(codec: Codec, low: np.ndarray) -> np.ndarray:
    """Run the bundle's pixel SR graph alone on an uncompressed picture."""
    x = np.ascontiguousarray(low.transpose(2, 0, 1), np.float32)[np.newaxis] / np.float32(255)
    made = codec.engine("pixel_sr").run({"x": x})["hr"][0]
    return np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def set5(codec: Codec, scale: int, pictures: list[Path]) -> dict[str, float]:
    """PSNR of Y for each picture."""
    result = {}
    for path in pictures:
        high = to_rgb8(path)
        height, width = (side - side % scale for side in high.shape[:2])
        high = high[:height, :width]
        size = (width // scale, height // scale)
        low = np.asarray(Image.fromarray(high).resize(size, Image.Resampling.BICUBIC))
        result[path.stem] = psnr_y(enlarge(codec, low), high, scale)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = expand([given.folder], PICTURES)
    rows: dict[str, Any] = {}
    for weights in given.weights:
        with tempfile.TemporaryDirectory() as folder:
            bundle = export(given.codec, Path(folder) / "sr.lsr", pixel_sr=weights)
            route = next(name for name in bundle.manifest.routes if name.startswith("pixel_x"))
            scale = bundle.manifest.routes[route].scale
            with latentsr.load(bundle.path) as codec:
                values = set5(codec, scale, pictures)
            parity = bundle.manifest.graphs["pixel_sr"].parity
        mean = statistics.mean(values.values())
        rows[weights.name] = {"scale": scale, "mean": mean, "pictures": values, "parity": parity}
        print(f"{weights.name}: x{scale} {mean:.3f} dB", flush=True)
    if given.out:
        result = {"machine": describe_machine(), "weights": rows}
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
