"""`latentsr doctor` says what of a GPU can be used, and what keeps it from that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import latentsr
from engines.host_device import HostDevice
from latentsr import cuda
from latentsr.backends import available, device, tensorrt_api
from latentsr.backends.available import gpu_findings
from latentsr.backends.ort_session import CUDA
from latentsr.errors import BackendError


def test_what_is_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ort = SimpleNamespace(__version__="1.31", get_available_providers=lambda: [CUDA])
    monkeypatch.setitem(sys.modules, "onnxruntime", ort)  # type: ignore[arg-type]
    monkeypatch.setattr(device, "open_device", lambda index: HostDevice())
    monkeypatch.setattr(cuda, "why_not", lambda: None)
    found = {finding.part: finding for finding in gpu_findings()}
    assert found["gpu"].said == "Host GPU, sm_90, driver for CUDA 13.0, by host memory"
    assert found["ort:cuda"].said == "ONNX Runtime 1.31, built with CUDA"
    assert found["gpu"].usable and found["ort:cuda"].usable and found["cuda kernels"].usable


def test_what_is_missing_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(index: int) -> Any:
        raise BackendError("no CUDA device can be used")

    ort = SimpleNamespace(__version__="1.31", get_available_providers=lambda: ["CPU"])
    monkeypatch.setitem(sys.modules, "onnxruntime", ort)  # type: ignore[arg-type]
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(available, "library", tensorrt_api.library.__wrapped__)
    monkeypatch.setattr(device, "open_device", refuse)
    monkeypatch.setattr(cuda, "why_not", lambda: "CUDA kernels are missing")
    findings = gpu_findings()
    assert not any(finding.usable for finding in findings)
    said = " ".join(finding.said for finding in findings)
    for words in ("no CUDA device", "latentsr[tensorrt]", "latentsr[tensorrt-rtx]",
                  "latentsr[cuda]", "kernels are missing"):  # fmt: skip
        assert words in said


def test_the_command(tmp_path: Path) -> None:
    found = json.loads(latentsr("doctor", "--json", cwd=tmp_path).stdout)
    assert [each["part"] for each in found["gpu"]] == [
        "gpu", "tensorrt", "tensorrt-rtx", "ort:cuda", "cuda kernels",
    ]  # fmt: skip
    text = latentsr("doctor", cwd=tmp_path).stdout
    assert "cores" in text and "numpy" in text
    for each in found["gpu"]:
        assert each["said"] in text
