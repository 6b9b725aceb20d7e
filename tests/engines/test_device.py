"""Devices: in host memory, by cuda-python over an imitated driver, by pycuda's interface, real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines import pycuda_stand_in
from engines.device_checks import CHECKS
from engines.host_device import HostDevice
from engines.require import gpu_or_skip
from latentsr.backends.device import Device, open_device
from latentsr.errors import BackendError

HERE = Path(__file__).parent


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_in_host_memory(check: Callable[[Device], None]) -> None:
    check(HostDevice())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_by_pycudas_interface(
    check: Callable[[Device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    package, driver = pycuda_stand_in.make()
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    from latentsr.backends.device_pycuda import PycudaDevice

    check(PycudaDevice(0))


def test_by_cuda_python_over_an_imitated_driver(tmp_path: Path) -> None:
    """NVIDIA's own bindings load our libcuda.so.1, so every call passes through them."""
    pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to build the imitated driver")
    command = ["gcc", "-shared", "-fPIC", "-Wall", "-o", tmp_path / "libcuda.so.1",
               HERE / "libcuda.c", "-Wl,-soname,libcuda.so.1", "-ldl"]  # fmt: skip
    subprocess.run(command, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path),
                   "PYTHONPATH": str(HERE.parent)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, HERE / "device_checks.py", "cuda-python"],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("on Imitation GPU by cuda-python") == len(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_a_gpu(check: Callable[[Device], None]) -> None:
    gpu_or_skip()
    check(open_device())


def test_without_library_or_driver_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BackendError, match="cuda-python is not installed; pycuda is not installed"):
        open_device()
