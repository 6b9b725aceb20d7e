"""What the short trainings learn: curves of all, and each special part against the net without it.

python benchmarks/learning.py RUNS KODAK --out FILE.json

RUNS: the folder that `short_runs.py` filled. Suzuki et al.: full, without mask, and without SR
residual, all run through the runtime from bytes; a codec's cost is what it was trained for, bits
a coded pixel + lambda * 255^2 * (MSE of the blend + MSE of the ×2 picture). Beside the ×2 picture
stands the blend enlarged by bicubic interpolation, from the same bytes. Sun & Chen's resampler: the
pair against the same EDSR trained as long behind a bicubic reduction, without a codec between them,
by PyTorch. Trainings of JPEG SR and of further rates are measured by `rate_distortion.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from PIL import Image
from short_runs import RUNS

import latentsr
from latentsr.evaluate.reduction import reduce_matlab
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.report.metrics import psnr, psnr_y
from latentsr_export.networks.edsr import EDSR
from latentsr_export.networks.resampler import MULTIPLE, Resampler
from latentsr_export.presets.export import export_preset
from latentsr_export.train.loop import load_weights
from latentsr_export.train.resampler import ResampledPair

LINE = re.compile(r"step (\d+) +[\d.]+ % +([\d.]+) min +loss ([\d.]+)")
POINTS = 30  # of a curve
WEIGHT = 0.01  # lambda of the selective codec's recipe
Figures = Mapping[str, float]


def curve(log: Path) -> list[dict[str, float]]:
    """Steps, minutes of work and the loss's moving average, thinned out."""
    found = [
        {"step": int(step), "minutes": float(minutes), "loss": float(loss)}
        for step, minutes, loss in LINE.findall(log.read_text())
    ]
    stride = max(1, math.ceil(len(found) / POINTS))
    return found[::-1][::stride][::-1]


def mse(decibel: float) -> float:
    return float(255.0**2 / 10 ** (decibel / 10))


def selective(codec: Any, high: np.ndarray) -> Figures:
    """One picture through Suzuki et al.'s codec."""
    low = reduce_matlab(high, 2)
    stream = codec.encode(low)
    native, double = codec.decode(stream, "native"), codec.decode(stream, "x2")
    bpp = 8 * len(stream) / (low.shape[0] * low.shape[1])
    size = (high.shape[1], high.shape[0])
    enlarged = np.asarray(Image.fromarray(native).resize(size, Image.Resampling.BICUBIC))
    found = {
        "bpp": bpp, "psnr_native": psnr(native, low), "psnr_x2": psnr(double, high),
        "psnr_native_bicubic_x2": psnr(enlarged, high),
    }  # fmt: skip
    found["cost"] = bpp + WEIGHT * (mse(found["psnr_native"]) + mse(found["psnr_x2"]))
    return found


def pair(network: ResampledPair, high: np.ndarray) -> Figures:
    """One picture reduced and enlarged again, sides cut to what the resampler takes."""
    height, width = (side // MULTIPLE * MULTIPLE for side in high.shape[:2])
    high = np.ascontiguousarray(high[:height, :width])
    x = torch.from_numpy(high).permute(2, 0, 1)[None].float() / 255.0
    with torch.inference_mode():
        made, _ = network(x)
    picture = (made[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return {"psnr": psnr(picture, high), "psnr_y": psnr_y(picture, high)}


def load_pair(path: Path, learned: bool) -> ResampledPair:
    """A pair as the recipe saved it."""
    state = load_weights(path)
    upscaler = {k.removeprefix("upscaler."): v for k, v in state.items() if "upscaler." in k}
    resampler = {k.removeprefix("resampler."): v for k, v in state.items() if "resampler." in k}
    down = Resampler.from_state_dict(resampler) if learned else None
    return ResampledPair(down, EDSR.from_state_dict(upscaler)).eval()


def means(rows: list[Figures]) -> dict[str, float]:
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def against(rows: list[Figures], others: list[Figures], name: str, less: bool) -> dict[str, Any]:
    """Mean difference of a figure to that of another network, and in how many pictures it wins."""
    differences = [a[name] - b[name] for a, b in zip(rows, others, strict=True)]
    won = sum(d < 0 if less else d > 0 for d in differences)
    return {"figure": name, "mean_difference": statistics.fmean(differences), "better_in": won}


def suzuki(runs: Path, pictures: list[np.ndarray]) -> dict[str, Any]:
    """Full, without mask, without SR residual."""
    rows: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("suzuki", "suzuki-nomask", "suzuki-nores"):
            bundle = Path(folder) / f"{name}.lsr"
            export_preset("suzuki-selective-detail", bundle, {"codec": runs / f"{name}.pth"})
            with latentsr.load(bundle, threads=1) as codec:
                rows[name] = [selective(codec, picture) for picture in pictures]
    full = rows["suzuki"]
    compared = {
        f"{name}, {figure}": against(full, rows[name], figure, figure in ("cost", "bpp"))
        for name in ("suzuki-nomask", "suzuki-nores") for figure in ("cost", "psnr_native",
                                                                     "psnr_x2", "bpp")
    }  # fmt: skip
    return {"means": {n: means(found) for n, found in rows.items()}, "full_against": compared}


def resampler(runs: Path, pictures: list[np.ndarray]) -> dict[str, Any]:
    """The learned reduction against the bicubic one, each with an EDSR of its own."""
    rows = {
        name: [pair(load_pair(runs / f"{name}.pth", name == "car4"), p) for p in pictures]
        for name in ("car4", "car4-bicubic", "car4-bicubic-third")
    }
    compared = against(rows["car4"], rows["car4-bicubic-third"], "psnr", False)
    return {"means": {n: means(f) for n, f in rows.items()}, "learned_against_bicubic": compared}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("kodak")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    pictures = [to_rgb8(path) for path in expand([given.kodak], PICTURES)]
    result = {
        "machine": describe_machine(),
        "pictures": len(pictures),
        "suzuki": suzuki(given.runs, pictures),
        "resampler": resampler(given.runs, pictures),
        "curves": {
            name: {"command": f"latentsr_export.train.{RUNS[name]}", "points": curve(log)}
            for name in RUNS if (log := given.runs / "logs" / f"{name}.txt").exists()
        },
    }  # fmt: skip
    for name in ("suzuki", "resampler"):
        print(json.dumps({name: result[name]}, indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
