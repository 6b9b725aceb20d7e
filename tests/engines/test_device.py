"""Devices: in host memory, over an imitated driver, by pycuda's interface, and real ones."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from engines import pycuda_stand_in
from engines.device_checks import CHECKS
from engines.host_device import HostDevice
from engines.require import gpu_or_skip
from latentsr.backends import device_ctypes, device_pycuda
from latentsr.backends.device import LIBRARIES, Device, open_device
from latentsr.backends.device_pycuda import NON_BLOCKING
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


def test_pycudas_threads_end_without_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    package, driver = pycuda_stand_in.make()
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    device = device_pycuda.PycudaDevice(0)
    made = []
    thread = threading.Thread(target=lambda: made.append((device.stream(), device.alloc(8))))
    thread.start()
    thread.join()
    assert driver.stacks == {thread.ident: []}
    made[0][1].free()  # on another thread, whose first call this is
    own = driver.stacks[threading.get_ident()]
    assert len(own) == 1 == len(at_exit)
    at_exit[0]()
    assert not own


@pytest.mark.parametrize("library", ["cuda-python", "ctypes"])
def test_over_an_imitated_driver(library: str, tmp_path: Path) -> None:
    """NVIDIA's own bindings, and ours, load an imitated libcuda.so.1 for all their calls."""
    if library == "cuda-python":
        pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to build the imitated driver")
    command = ["gcc", "-shared", "-fPIC", "-Wall", "-o", tmp_path / "libcuda.so.1",
               HERE / "libcuda.c", "-Wl,-soname,libcuda.so.1", "-ldl"]  # fmt: skip
    subprocess.run(command, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path),
                   "PYTHONPATH": str(HERE.parent)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, HERE / "device_checks.py", library],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"on Imitation GPU by {library} ") == len(CHECKS)
    assert "page-locked arrays left: 0\n" in done.stdout


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_a_gpu(check: Callable[[Device], None], library: str) -> None:
    gpu_or_skip()
    module, name = LIBRARIES[library].split(":")
    try:
        device = getattr(import_module(module), name)(0)
    except ImportError:
        pytest.skip(f"{library} is not installed")
    check(device)


def test_numbers_of_the_ctypes_driver_are_nvidias() -> None:
    driver = pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed")
    attribute = driver.CUdevice_attribute
    assert attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR == 75
    assert attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR == 76
    assert driver.CUstream_flags.CU_STREAM_NON_BLOCKING == NON_BLOCKING == 1
    assert driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL == 1
    assert driver.CUmemorytype.CU_MEMORYTYPE_DEVICE == 2
    theirs = {name for name in dir(driver.CUDA_MEMCPY2D) if name[0] != "_" and name != "getPtr"}
    assert {name for name, _ in device_ctypes.Copy2D._fields_} == theirs
    assert all(hasattr(driver, name) for name, _, _ in device_ctypes.FUNCTIONS)


def test_without_library_or_driver_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pycuda", "cuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(device_ctypes, "NAMES", ("libcuda-of-nobody.so.1",))
    said = "cuda-python is not installed; pycuda is not installed; ctypes says CUDA has no driver"
    with pytest.raises(BackendError, match=said):
        open_device()
