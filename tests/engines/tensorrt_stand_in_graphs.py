"""Graphs in the stand-in for TensorRT: ONNX Runtime sessions, and plans that hold the graph."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnxruntime as ort

MAGIC = b"stand-in plan "


@functools.lru_cache(maxsize=64)
def session_of(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def dtype_of(port: Any) -> np.dtype[Any]:
    return np.dtype({"tensor(float)": np.float32, "tensor(float16)": np.float16}[port.type])
