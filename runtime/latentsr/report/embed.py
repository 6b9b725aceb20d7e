"""Pictures as data URIs, pixel for pixel."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

LARGEST_SIDE = 1600


@dataclass(frozen=True)
class Embedded:
    """A picture for the page: data URI, its size, and that of the picture it was cut from."""

    uri: str
    width: int
    height: int
    full_width: int
    full_height: int

    @property
    def cropped(self) -> bool:
        """Whether this is the centre of a larger picture."""
        return (self.width, self.height) != (self.full_width, self.full_height)


def embed(picture: np.ndarray) -> Embedded:
    """uint8 (H, W, 3), its centre where a side is over 1600, as PNG or WebP, whichever is smaller.

    Both are lossless.
    """
    from PIL import Image, features

    height, width = picture.shape[:2]
    part = np.ascontiguousarray(_centre(picture))
    image = Image.fromarray(part)
    forms = {"png": _saved(image, "PNG", optimize=True)}
    if features.check("webp"):
        forms["webp"] = _saved(image, "WEBP", lossless=True, quality=80, method=4)
    kind = min(forms, key=lambda name: len(forms[name]))
    uri = f"data:image/{kind};base64,{base64.b64encode(forms[kind]).decode('ascii')}"
    return Embedded(uri, part.shape[1], part.shape[0], width, height)


def _centre(picture: np.ndarray) -> np.ndarray:
    top, left = (max(side - LARGEST_SIDE, 0) // 2 for side in picture.shape[:2])
    return picture[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]


def _saved(image: object, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)  # type: ignore[attr-defined]
    return out.getvalue()
