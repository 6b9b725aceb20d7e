"""The reduction to LR against MATLAB's algorithm written out plainly, and against Pillow."""

from __future__ import annotations

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from latentsr.bundle import DEMO
from latentsr.errors import ImageError
from latentsr.evaluate.reduction import REDUCTIONS, kernel, reduce_matlab, reduce_pillow
from latentsr.image import to_rgb8


def cubic(x: Fraction) -> Fraction:
    """Keys' kernel, a = -0.5, as imresize.m has it."""
    x = abs(x)
    if x <= 1:
        return (3 * x**3 - 5 * x**2) / 2 + 1
    return (-(x**3) + 5 * x**2) / 2 - 4 * x + 2 if x <= 2 else Fraction(0)


def imresize_columns(samples: np.ndarray, scale: Fraction) -> np.ndarray:
    """imresize.m along the first axis, output by output: indices count from 1, the kernel is
    widened by 1 / scale, and the picture is mirrored as often as it takes. Exact for whole numbers.
    """
    length = samples.shape[0]
    width = 4 / scale
    mirror = [*range(length), *reversed(range(length))]
    exact = samples.dtype.kind == "O"
    rows = []
    for out in range(1, math.ceil(scale * length) + 1):
        centre = out / scale + (1 - 1 / scale) / 2
        left = math.floor(centre - width / 2)
        indices = [left + k for k in range(math.ceil(width) + 2)]
        weights = [scale * cubic(scale * (centre - index)) for index in indices]
        row = np.zeros(samples.shape[1:], samples.dtype)
        for index, weight in zip(indices, weights, strict=True):
            share = weight / sum(weights)
            row = row + samples[mirror[(index - 1) % len(mirror)]] * (
                share if exact else float(share)
            )
        rows.append(row)
    return np.array(rows)


def to_uint8(samples: np.ndarray) -> np.ndarray:
    """MATLAB's conversion: limited, and rounded half up."""
    limited = [min(max(math.floor(x + Fraction(1, 2)), 0), 255) for x in samples.ravel()]
    return np.array(limited, object).reshape(samples.shape)


def imresize(picture: np.ndarray, scale: Fraction) -> np.ndarray:
    """Columns first, and uint8 in between, as imresize.m does with uint8 pictures."""
    tall = to_uint8(imresize_columns(picture.astype(object), scale))
    return to_uint8(imresize_columns(tall.swapaxes(0, 1), scale)).swapaxes(0, 1).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 2), (9, 14)])
def test_same_as_imresize(scale: int, size: tuple[int, int]) -> None:
    # Tiny pictures are mirrored several times; extreme samples make the kernel overshoot.
    shape = (size[0] * scale, size[1] * scale, 3)
    noise = np.random.default_rng(scale).integers(0, 256, shape)
    for picture in (noise.astype(np.uint8), (255 * (noise > 127)).astype(np.uint8)):
        reduced = reduce_matlab(picture, scale)
        assert reduced.dtype == np.uint8 and reduced.flags.c_contiguous
        assert np.array_equal(reduced, imresize(picture, Fraction(1, scale)))


@pytest.mark.parametrize("scale", [1, 2, 3, 7, 64])
def test_the_kernel_is_whole(scale: int) -> None:
    weights = kernel(scale)
    assert weights.sum() == 16 * scale**4 and np.array_equal(weights, weights[::-1])
    for tap, weight in enumerate(weights):
        x = Fraction(tap - 2 * scale, scale) - Fraction(scale - 1, 2 * scale)
        assert weight == cubic(x) * 16 * scale**3


@pytest.mark.parametrize(("scale", "crc"), [(2, 0xD7F83739), (3, 0xEA6BB8D4), (4, 0x4996F05A)])
def test_same_as_a_port_that_was_checked_in_matlab(scale: int, crc: int) -> None:
    # From the package matlab_imresize (fatheral, 2018), whose results its author compared with
    # MATLAB R2015b's; with its rounding at exact halves made half up, as MATLAB's is.
    picture = to_rgb8(DEMO.parent / "coffee.png")
    picture = picture[: 400 // scale * scale, : 600 // scale * scale]
    assert zlib.crc32(reduce_matlab(picture, scale).tobytes()) == crc


def test_flat_pictures_stay_flat() -> None:
    for level in (0, 1, 127, 255):
        flat = np.full((24, 36, 3), level, np.uint8)
        for reduce in REDUCTIONS.values():
            assert (reduce(flat, 4) == level).all()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pillow_is_the_same_but_for_border_and_rounding(scale: int) -> None:
    picture = to_rgb8(DEMO.parent / "coffee.png")[: 48 * scale, : 60 * scale, 0].astype(np.float64)
    part = Fraction(1, scale)
    matlab = imresize_columns(imresize_columns(picture, part).T, part).T
    plane = Image.fromarray(picture.astype(np.float32))
    pillow = np.asarray(plane.resize((60, 48), Image.Resampling.BICUBIC))
    assert np.abs(matlab - pillow)[2:-2, 2:-2].max() < 1e-3
    assert np.abs(matlab - pillow).max() > 0.5


def test_both_on_a_photograph() -> None:
    picture = to_rgb8(DEMO.parent / "coffee.png")
    matlab, pillow = reduce_matlab(picture, 4), reduce_pillow(picture, 4)
    assert matlab.shape == pillow.shape == (100, 150, 3)
    difference = np.abs(matlab.astype(int) - pillow)
    inner = difference[2:-2, 2:-2]
    # Two roundings in another order: mostly nothing, rarely more than one step.
    assert np.mean(inner == 0) > 0.8 and np.mean(inner > 1) < 1e-3 and inner.max() <= 3
    assert difference.max() > inner.max()


def test_errors_say_what_was_found() -> None:
    for reduce in REDUCTIONS.values():
        with pytest.raises(ImageError, match="found 9x8, expected sides that are multiples"):
            reduce(np.zeros((8, 9, 3), np.uint8), 4)
        with pytest.raises(ImageError, match="found float32"):
            reduce(np.zeros((8, 8, 3), np.float32), 4)  # type: ignore[arg-type]
