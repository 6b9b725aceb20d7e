"""Builds and runs the test programs in C++; they use the core library without Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

KERNELS = Path(__file__).resolve().parent.parent / "kernels"


def need(*names: str) -> str:
    """The first program of these that is installed; skips the test without any."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{' or '.join(names)} is not installed")
    return found


def need_sanitizers(compiler: str, kinds: str, folder: Path) -> None:
    """Skip the test unless the compiler has the run-time libraries of these sanitizers."""
    source = folder / "probe.cpp"
    source.write_text(
        "#include <cstddef>\n"
        'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, std::size_t) { return 0; }\n'
        + ("" if "fuzzer" in kinds else "int main() {}\n")
    )
    command = [compiler, "-std=c++20", f"-fsanitize={kinds}", str(source), "-o", f"{source}.out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{compiler} lacks the libraries of -fsanitize={kinds}")


def configure(folder: Path, *options: str) -> None:
    """Prepare a build of the test programs in `folder`; skips where CMake cannot build at all."""
    command = [need("cmake"), "-S", str(KERNELS), "-B", str(folder)]
    if "CMAKE_GENERATOR" not in os.environ and shutil.which("ninja"):
        command += ["-G", "Ninja"]
    if not any("CMAKE_CXX_COMPILER=" in option for option in options):
        need(os.environ.get("CXX", "c++"))
    switches = ("LATENTSR_PYTHON=OFF", "LATENTSR_DRIVERS=ON", "LATENTSR_WERROR=ON", *options)
    run([*command, *(f"-D{switch}" for switch in switches)])


def build(folder: Path, target: str) -> Path:
    """One program of a configured build."""
    run([need("cmake"), "--build", str(folder), "--parallel", "2", "--target", target])
    return folder / "tests" / target


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Standard output of a command; fails the test, with all it said, where it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, env=environment
    )
    said = f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert done.returncode == 0, said
    return done.stdout


def report(command: list[str]) -> dict[str, Any]:
    """The line of JSON that a test program prints."""
    found: dict[str, Any] = json.loads(run(command))
    return found
