"""ruff and mypy find nothing to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.trt_stubs import write_stubs


def test_ruff(repository: Path) -> None:
    pytest.importorskip("ruff", reason="ruff is not installed")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_mypy(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    pytest.importorskip("torch", reason="the exporter's types are torch's")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    # TensorRT's stubs cannot be parsed as they come, so mypy gets them repaired.
    stubs = tmp_path / "stubs"
    environment = {**os.environ, "MYPYPATH": str(stubs)} if write_stubs(stubs) else None
    done = subprocess.run(
        command, cwd=repository, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout
