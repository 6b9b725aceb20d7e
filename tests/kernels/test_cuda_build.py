"""nvcc takes the CUDA kernels for every architecture that wheels are to have, without a warning."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from native_drivers import configure, need, run

ARCHITECTURES = {"75", "80", "86", "89", "90"}


def test_kernels_compile_for_all_architectures(tmp_path: Path) -> None:
    need("nvcc")
    configure(
        tmp_path,
        "LATENTSR_DRIVERS=OFF",
        "LATENTSR_CUDA=ON",
        "CMAKE_EXPORT_COMPILE_COMMANDS=ON",
    )
    commands = json.loads((tmp_path / "compile_commands.json").read_text())
    kernels = [one["command"] for one in commands if one["file"].endswith(".cu")]
    assert kernels
    for command in kernels:
        assert set(re.findall(r"\bsm_(\d+)", command)) == ARCHITECTURES
        assert "compute_90" in command, "PTX for later devices is missing"
    run([need("cmake"), "--build", str(tmp_path), "--target", "latentsr_cuda_kernels"])


def test_a_build_without_nvcc_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cmake = need("cmake")
    monkeypatch.setenv("CUDACXX", str(tmp_path / "no-nvcc"))
    source = Path(__file__).resolve().parents[2] / "kernels"
    options = ["-DLATENTSR_PYTHON=OFF", "-DLATENTSR_CUDA=ON"]
    said = refused([cmake, "-S", str(source), "-B", str(tmp_path / "build"), *options])
    assert "LATENTSR_CUDA: found no working nvcc" in " ".join(said.split())


def refused(command: list[str]) -> str:
    """What a command that must fail says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode != 0
    return done.stderr
