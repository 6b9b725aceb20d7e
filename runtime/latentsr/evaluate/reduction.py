"""HR → LR by a bicubic kernel with antialiasing: as MATLAB's imresize, or as Pillow.

Both take Keys' kernel with a = -0.5, widened by the scale. MATLAB mirrors the picture at its
borders, goes along the columns first and rounds to 8 bits half up between the passes; Pillow
leaves out what lies outside and scales the other weights up, and goes along the rows first. SR
papers reduce as MATLAB does; the two differ in a few samples by one step, and by more near the
borders.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from latentsr.errors import ImageError
from latentsr.image import Picture

REACH = 2  # of the kernel, in samples of the reduced picture


def kernel(scale: int) -> NDArray[np.int64]:
    """Keys' kernel with a = -0.5 ("Cubic Convolution Interpolation", IEEE TASSP 1981), widened.

    Weights of the inputs around any output, from REACH * scale before the first of its own
    `scale` inputs to as many behind the last. Whole numbers with the sum 16 * scale ** 4, so that
    sums are exact and rounding depends on nothing but the picture.
    """
    own = np.arange(-REACH * scale, (REACH + 1) * scale, dtype=np.int64)
    # Twice the distance from the output's place, in inputs; the kernel's x is n / (2 * scale).
    n = np.abs(2 * own - (scale - 1))
    near = 3 * n**3 - 10 * scale * n**2 + 16 * scale**3
    far = -(n**3) + 10 * scale * n**2 - 32 * scale**2 * n + 32 * scale**3
    return np.where(n <= 2 * scale, near, np.where(n <= 2 * REACH * scale, far, 0))


def reduce_matlab(picture: Picture, scale: int) -> Picture:
    """uint8 (H, W, C) → uint8 (H / scale, W / scale, C), as MATLAB's imresize(picture, 1 / scale).

    Both sides must be multiples of `scale`, which is at most 64. Between the passes samples are
    rounded to uint8, as MATLAB does with uint8 pictures. Raises ImageError.
    """
    _check(picture, scale)
    return _along_first(_along_first(picture, scale).swapaxes(0, 1), scale).swapaxes(0, 1).copy()


def reduce_pillow(picture: Picture, scale: int) -> Picture:
    """uint8 (H, W, 3) → uint8 (H / scale, W / scale, 3), by Pillow's bicubic.

    Raises ImageError where a side is no multiple of `scale`.
    """
    from PIL import Image

    _check(picture, scale)
    size = picture.shape[1] // scale, picture.shape[0] // scale
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


# Not a filter: the bundle's own route from the HR picture, a learned resampler, say.
OWN_REDUCTION, OWN_ROUTE = "bundle", "encode_hr"
REDUCTIONS: dict[str, Callable[[Picture, int], Picture]] = {
    "matlab": reduce_matlab,
    "pillow": reduce_pillow,
}


def _along_first(samples: Picture, scale: int) -> Picture:
    """Reduce the first axis. Every output has the same weights, so a tap is a strided slice."""
    count, beyond = samples.shape[0] // scale, REACH * scale
    # 64 bits before anything is multiplied: a scalar's own type does not count in older NumPy.
    wide = np.pad(samples.astype(np.int64), ((beyond, beyond), (0, 0), (0, 0)), mode="symmetric")
    weights = kernel(scale)
    total = np.zeros((count, *samples.shape[1:]), np.int64)
    for tap, weight in enumerate(weights):
        if weight:
            total += weight * wide[tap : tap + count * scale : scale]
    one = int(weights.sum())
    return np.clip((2 * total + one) // (2 * one), 0, 255).astype(np.uint8)


def _check(picture: Picture, scale: int) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or not picture.size:
        raise ImageError(
            f"picture cannot be reduced: found {picture.dtype} {picture.shape}, expected uint8 "
            "(H, W, C)"
        )
    if not 1 <= scale <= 64 or picture.shape[0] % scale or picture.shape[1] % scale:
        raise ImageError(
            f"picture cannot be reduced by {scale}: found {picture.shape[1]}x{picture.shape[0]}, "
            "expected sides that are multiples of it; crop the picture"
        )
