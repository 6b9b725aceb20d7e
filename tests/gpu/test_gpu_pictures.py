"""Device arrays become pictures by the CUDA kernels, with the bits of the processor's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import host_memory
import numpy as np
import pytest

from latentsr.backends import device_ctypes
from latentsr.backends.device import Device, open_device
from latentsr.backends.device_memory import DeviceMemory
from latentsr.backends.device_pool import DeviceArray, Pools
from latentsr.errors import BundleError
from latentsr.pipeline import image_steps


@pytest.fixture
def device(
    memory: DeviceMemory, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Device:
    """The GPU; under emulation a driver in host memory, where the kernels then find their data."""
    if not os.environ.get(host_memory.VARIABLE):
        return open_device()
    library = tmp_path / "libcuda.so.1"
    source = repository / "tests" / "engines" / "libcuda.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    monkeypatch.setattr(device_ctypes, "NAMES", (str(library),))
    return device_ctypes.CtypesDevice(0)


def resident(device: Device, value: np.ndarray) -> DeviceArray:
    pools, stream = Pools(device), device.stream()
    lease = pools.blocks.take(value.nbytes)
    lease.held.use(stream)
    stream.upload(lease.held.memory, value)
    lease.held.mark(stream)
    stream.synchronize()
    return DeviceArray(pools, lease.held, value.shape, value.dtype, lease)


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


def test_samples_that_are_not_finite_are_refused(device: Device) -> None:
    value = np.zeros((1, 3, 8, 9), np.float32)
    value[0, 2, 7, 8] = np.nan
    with pytest.raises(BundleError, match="not finite"):
        resident(device, value).picture()
