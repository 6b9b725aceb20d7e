"""The built-in image operations of routes: pad, crop, clamp, to uint8, resize.

`pad` and `picture` are kernels; every instruction set gives the bits of the NumPy expression that
the docstring names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from latentsr import _kernels
from latentsr.entropy import isa
from latentsr.errors import BundleError
from latentsr.stream import Padding

FILTERS = ("bilinear", "bicubic", "lanczos")


class Geometry(Protocol):
    """The part of a run that image steps need."""

    width: int
    height: int
    padding: Padding
    threads: int


def pad(image: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """uint8 (H, W, 3) → float32 (1, 3, H', W') in 0..1, borders repeated outwards.

    Samples are `image.astype(float32) * float32(1 / 255)`.
    """
    del step
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise BundleError(
            f"pad wants a picture: found {image.dtype} {image.shape}, expected uint8 (H, W, 3); "
            "put a picture step before it"
        )
    left, top, right, bottom = run.padding
    height, width = top + image.shape[0] + bottom, left + image.shape[1] + right
    planes = np.empty((1, 3, height, width), np.float32)
    picture = np.ascontiguousarray(image)
    _kernels.planes_from_picture(picture, planes[0], top, left, isa.choose(), run.threads)
    return planes


def crop(x: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """Remove `scale` times the padding from (1, C, H', W'); a view, which holds all of `x`."""
    scale = step.get("scale", 1)
    top, left = run.padding.top * scale, run.padding.left * scale
    height, width = run.height * scale, run.width * scale
    if x.ndim != 4 or x.shape[2] < top + height or x.shape[3] < left + width:
        raise BundleError(
            f"route makes a picture of the wrong size: found {x.shape}, expected at least "
            f"{top + height}x{left + width}; check the route's scale"
        )
    return x[:, :, top : top + height, left : left + width]


def clamp(x: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """Limit samples to 0..1; of a crop, too, this makes an array of its own without gaps."""
    del run, step
    return np.clip(x, 0.0, 1.0)


def picture(x: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """float32 (1, 3, H, W) in 0..1 → uint8 (H, W, 3), clipped and rounded to nearest even.

    Samples are `rint(clip(x, 0, 1) * float32(255))`. Crops are taken as they are, without a copy.
    """
    del step
    if x.ndim != 4 or x.shape[:2] != (1, 3):
        raise BundleError(f"route makes no RGB picture: found shape {x.shape}, expected 1x3xHxW")
    if x.dtype.kind != "f":
        raise BundleError(f"route makes no RGB picture: found {x.dtype}, expected float32")
    planes = x[0]
    if x.dtype != np.float32 or x.strides[3] != x.itemsize or not x.flags.aligned:
        planes = np.array(planes, np.float32, order="C")
    samples = np.empty((*planes.shape[1:], 3), np.uint8)
    # A NaN would turn into an arbitrary byte in silence: the black-picture case must be loud.
    if not _kernels.picture_from_planes(planes, samples, isa.choose(), run.threads):
        raise BundleError(
            "engine made samples that are not finite: found NaN or infinity, expected 0..1; "
            "export the bundle with a higher precision"
        )
    return samples


def resize(image: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """Enlarge uint8 (H, W, 3) by `scale` with one of Pillow's filters."""
    from PIL import Image

    del run
    if image.dtype != np.uint8 or image.ndim != 3:
        raise BundleError("resize wants a uint8 picture; put a picture step before it")
    height, width = (side * step.get("scale", 1) for side in image.shape[:2])
    method = Image.Resampling[step["filter"].upper()]
    return np.asarray(Image.fromarray(image).resize((width, height), method))
