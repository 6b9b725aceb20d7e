"""What a plan depends on besides the graph: processor, cores, and versions of the libraries."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from latentsr.cpuinfo import cpuinfo

# Backends that plans choose from: the package, and the distributions that may bring it.
LIBRARIES = {
    "ort": ("onnxruntime", "onnxruntime", "onnxruntime_gpu"),
    "openvino": ("openvino", "openvino"),
}


@functools.cache
def processor() -> dict[str, object]:
    """Processor model, a hash of its features, and how many cores this process may use."""
    info = cpuinfo()
    flags = " ".join(sorted((info.get("flags") or info.get("Features") or "").split()))
    model = info.get("model name") or info.get("CPU part") or "unknown"
    return {"processor": model, "features": hashlib.sha256(flags.encode()).hexdigest()[:12],
            "cores": cores()}  # fmt: skip


def cores() -> int:
    """Cores that this process may run on: fewer than the machine has in many containers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def library_version(name: str) -> str | None:
    """Version of an engine library by its backend's name; None where it is not installed."""
    package, *distributions = LIBRARIES[name]
    if find_spec(package) is None:
        return None
    found = _from_folders(distributions)
    if found is not None:
        return found
    from importlib.metadata import PackageNotFoundError, version

    for distribution in distributions:
        with contextlib.suppress(PackageNotFoundError):
            return version(distribution)
    return "unknown"


def _from_folders(distributions: list[str]) -> str | None:
    """The version by its metadata folder's name: `importlib.metadata` takes 30 ms to load."""
    for path in map(Path, sys.path):
        for distribution in distributions:
            with contextlib.suppress(OSError):
                for folder in path.glob(f"{distribution}-*.dist-info"):
                    return folder.stem.removeprefix(f"{distribution}-")
    return None


def libraries() -> dict[str, str]:
    """The engine libraries that are installed here, with their versions."""
    found = {name: library_version(name) for name in LIBRARIES}
    return {name: known for name, known in found.items() if known is not None}
