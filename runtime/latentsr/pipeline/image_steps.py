"""The built-in image operations of routes: pad, crop, clamp, to uint8, resize, reduce.

`pad` and `picture` are kernels; every instruction set gives the bits of the NumPy expression that
the docstring names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from latentsr import _kernels
from latentsr.backends.values import Resident
from latentsr.entropy import isa
from latentsr.errors import BundleError
from latentsr.stream import Padding, check_size, pad_to

FILTERS = ("bilinear", "bicubic", "lanczos")
PlanesMaker = Callable[[np.ndarray, Padding], Resident | None]
"""What makes the planes of a picture on a device; None where it cannot."""


class Geometry(Protocol):
    """The part of a run that image steps need.

    multiple: what an encode route pads the sides to, on all sides where `centred`; 0 in decode
    routes, whose padding is the stream's.
    """

    width: int
    height: int
    padding: Padding
    threads: int
    multiple: int
    centred: bool


def pad(
    image: np.ndarray, run: Geometry, step: Mapping[str, Any], make: PlanesMaker | None = None
) -> Any:
    """uint8 (H, W, 3) → float32 (1, 3, H', W') in 0..1, borders repeated outwards.

    Samples are `image.astype(float32) * float32(1 / 255)`. In an encode route this is the picture
    that the stream will hold: its size and padding become the run's. ``multiple`` in the step takes
    the place of the run's, for pictures that another graph has yet to reduce. make: makes the
    planes on a device, where they stay, from the picture's bytes.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise BundleError(
            f"pad wants a picture: found {image.dtype} {image.shape}, expected uint8 (H, W, 3); "
            "put a picture step before it"
        )
    if run.multiple:
        frame(image.shape[:2], run, step)
    made = make(image, run.padding) if make is not None else None
    if made is not None:
        return made
    left, top, right, bottom = run.padding
    height, width = top + image.shape[0] + bottom, left + image.shape[1] + right
    planes = np.empty((1, 3, height, width), np.float32)
    picture = np.ascontiguousarray(image)
    _kernels.planes_from_picture(picture, planes[0], top, left, isa.choose(), run.threads)
    return planes


def frame(size: tuple[int, ...], run: Geometry, step: Mapping[str, Any]) -> None:
    """Take the height and width that a `pad` of an encode route gets, and its padding, for the run.

    Raises ImageError for sides that no stream has.
    """
    run.height, run.width = size
    check_size(run.width, run.height)
    run.padding = pad_to((run.width, run.height), step.get("multiple", run.multiple), run.centred)


def crop(x: Any, run: Geometry, step: Mapping[str, Any]) -> Any:
    """Remove `scale` times the padding from (1, C, H', W'); a view, which holds all of `x`.

    What lies on a device is cut there.
    """
    scale = step.get("scale", 1)
    top, left = run.padding.top * scale, run.padding.left * scale
    height, width = run.height * scale, run.width * scale
    if x.ndim != 4 or x.shape[2] < top + height or x.shape[3] < left + width:
        raise BundleError(
            f"route makes a picture of the wrong size: found {x.shape}, expected at least "
            f"{top + height}x{left + width}; check the route's scale"
        )
    if isinstance(x, Resident):
        return x.window(top, left, height, width)
    return x[:, :, top : top + height, left : left + width]


def clamp(x: Any, run: Geometry, step: Mapping[str, Any]) -> Any:
    """Limit samples to 0..1; of a crop, too, this makes an array of its own without gaps.

    What lies on a device is limited there, where the kernels for it are.
    """
    del run, step
    if isinstance(x, Resident):
        made = x.limited()
        if made is not None:
            return made
        x = x.to_host()
    return np.clip(x, 0.0, 1.0)


def picture(x: Any, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """float32 (1, 3, H, W) in 0..1 → uint8 (H, W, 3), clipped and rounded to nearest even.

    Samples are `rint(clip(x, 0, 1) * float32(255))`. Crops are taken as they are, without a copy.
    What lies on a device is made there, where the kernels for it are.
    """
    del step
    if isinstance(x, Resident):
        made = x.picture()
        if made is not None:
            return made
        x = x.to_host()
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
    del run
    check_resizable(image, "resize")
    height, width = (side * step.get("scale", 1) for side in image.shape[:2])
    return _resampled(image, width, height, step)


def reduce(image: np.ndarray, run: Geometry, step: Mapping[str, Any]) -> np.ndarray:
    """uint8 (H, W, 3) → (⌈H / scale⌉, ⌈W / scale⌉, 3) with one of Pillow's filters.

    Pillow widens its kernel by the scale, against aliasing, as MATLAB's imresize does. Sides that
    `scale` does not divide are first filled up to the right and below with the border repeated.
    """
    del run
    check_resizable(image, "reduce")
    scale = step.get("scale", 1)
    below, beside = (-side % scale for side in image.shape[:2])
    if below or beside:
        image = np.pad(image, ((0, below), (0, beside), (0, 0)), mode="edge")
    return _resampled(image, image.shape[1] // scale, image.shape[0] // scale, step)


def check_resizable(image: np.ndarray, op: str) -> None:
    """Raise BundleError for what `resize` and `reduce` do not take: all but uint8 (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise BundleError(
            f"{op} wants a picture: found {image.dtype} {image.shape}, expected uint8 (H, W, 3); "
            "put a picture step before it"
        )


def _resampled(image: np.ndarray, width: int, height: int, step: Mapping[str, Any]) -> np.ndarray:
    from PIL import Image

    method = Image.Resampling[step["filter"].upper()]
    # A copy: what Pillow lends cannot be written to, and this may be what a caller gets.
    return np.array(Image.fromarray(image).resize((width, height), method))
