"""Small training pictures, and the arguments that every recipe's test gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def training_pictures(folder: Path) -> Path:
    """Three smooth random pictures of 270 to 285 pixels a side, and one too small to crop."""
    generator = np.random.default_rng(8)
    for k in range(3):
        noise = generator.integers(0, 256, (34, 37, 3), dtype=np.uint8)
        large = Image.fromarray(noise).resize((283 + k, 270), Image.Resampling.BICUBIC)
        large.save(folder / f"{k}.png")
    Image.fromarray(noise).save(folder / "too_small.png")
    return folder


def common(pictures: Path, out: Path, steps: int) -> list[str]:
    """Arguments of a short run on the CPU."""
    text = ["--pictures", str(pictures), "--out", str(out), "--steps", str(steps)]
    return [*text, "--device", "cpu"]
