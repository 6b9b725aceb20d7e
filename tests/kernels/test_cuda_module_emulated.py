"""The tests for GPUs, run with the CUDA module whose kernels run on the processor.

They show that plans, pointers, bindings, errors and the tests themselves are right, so that on a
machine with a GPU nothing but the device is new.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from native_drivers import configure, need, run


def test_gpu_tests_pass_under_emulation(repository: Path, tmp_path: Path) -> None:
    need("nvcc")  # for the headers of its toolkit
    if importlib.util.find_spec("nanobind") is None:
        pytest.skip("nanobind is not installed")
    configure(
        tmp_path,
        "LATENTSR_PYTHON=ON",
        "LATENTSR_DRIVERS=OFF",
        "LATENTSR_CUDA_EMULATION=ON",
        f"Python_EXECUTABLE={sys.executable}",
    )
    target = ["--target", "_cuda_kernels"]
    run([need("cmake"), "--build", str(tmp_path), "--parallel", "2", *target])
    [module] = tmp_path.glob("_cuda_kernels*")
    environment = {**os.environ, "LATENTSR_CUDA_EMULATED": str(module)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = repository / "tests" / "gpu"
    # Graphs are the device's own.
    given = [str(tests), f"--ignore={tests / 'test_gpu_graph.py'}"]
    # What writes the bundles of these tests.
    for package, name in (("compressai", "families"), ("torch", "half")):
        if importlib.util.find_spec(package) is None:
            given += [f"--ignore={tests / f'test_gpu_routes_{name}.py'}"]
    said = run([*command, *given], environment)
    assert " passed" in said and "skipped" not in said
