"""A module with TensorRT's names and signatures that computes with ONNX Runtime on a `HostDevice`.

It is as strict as the backend's assumptions: plans of another version are refused, shapes outside
the profile are refused, every tensor needs an address, enumerations have the members that the
version has (from `tests/golden/tensorrt`). That the signatures are TensorRT's is a test of its own.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from engines.host_device import HostDevice
from engines.tensorrt_stand_in_build import add_building
from engines.tensorrt_stand_in_late import add_late
from engines.tensorrt_stand_in_run import add_running
from engines.tensorrt_versions import ENUMERATIONS, RTX, Dims, enumeration


def make(version: str, device: HostDevice) -> ModuleType:
    """The module."""
    trt: Any = ModuleType("tensorrt_rtx" if version == RTX else "tensorrt")
    trt.__version__ = version
    trt.title = f"{'TensorRT for RTX' if version == RTX else 'TensorRT'} {version}"
    trt.Dims, trt.built = Dims, []
    for name in ENUMERATIONS:
        members = enumeration(name, version)
        if members is not None:
            setattr(trt, name, members)
    types = {np.dtype(np.float32): trt.DataType.FLOAT, np.dtype(np.float16): trt.DataType.HALF}
    trt.nptype = {kind: dtype.type for dtype, kind in types.items()}.__getitem__

    add_building(trt)
    add_running(trt, device, types)
    if version == RTX:
        add_late(trt, device)
    return trt
