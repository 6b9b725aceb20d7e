"""TensorRT without TensorRT: the stand-in in place of the library, a device in host memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.host_device import HostDevice
from engines.tensorrt_stand_in import make
from engines.tensorrt_versions import RTX, VERSIONS
from latentsr.backends import BACKENDS, device_pool, tensorrt_api, tensorrt_plans
from latentsr.bundle import Bundle
from latentsr.cuda import module as kernels
from latentsr.plans.builders import BUILDERS


@pytest.fixture
def device() -> HostDevice:
    return HostDevice()


@pytest.fixture(params=VERSIONS)
def trt(
    request: pytest.FixtureRequest,
    device: HostDevice,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Any]:
    """The stand-in for one version; the cache lies in the test's own folder.

    TensorRT for RTX is served under the name `tensorrt` as well, so that the tests run on it.
    """
    module = make(request.param, device)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    if request.param == RTX:
        monkeypatch.setitem(BACKENDS, "tensorrt", BACKENDS["tensorrt-rtx"])
        monkeypatch.setitem(BUILDERS, "tensorrt", BUILDERS["tensorrt-rtx"])
    monkeypatch.setattr(device_pool, "open_device", lambda index: device)
    # Real kernels, on a machine that has them, could do nothing with this device's addresses.
    monkeypatch.setattr(kernels, "usable", lambda: False)
    monkeypatch.setenv("LATENTSR_CACHE", str(tmp_path / "cache"))
    caches = (tensorrt_api.library, tensorrt_api.logger, tensorrt_plans._runtime,
              device_pool._pools_of)  # fmt: skip
    for cached in caches:
        cached.cache_clear()
    yield module
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def graph() -> bytes:
    """The demo's synthesis graph."""
    return Bundle("demo").graph("synthesis")
