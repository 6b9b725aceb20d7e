"""Quality metrics against closed forms and against pytorch-msssim."""

from __future__ import annotations

import math
import time
import zlib

import numpy as np
import pytest

from latentsr.bundle import DEMO
from latentsr.errors import UsageError
from latentsr.image import to_rgb8
from latentsr.report.metrics import ms_ssim, psnr, psnr_y, ssim


def _noisy(shape: tuple[int, ...], strength: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    waves = 120 + 90 * np.sin(rows / 11) * np.cos(columns / 17)
    clean = np.repeat(waves[:, :, None], shape[2], axis=2) + rng.normal(0, 4, shape)
    other = clean + rng.normal(0, strength, shape)
    first, second = (np.clip(np.round(x), 0, 255).astype(np.uint8) for x in (clean, other))
    return first, second


def test_psnr_of_a_known_error() -> None:
    a = np.full((4, 5, 3), 10, np.uint8)
    b = a + np.uint8(2)
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 4))
    assert psnr(b, a) == psnr(a, b)  # no wrap-around of uint8
    assert psnr(a / 255, b / 255, data_range=1.0) == pytest.approx(psnr(a, b))


def test_equal_pictures() -> None:
    a, _ = _noisy((176, 180, 3), 1.0)
    assert psnr(a, a) == math.inf
    assert psnr_y(a, a, border=4) == math.inf
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-6)
    assert ms_ssim(a, a) == pytest.approx(1.0, abs=1e-6)


def test_luma_weights_and_border() -> None:
    a = np.zeros((20, 20, 3), np.uint8)
    white = np.full_like(a, 255)
    assert psnr_y(a, white) == pytest.approx(20 * math.log10(255 / 219))
    framed = a.copy()
    framed[:3] = framed[-3:] = 255
    framed[:, :3] = framed[:, -3:] = 255
    assert psnr_y(a, framed, border=3) == math.inf
    assert psnr_y(a, framed, border=2) < 30


@pytest.mark.parametrize("shape", [(512, 768, 3), (161, 163, 3), (300, 177, 1)])
@pytest.mark.parametrize("strength", [2.0, 25.0])
def test_same_as_pytorch_msssim(shape: tuple[int, int, int], strength: float) -> None:
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("pytorch_msssim")
    a, b = _noisy(shape, strength)
    first, second = (torch.from_numpy(x).double().permute(2, 0, 1)[None] for x in (a, b))
    assert ssim(a, b) == pytest.approx(float(reference.ssim(first, second)), abs=1e-5)
    assert ms_ssim(a, b) == pytest.approx(float(reference.ms_ssim(first, second)), abs=1e-5)
    scaled = ms_ssim(a / np.float32(255), b / np.float32(255), data_range=1.0)
    assert scaled == pytest.approx(ms_ssim(a, b), abs=1e-6)


def test_same_as_scikit_image_and_piq() -> None:
    # scikit-image 0.26.0 (peak_signal_noise_ratio, rgb2ycbcr, structural_similarity with Gaussian
    # weights of 1.5 and no sample covariance) and piq 0.8.0 (multi_scale_ssim), on the shipped
    # picture and a copy with fewer levels, blurred along its rows; whole numbers throughout.
    a = to_rgb8(DEMO.parent / "coffee.png")
    b = a // 24 * 24 + np.uint8(11)
    b[:, 1:] = (b[:, 1:].astype(int) * 3 + b[:, :-1]) // 4
    # These sides can be halved four times, so that no two ways of rounding down differ.
    a, b = a[:384, :576], b[:384, :576]
    assert zlib.crc32(b.tobytes()) == 0x7464CEAC
    assert psnr(a, b) == pytest.approx(31.07201749956208, abs=1e-9)
    assert psnr_y(a, b) == pytest.approx(34.66601034917883, abs=1e-9)
    assert psnr_y(a, b, border=4) == pytest.approx(34.6456801496098, abs=1e-9)
    assert ssim(a, b) == pytest.approx(0.8438112828212555, abs=1e-6)
    assert ms_ssim(a, b) == pytest.approx(0.9585726025373216, abs=1e-6)


def test_gray_without_channel_axis() -> None:
    a, b = _noisy((170, 170, 1), 5.0)
    assert ms_ssim(a[..., 0], b[..., 0]) == ms_ssim(a, b)


def test_too_small_is_none_and_the_limit_is_exact() -> None:
    a, b = _noisy((161, 170, 3), 5.0)
    assert ms_ssim(a[:160], b[:160]) is None
    assert ms_ssim(a, b) is not None
    assert ssim(a[:10], b[:10]) is None
    assert ssim(a[:11, :11], b[:11, :11]) is not None


def test_opposite_pictures_give_zero_not_nan() -> None:
    a, _ = _noisy((180, 180, 3), 1.0)
    assert ms_ssim(a, 255 - a) == 0.0


def test_nearly_equal_pictures_are_not_more_than_equal() -> None:
    a = np.random.default_rng(32).integers(0, 256, (170, 170, 3)).astype(np.uint8)
    b = a.copy()
    b[20, 20, 0] ^= 1  # in single precision the mean comes out at 1 + 5e-9
    assert max(ms_ssim(a, b) or 0, ssim(a, b) or 0) <= 1.0


def test_errors_say_what_was_found() -> None:
    a = np.zeros((12, 12, 3), np.uint8)
    with pytest.raises(UsageError, match=r"\(12, 12, 3\) and \(12, 11, 3\)"):
        psnr(a, a[:, :11])
    with pytest.raises(UsageError, match="found shape"):
        psnr(a[0, 0], a[0, 0])
    with pytest.raises(UsageError, match="found 1 channels"):
        psnr_y(a[..., 0], a[..., 0])
    for border in (-1, 6):
        with pytest.raises(UsageError, match="border"):
            psnr_y(a, a, border=border)


def test_speed_of_a_kodak_sized_picture() -> None:
    a, b = _noisy((512, 768, 3), 5.0)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        ms_ssim(a, b)
        times.append(time.perf_counter() - start)
    # The aim is 0.2 s on two cores; the bound leaves room for a machine busy with other tests.
    assert min(times) < 1.0
