"""Picture quality in numpy: PSNR, PSNR of luma, SSIM and MS-SSIM.

Pictures are arrays (H, W, C) or (H, W), uint8 or float, both of one shape; values lie in
0..data_range. SSIM and MS-SSIM follow Wang et al. with an 11-tap Gaussian of sigma 1.5, no padding,
and the mean over positions and channels; MS-SSIM halves the picture by 2x2 means four times. The
numbers agree with the package pytorch-msssim, which codec papers use, to about 1e-5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentsr.errors import UsageError

_TAPS = 11
_SIGMA = 1.5
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_K1, _K2 = 0.01, 0.03
# The coarsest of the five scales must still hold one window.
_MS_SSIM_SIDE = (_TAPS - 1) * 2 ** (len(_WEIGHTS) - 1)
# Luma of BT.601 with head and foot room, for R, G, B in 0..255, as MATLAB's rgb2ycbcr.
_LUMA = np.array([65.481, 128.553, 24.966]) / 255.0
_LUMA_OFFSET = 16.0

Planes = NDArray[np.float64]


def psnr(a: np.ndarray, b: np.ndarray, data_range: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite for equal pictures.

    Raises UsageError for pictures of different or wrong shape.
    """
    first, second = _pair(a, b)
    return _decibel(first, second, data_range)


def psnr_y(a: np.ndarray, b: np.ndarray, border: int = 0) -> float:
    """PSNR in dB of BT.601 luma (16..235, not rounded), the figure of SR papers.

    a, b: RGB pictures (H, W, 3) with values 0..255. border: rows and columns left out at every
    side; papers leave out as many as the scale. Raises UsageError where nothing would be left.
    """
    first, second = _pair(a, b)
    planes, height, width = first.shape
    if planes != 3:
        raise UsageError(f"luma needs RGB pictures: found {planes} channels, expected 3")
    if border < 0 or 2 * border >= min(height, width):
        raise UsageError(
            f"border is out of range: found {border} for {width}x{height}, expected 0 or more and "
            "less than half the shorter side"
        )
    inner = (slice(border, height - border), slice(border, width - border))
    lumas = [np.tensordot(_LUMA, x[:, *inner], axes=1) + _LUMA_OFFSET for x in (first, second)]
    return _decibel(lumas[0], lumas[1], 255.0)


def ssim(a: np.ndarray, b: np.ndarray, data_range: float = 255.0) -> float | None:
    """Structural similarity, at most 1; None where a side is shorter than the window, 11.

    Raises UsageError for pictures of different or wrong shape.
    """
    first, second = _pair(a, b)
    if min(first.shape[1:]) < _TAPS:
        return None
    similarity, _ = _ssim_and_contrast(first, second, data_range)
    return min(float(similarity.mean()), 1.0)


def ms_ssim(a: np.ndarray, b: np.ndarray, data_range: float = 255.0) -> float | None:
    """Multi-scale structural similarity with the standard five weights, in 0..1.

    None where the shorter side is 160 or less: the coarsest scale would not hold a window.
    Raises UsageError for pictures of different or wrong shape.
    """
    first, second = _pair(a, b)
    if min(first.shape[1:]) <= _MS_SSIM_SIDE:
        return None
    product = np.ones(first.shape[0])
    for level, weight in enumerate(_WEIGHTS):
        similarity, contrast = _ssim_and_contrast(first, second, data_range)
        last = level == len(_WEIGHTS) - 1
        # Negative values have no real power; the reference sets them to zero as well.
        product *= np.maximum(similarity if last else contrast, 0.0) ** weight
        if not last:
            first, second = _halve(first), _halve(second)
    # The rounding of nearly equal pictures must not carry it beyond what readers of results take.
    return min(float(product.mean()), 1.0)


def _pair(a: np.ndarray, b: np.ndarray) -> tuple[Planes, Planes]:
    """Both pictures as float64 (C, H, W)."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise UsageError(f"pictures differ in shape: found {a.shape} and {b.shape}, expected one")
    if a.ndim not in (2, 3) or a.size == 0:
        raise UsageError(f"not a picture: found shape {a.shape}, expected (H, W, C) or (H, W)")
    planes = [np.atleast_3d(x).transpose(2, 0, 1).astype(np.float64, order="C") for x in (a, b)]
    return planes[0], planes[1]


def _decibel(a: Planes, b: Planes, data_range: float) -> float:
    error = float(np.mean(np.square(a - b)))
    return float("inf") if error == 0.0 else float(10.0 * np.log10(data_range**2 / error))


def _ssim_and_contrast(a: Planes, b: Planes, data_range: float) -> tuple[Planes, Planes]:
    """Means per channel of the SSIM map and of its contrast-structure factor."""
    means = [_plane_means(x, y, data_range) for x, y in zip(a, b, strict=True)]
    similarity, contrast = np.array(means, dtype=np.float64).T
    return similarity, contrast


def _plane_means(plane_a: Planes, plane_b: Planes, data_range: float) -> tuple[float, float]:
    # One plane at a time in float32 stays in the cache, which makes this several times faster.
    # Taking half the range off first keeps the squares small, so that the differences below do
    # not suffer: variances do not change, and the means get it back.
    half = np.float32(data_range / 2)
    c1, c2 = np.float32((_K1 * data_range) ** 2), np.float32((_K2 * data_range) ** 2)
    a, b = (x.astype(np.float32) - half for x in (plane_a, plane_b))
    mean_a, mean_b = _blur(a), _blur(b)
    # Only the sum of both variances is needed, so one blur serves the two squares.
    variances = _blur(a * a + b * b) - (mean_a * mean_a + mean_b * mean_b)
    covariance = _blur(a * b) - mean_a * mean_b
    contrast = (2 * covariance + c2) / (variances + c2)
    mean_a, mean_b = mean_a + half, mean_b + half
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    similarity = float(np.mean(luminance * contrast, dtype=np.float64))
    return similarity, float(np.mean(contrast, dtype=np.float64))


def _window() -> list[np.float32]:
    distance = np.arange(_TAPS) - _TAPS // 2
    window = np.exp(-(distance**2) / (2 * _SIGMA**2))
    return list((window / window.sum()).astype(np.float32))


def _blur(x: np.ndarray) -> np.ndarray:
    """(H, W) to (H - 10, W - 10): the symmetric window along rows, then along columns."""
    window = _window()
    centre, last = _TAPS // 2, _TAPS - 1
    height, width = x.shape[0] - last, x.shape[1] - last
    rows = x[centre : centre + height] * window[centre]
    for tap in range(centre):
        rows += (x[tap : tap + height] + x[last - tap : last - tap + height]) * window[tap]
    out = rows[:, centre : centre + width] * window[centre]
    for tap in range(centre):
        out += (rows[:, tap : tap + width] + rows[:, last - tap : last - tap + width]) * window[tap]
    return out


def _halve(x: Planes) -> Planes:
    """Means of 2x2; an odd side gets a row or column of zeros in front, as the reference does."""
    _, height, width = x.shape
    if height % 2 or width % 2:
        x = np.pad(x, ((0, 0), (height % 2, 0), (width % 2, 0)))
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) * 0.25
