"""Device memory for the tests that need a GPU; they skip without one.

LATENTSR_REQUIRE_GPU=1 turns such skips into failures, for machines that have a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import host_memory
import pytest
from device_arrays import DeviceArrays

from latentsr import cuda
from latentsr.backends.device_memory import DeviceMemory, device_memory
from latentsr.errors import BackendError


def give_up(reason: str) -> None:
    if os.environ.get("LATENTSR_REQUIRE_GPU") == "1":
        pytest.fail(f"LATENTSR_REQUIRE_GPU=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def memory() -> DeviceMemory:
    if emulated := os.environ.get(host_memory.VARIABLE):
        host_memory.load_kernels(emulated)
        return host_memory.HostMemory()
    try:
        found = device_memory()
    except BackendError as error:
        give_up(str(error))
    reason = cuda.why_not()
    if reason is not None:
        give_up(reason)
    return found


@pytest.fixture
def arrays(memory: DeviceMemory) -> Iterator[DeviceArrays]:
    made = DeviceArrays(memory)
    yield made
    made.free()
