"""The built-in image operations of routes: pad, crop, clamp, to uint8, resize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from latentsr.errors import BundleError
from latentsr.stream import Padding

FILTERS = ("bilinear", "bicubic", "lanczos")


class Geometry(Protocol):
    """The part of a run that image steps need."""

    width: int
    height: int
    padding: Padding


def pad(image: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """uint8 (H, W, 3) → float32 (1, 3, H', W') in 0..1, borders repeated outwards."""
    del step
    planes = image.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255)
    left, top, right, bottom = run.padding
    if any(run.padding):
        planes = np.pad(planes, ((0, 0), (top, bottom), (left, right)), mode="edge")
    return np.ascontiguousarray(planes)[np.newaxis]


def crop(x: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """Remove `scale` times the padding from (1, C, H', W')."""
    scale = step.get("scale", 1)
    top, left = run.padding.top * scale, run.padding.left * scale
    height, width = run.height * scale, run.width * scale
    if x.ndim != 4 or x.shape[2] < top + height or x.shape[3] < left + width:
        raise BundleError(
            f"route makes a picture of the wrong size: found {x.shape}, expected at least "
            f"{top + height}x{left + width}; check the route's scale"
        )
    return np.ascontiguousarray(x[:, :, top : top + height, left : left + width])


def clamp(x: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """Limit samples to 0..1."""
    del run, step
    return np.clip(x, 0.0, 1.0)


def picture(x: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """float32 (1, 3, H, W) in 0..1 → uint8 (H, W, 3), clipped and rounded to nearest even."""
    del run, step
    if x.ndim != 4 or x.shape[:2] != (1, 3):
        raise BundleError(f"route makes no RGB picture: found shape {x.shape}, expected 1x3xHxW")
    # A NaN would turn into an arbitrary byte in silence: the black-picture case must be loud.
    if not np.isfinite(x).all():
        raise BundleError(
            "engine made samples that are not finite: found NaN or infinity, expected 0..1; "
            "export the bundle with a higher precision"
        )
    scaled = np.rint(np.clip(x[0], 0.0, 1.0) * np.float32(255))
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))


def resize(image: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """Enlarge uint8 (H, W, 3) by `scale` with one of Pillow's filters."""
    from PIL import Image

    del run
    if image.dtype != np.uint8 or image.ndim != 3:
        raise BundleError("resize wants a uint8 picture; put a picture step before it")
    height, width = (side * step.get("scale", 1) for side in image.shape[:2])
    method = Image.Resampling[step["filter"].upper()]
    return np.asarray(Image.fromarray(image).resize((width, height), method))
