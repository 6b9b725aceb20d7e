"""Planes to pictures and back, on every instruction set, are those of the NumPy expressions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from guarded import EXTREMES, Guarded, same_bits, shifted
from latentsr import _kernels
from latentsr._kernels import Isa
from latentsr.entropy import isa

ISAS = [isa.NAMES[name] for name in isa.supported()]
STEP = np.float32(1 / 255)
WIDTHS = (*range(1, 35), 47, 48, 49, 255, 256, 257, 600)
NOT_FINITE = (0x7F800000, 0xFF800000, 0x7F800001, 0xFF800001, 0x7FC00000, 0xFFFFFFFF)


def plain_picture(planes: NDArray) -> NDArray:
    scaled = np.rint(np.clip(planes, 0.0, 1.0) * np.float32(255))
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))


def plain_planes(picture: NDArray, top: int, left: int, bottom: int, right: int) -> NDArray:
    planes = picture.transpose(2, 0, 1).astype(np.float32) * STEP
    return np.pad(planes, ((0, 0), (top, bottom), (left, right)), mode="edge")


def edges() -> NDArray:
    """Where rounding turns: the float32 values about every (n + 1/2) / 255, and ends."""
    middle = ((np.arange(-2, 258) + 0.5) / 255).astype(np.float32)
    found = [middle]
    for towards in (np.float32(-np.inf), np.float32(np.inf)):
        near = middle
        for _ in range(3):
            near = np.nextafter(near, towards)
            found.append(near)
    return np.concatenate([*found, EXTREMES[np.isfinite(EXTREMES)]])


def planes_of(rng: np.random.Generator, height: int, width: int) -> NDArray:
    """Values within 0..1, below, above, huge, and those about which rounding turns."""
    shape = (3, height, width)
    values = np.where(rng.random(shape) < 0.5, rng.random(shape), rng.normal(0.5, 2, shape))
    return np.where(rng.random(shape) < 0.4, rng.choice(edges(), shape), values).astype(np.float32)


def picture_by(each: Isa, planes: NDArray, threads: int = 1) -> tuple[NDArray, bool]:
    """The kernel's picture, of which nothing lies outside."""
    height, width = planes.shape[1:]
    out = Guarded(height * width * 3, np.uint8)
    finite = _kernels.picture_from_planes(
        planes, out.array.reshape(height, width, 3), each, threads
    )
    return out.check().reshape(height, width, 3), finite


def planes_by(
    each: Isa, picture: NDArray, size: tuple[int, int], at: tuple[int, int], threads: int = 1
) -> NDArray:
    out = Guarded(3 * size[0] * size[1], np.float32)
    _kernels.planes_from_picture(picture, out.array.reshape(3, *size), *at, each, threads)
    return out.check().reshape(3, *size)


@pytest.mark.parametrize("each", ISAS)
def test_all_widths_give_the_bits_of_numpy(each: Isa) -> None:
    rng = np.random.default_rng(1)
    for width in WIDTHS:
        planes = planes_of(rng, 4, width)
        found, finite = picture_by(each, planes)
        assert finite
        assert same_bits(found, plain_picture(planes)), width
        picture = rng.integers(0, 256, (4, width, 3)).astype(np.uint8)
        assert same_bits(planes_by(each, picture, (4, width), (0, 0)),
                         plain_planes(picture, 0, 0, 0, 0)), width  # fmt: skip


