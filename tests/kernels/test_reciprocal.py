"""The encoder's division by multiplication is exact, tried on the C++ code itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def test_every_frequency_at_the_edges(repository: Path, tmp_path: Path):
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("no C++ compiler; set CXX to run this test")
    source = Path(__file__).with_name("reciprocal_edges.cpp")
    program = tmp_path / "edges"
    include = repository / "kernels" / "src"
    command = [compiler, "-std=c++20", "-O2", f"-I{include}", source, "-o", program]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
