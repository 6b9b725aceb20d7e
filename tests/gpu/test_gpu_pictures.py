"""Device arrays become pictures and pictures planes there, with the bits of the processor's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from latentsr.backends.device import Device
from latentsr.backends.device_picture import planes_of
from latentsr.backends.device_pool import DeviceArray, Pools, working
from latentsr.errors import BundleError
from latentsr.pipeline import image_steps
from latentsr.stream import Padding


def resident(device: Device, value: np.ndarray) -> DeviceArray:
    pools, stream = Pools(device), device.stream()
    array = pools.array(value.shape, value.dtype)
    with working(stream, array.block):
        stream.upload(array.block.memory, value)
    return array


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_pictures_have_the_processors_bits(device: Device, dtype: Any) -> None:
    value = np.random.default_rng(7).normal(0.5, 0.4, (1, 3, 37, 53)).astype(dtype)
    run: Any = SimpleNamespace(threads=1)
    expected, array = image_steps.picture(value, run, {}), resident(device, value)
    made = array.picture()
    assert made is not None
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(array.window(2, 3, 20, 31).picture(), expected[2:22, 3:34])
    np.testing.assert_array_equal(image_steps.picture(array, run, {}), expected)


@pytest.mark.parametrize("padding", [Padding(), Padding(left=3, top=2, right=60, bottom=1)])
def test_planes_have_the_processors_bits(device: Device, padding: Padding) -> None:
    """Made by another thread: its work is waited for."""
    picture = np.random.default_rng(11).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    run: Any = SimpleNamespace(threads=1, padding=padding, multiple=0)
    expected = image_steps.pad(picture, run, {})
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(planes_of, Pools(device), picture, padding).result()
    assert made.shape == expected.shape and made.dtype == np.float32
    assert np.asarray(made).tobytes() == expected.tobytes()


def test_samples_that_are_not_finite_are_refused(device: Device) -> None:
    value = np.zeros((1, 3, 8, 9), np.float32)
    value[0, 2, 7, 8] = np.nan
    with pytest.raises(BundleError, match="not finite"):
        resident(device, value).picture()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_samples_are_limited_there(device: Device, dtype: Any) -> None:
    value = np.random.default_rng(9).normal(0.5, 1, (1, 3, 9, 11)).astype(dtype)
    made = image_steps.clamp(resident(device, value), None, {})  # type: ignore[arg-type]
    assert isinstance(made, DeviceArray) and made.dtype == dtype
    np.testing.assert_array_equal(np.asarray(made), np.clip(value, 0.0, 1.0))