@pytest.mark.parametrize("each", ISAS)
def test_every_float_in_steps_and_every_byte(each: Isa) -> None:
    """All exponents and signs; in 0..1 more closely; all ties as float32 can hold them."""
    bits = np.arange(0, 2**32, 8191, dtype=np.uint64).astype(np.uint32)
    near = np.arange(0x3A000000, 0x3F800010, 97, dtype=np.uint32)
    values = np.concatenate([bits, near]).view(np.float32)
    values = np.concatenate([values[np.isfinite(values)], edges()])
    planes = np.resize(values, (3, 7, len(values) // 21 + 1))
    found, finite = picture_by(each, planes)
    assert finite
    assert same_bits(found, plain_picture(planes))
    assert (edges()[np.abs(edges()) < 2] * np.float32(255) % 1 == 0.5).sum() > 250  # ties
    picture = np.resize(np.arange(256).astype(np.uint8), (5, 256, 3))
    assert same_bits(planes_by(each, picture, (5, 256), (0, 0)), plain_planes(picture, 0, 0, 0, 0))


SIDES = st.integers(1, 70)
MARGINS = st.tuples(*[st.integers(0, 20)] * 4)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, MARGINS, st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(0, 3))
def test_windows_and_paddings(
    height: int, width: int, margins: tuple, seed: int, threads: int, by: int
) -> None:
    top, left, bottom, right = margins
    rng = np.random.default_rng(seed)
    whole = shifted(planes_of(rng, top + height + bottom, left + width + right).reshape(-1), by)
    whole = whole.reshape(3, top + height + bottom, left + width + right)
    window = whole[:, top : top + height, left : left + width]
    upside_down = window[::-1, ::-1]
    outside = np.full_like(whole, np.nan)  # beside the window
    outside[:, top : top + height, left : left + width] = window
    alone = outside[:, top : top + height, left : left + width]
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    padded = plain_planes(picture, *margins)
    for each in ISAS:
        for planes in (window, upside_down, alone):
            found, finite = picture_by(each, planes, threads)
            assert finite, each
            assert same_bits(found, plain_picture(planes)), each
        found = planes_by(each, picture, padded.shape[1:], (top, left), threads)
        assert same_bits(found, padded), each


@pytest.mark.parametrize("each", ISAS)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_pictures_are_cut_between_threads(each: Isa, threads: int) -> None:
    rng = np.random.default_rng(threads)
    for height, width in ((1501, 701), (7, 150_001)):
        whole = rng.normal(0.5, 0.4, (3, height + 3, width + 5)).astype(np.float32)
        window = whole[:, 2:-1, 4:-1]
        expected = plain_picture(window)
        found, finite = picture_by(each, window, threads)
        assert finite
        assert same_bits(found, expected)
        padded = plain_planes(expected, 2, 4, 1, 1)
        assert same_bits(planes_by(each, expected, padded.shape[1:], (2, 4), threads), padded)
        for y, x in ((0, 0), (height // 2, width - 1), (height - 1, width // 3)):
            keep = window[1, y, x]
            window[1, y, x] = np.inf
            assert not picture_by(each, window, threads)[1]
            window[1, y, x] = keep


@pytest.mark.parametrize("each", ISAS)
@pytest.mark.parametrize("bits", NOT_FINITE)
def test_what_is_not_finite_is_found_wherever_it_is(each: Isa, bits: int) -> None:
    for width in (1, 7, 8, 9, 16, 17, 40):
        planes = np.full((3, 2, width), 3.4e38, np.float32)
        planes[:, :, ::2] = -0.0
        assert picture_by(each, planes)[1]
        for place in range(planes.size):
            spoiled = planes.copy()
            spoiled.reshape(-1).view(np.uint32)[place] = bits
            assert not picture_by(each, spoiled)[1], (width, place)


@pytest.mark.parametrize("each", ISAS)
def test_nothing_is_a_picture_too(each: Isa) -> None:
    for height, width in ((0, 5), (5, 0), (0, 0)):
        found, finite = picture_by(each, np.zeros((3, height, width), np.float32), 2)
        assert finite and found.shape == (height, width, 3)


def test_the_kernels_refuse_what_does_not_fit() -> None:
    planes, picture = np.zeros((3, 4, 6), np.float32), np.zeros((4, 6, 3), np.uint8)
    scalar = Isa.SCALAR
    with pytest.raises(ValueError, match="out: expected the height and width"):
        _kernels.picture_from_planes(planes, picture[:3], scalar)
    with pytest.raises(ValueError, match="out: expected the height and width"):
        _kernels.picture_from_planes(planes[:, :, :5], picture, scalar)
    with pytest.raises(ValueError, match="side by side"):
        _kernels.picture_from_planes(np.zeros((3, 4, 12), np.float32)[:, :, ::2], picture, scalar)
    odd = np.frombuffer(b"\0" * 289, np.uint8)[1:].view(np.float32).reshape(3, 4, 6)
    with pytest.raises(ValueError, match="aligned"):
        _kernels.picture_from_planes(odd, picture, scalar)
    for at in ((1, 0), (0, 1), (2**63, 0), (0, 2**64 - 1)):
        with pytest.raises(ValueError, match="hold the picture at its place"):
            _kernels.planes_from_picture(picture, planes, *at, scalar)
    with pytest.raises(ValueError, match="at least one pixel"):
        _kernels.planes_from_picture(picture[:0], planes, 0, 0, scalar)
    with pytest.raises(ValueError, match="threads: expected 1 or more"):
        _kernels.picture_from_planes(planes, picture, scalar, 0)
    absent = [each for each in Isa if each not in ISAS]
    for each in absent:
        with pytest.raises(ValueError, match="isa: this processor"):
            _kernels.planes_from_picture(picture, planes, 0, 0, each)


def test_the_kernels_refuse_arrays_of_other_kinds() -> None:
    planes, picture = np.zeros((3, 4, 6), np.float32), np.zeros((4, 6, 3), np.uint8)
    scalar = Isa.SCALAR
    frozen, gaps = picture.copy(), np.zeros((4, 12, 3), np.uint8)[:, ::2]
    frozen.flags.writeable = False
    fields = np.zeros((3, 4, 6), [("a", np.float32), ("b", np.int8)])["a"]
    for wrong in (planes.astype(np.float64), planes[:2], planes[np.newaxis], picture, fields, None):
        with pytest.raises(TypeError):
            _kernels.picture_from_planes(wrong, picture, scalar)
        with pytest.raises(TypeError):
            _kernels.planes_from_picture(picture, wrong, 0, 0, scalar)
    for wrong in (frozen, gaps, picture.astype(np.int8), picture[:, :, :2], planes):
        with pytest.raises(TypeError):
            _kernels.picture_from_planes(planes, wrong, scalar)
    for wrong in (gaps, picture[..., np.newaxis], picture.view(bool), planes):
        with pytest.raises(TypeError):
            _kernels.planes_from_picture(wrong, planes, 0, 0, scalar)
    with pytest.raises(TypeError):
        _kernels.planes_from_picture(picture, planes[:, :, ::-1], 0, 0, scalar)
    _kernels.planes_from_picture(frozen, planes, 0, 0, scalar)
    planes.flags.writeable = False
    assert _kernels.picture_from_planes(planes, picture, scalar)
