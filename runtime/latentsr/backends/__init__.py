"""The known backends: name → module and class, imported only when asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from latentsr.backends.base import Backend
from latentsr.errors import UsageError

BACKENDS = {
    "ort": "latentsr.backends.ort:OrtBackend",
    "openvino": "latentsr.backends.openvino:OpenVinoBackend",
    "cpu": "latentsr.backends.cpu:CpuBackend",
}
# Fastest first, as `benchmarks/results` has them; the last one needs no check.
PREFERENCE = ("openvino", "ort")


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
