"""A device for the tests that need a GPU; they skip without one.

LATENTSR_REQUIRE_GPU=1 turns such skips into failures, for machines that have a GPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import host_kernels
import pytest
from device_arrays import DeviceArrays

import latentsr
from engines.host_device import AddressedDevice
from engines.require import missing
from latentsr import cuda
from latentsr.backends import device_pool
from latentsr.backends.device import Device, open_device
from latentsr.cuda import module
from latentsr.errors import BackendError

if TYPE_CHECKING:
    from device_routes import Load


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """The GPU, or under emulation a device in host memory with the kernels that run there."""
    if path := os.environ.get(host_kernels.VARIABLE):
        imitation = AddressedDevice()
        kernels = host_kernels.LateKernels(host_kernels.load_kernels(path), imitation)
        monkeypatch.setitem(sys.modules, host_kernels.MODULE, kernels)
        monkeypatch.setattr(latentsr, "_cuda_kernels", kernels, raising=False)
        monkeypatch.setattr(device_pool, "open_device", lambda index: imitation)
        for cached in (device_pool._pools_of, module.usable):
            cached.cache_clear()
        yield imitation
        for cached in (device_pool._pools_of, module.usable):
            cached.cache_clear()
        return
    try:
        found = open_device()
    except BackendError as error:
        missing(str(error))
    reason = cuda.why_not()
    if reason is not None:
        missing(reason)
    device_pool._pools_of.cache_clear()  # blocks that other tests left are not this one's
    yield found
    device_pool._pools_of.cache_clear()


@pytest.fixture
def load(device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Makes a codec on the device, with a coder."""
    from device_routes import opener

    return opener(device, monkeypatch, tmp_path)


@pytest.fixture
def arrays(device: Device) -> Iterator[DeviceArrays]:
    made = DeviceArrays(device)
    yield made
    made.free()
