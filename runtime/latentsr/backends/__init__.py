"""The known backends: name → module and class, imported only when asked for."""

from __future__ import annotations

from importlib import import_module

from latentsr.backends.base import Backend
from latentsr.errors import UsageError

BACKENDS = {
    "ort": "latentsr.backends.ort:OrtBackend",
    "openvino": "latentsr.backends.openvino:OpenVinoBackend",
}


def get_backend(name: str) -> Backend:
    """The backend of that name; UsageError lists the known ones."""
    if name not in BACKENDS:
        raise UsageError(
            f"no such backend: found {name!r}, expected one of {', '.join(BACKENDS)}; choose one"
        )
    module, attribute = BACKENDS[name].split(":")
    backend: Backend = getattr(import_module(module), attribute)()
    return backend
