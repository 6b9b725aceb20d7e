"""What the tests of profiles share: backends, a picture of an odd size and its stream."""

from __future__ import annotations

import numpy as np
from PIL import Image

import latentsr
from latentsr.bundle import DEMO

PACKAGES = {"ort": "onnxruntime", "openvino": "openvino"}


def low_picture() -> np.ndarray:
    """The shipped picture, reduced to an odd size."""
    with Image.open(DEMO.parent / "coffee.png") as image:
        return np.asarray(image.resize((149, 101)))


def source_of(route: str) -> bytes | np.ndarray:
    with latentsr.load("demo", threads=1) as codec:
        return low_picture() if route == "encode" else codec.encode(low_picture())
