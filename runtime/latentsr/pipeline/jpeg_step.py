"""Pictures ↔ bytes for one chunk that is a JPEG file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsr import jpeg
from latentsr.errors import BundleError, CorruptStream
from latentsr.image import Picture
from latentsr.pipeline.image_steps import Geometry
from latentsr.stream import Padding

DEFAULT_SUBSAMPLING = "4:2:0"


def fault(step: Mapping[str, Any]) -> str | None:
    """What a `jpeg_encode` step should say instead, or None where it is right."""
    quality = step.get("quality")
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        return "a quality of 1..100"
    if step.get("subsampling", DEFAULT_SUBSAMPLING) not in jpeg.SUBSAMPLINGS:
        return f"a subsampling among {', '.join(jpeg.SUBSAMPLINGS)}"
    return None


def encode(picture: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> bytes:
    """The file of uint8 (H, W, 3); the stream's size is the picture's.

    The file itself needs no padding; that of a latent beside it, of the same picture, stays.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise BundleError(
            f"jpeg_encode wants a picture: found {picture.dtype} {picture.shape}, expected uint8 "
            "(H, W, 3); put a picture step before it"
        )
    if (run.height, run.width) != picture.shape[:2]:
        run.height, run.width = picture.shape[:2]
        run.padding = Padding()
    return jpeg.encode(picture, step["quality"], step.get("subsampling", DEFAULT_SUBSAMPLING))


def decode(data: bytes, run: Geometry) -> Picture:
    """uint8 (H, W, 3) of the file, which must have the size that the stream says."""
    picture = jpeg.decode(data)
    if picture.shape[:2] != (run.height, run.width):
        found, expected = picture.shape[:2], (run.height, run.width)
        raise CorruptStream(
            f"JPEG chunk and stream disagree: found a picture of {found[1]}x{found[0]}, expected "
            f"{expected[1]}x{expected[0]}; fetch or write the stream again"
        )
    return picture
