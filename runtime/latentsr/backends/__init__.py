"""The known backends: name → module and class, imported only when asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from latentsr.backends.base import Backend
from latentsr.errors import UsageError

BACKENDS = {
    "ort": "latentsr.backends.ort:OrtBackend",
    "ort-tensorrt": "latentsr.backends.ort:OrtTensorRtBackend",
    "openvino": "latentsr.backends.openvino:OpenVinoBackend",
    "tensorrt": "latentsr.backends.tensorrt:TensorRtBackend",
    "tensorrt-rtx": "latentsr.backends.tensorrt:TensorRtRtxBackend",
    "cpu": "latentsr.backends.cpu:CpuBackend",
}
# Fastest first, as `benchmarks/results` has them; the last one needs no check.
PREFERENCE = ("openvino", "ort")
# Backends that run on GPUs, those among them that run nowhere else last.
ON_GPU = ("ort", "ort-tensorrt", "tensorrt", "tensorrt-rtx")
_GPU_ONLY = ON_GPU[1:]


def split_device(backend: str, device: str = "cpu") -> tuple[str, str]:
    """Backend and device of a name that may hold both: ``ort:cuda`` is ``ort`` on ``cuda``.

    device: what it is where the name does not say; ``cuda`` for backends that run nowhere else.
    """
    name, _, own = backend.partition(":")
    if own:
        return name, own
    return name, "cuda" if name in _GPU_ONLY and device == "cpu" else device


def get_backend(name: str) -> Backend:
    """The backend of that name, or with ``auto`` the fastest installed one.

    Raises UsageError that lists the known names.
    """
    if name == "auto":
        name = next((n for n in PREFERENCE[:-1] if find_spec(n)), PREFERENCE[-1])
    if name not in BACKENDS:
        raise UsageError(
            f"no such backend: found {name!r}, expected one of {', '.join(BACKENDS)}, or auto; "
            "choose one"
        )
    module, attribute = BACKENDS[name].split(":")
    backend: Backend = getattr(import_module(module), attribute)()
    return backend
