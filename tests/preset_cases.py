"""What the tests of presets share: an HR picture of any size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from latentsr.bundle import DEMO


def high(height: int = 133, width: int = 201) -> np.ndarray:
    with Image.open(DEMO.parent / "coffee.png") as image:
        resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(resized)
