"""What of a machine's GPU can be used: the device, engine libraries, and the CUDA kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from latentsr.backends.tensorrt_api import RTX, TENSORRT, library
from latentsr.errors import BackendError


@dataclass(frozen=True)
class Finding:
    """One part: whether it can be used, and as what, or what keeps it from that."""

    part: str
    usable: bool
    said: str


def gpu_findings(index: int = 0) -> list[Finding]:
    """The GPU of that number with its driver, the engines for it, and the kernels; loads them."""
    return [
        _found("gpu", lambda: _gpu(index)),
        _found("tensorrt", lambda: _tensorrt(TENSORRT)),
        _found("tensorrt-rtx", lambda: _tensorrt(RTX)),
        _found("ort:cuda", _onnxruntime),
        _found("cuda kernels", _kernels),
    ]


def _found(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, look())
    except BackendError as error:
        return Finding(part, False, str(error))


def _gpu(index: int) -> str:
    from latentsr.backends.device import open_device

    device = open_device(index)
    sm, driver = "".join(map(str, device.capability)), device.driver
    return (
        f"{device.name}, sm_{sm}, driver for CUDA {driver // 1000}.{driver % 1000 // 10}, by "
        f"{device.library}"
    )


def _tensorrt(package: str) -> str:
    return library(package).title


def _onnxruntime() -> str:
    from latentsr.backends.ort import library
    from latentsr.backends.ort_session import CUDA, check_provider, preload

    ort = library("cuda")
    preload(ort)
    check_provider(ort, CUDA)
    return f"ONNX Runtime {ort.__version__}, built with CUDA"


def _kernels() -> str:
    from latentsr import cuda

    reason = cuda.why_not()
    if reason is not None:
        raise BackendError(reason)
    return "built, and they can run"
