"""The compiled kernels for CUDA devices, loaded when they are first asked for."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from latentsr.errors import BackendError

_log = logging.getLogger("latentsr")
_BUILD = "pip install . -C cmake.define.LATENTSR_CUDA=ON"


def compiled() -> ModuleType:
    """The module `latentsr._cuda_kernels`, which can be loaded without a device.

    Raises:
        BackendError: this build has none, or it cannot be loaded.
    """
    try:
        from latentsr import _cuda_kernels
    except ImportError as error:
        raise BackendError(
            f"CUDA kernels are missing: found {error}, expected a build that has them; install "
            f"nvcc and run `{_BUILD}`"
        ) from error
    return _cuda_kernels


def why_not() -> str | None:
    """What keeps the kernels from running here, in words, or None when they can.

    Looks for the driver and a device; makes the device's primary context unless one is current.
    """
    try:
        obstacle = compiled().obstacle()
    except BackendError as error:
        return str(error)
    return f"no CUDA device: {obstacle}" if obstacle else None


def available() -> bool:
    """Whether the kernels can run here; `why_not` says why they cannot."""
    return why_not() is None


@functools.cache
def usable() -> bool:
    """As `available`, found out once; says in the log what then happens on the host."""
    reason = why_not()
    if reason is not None:
        _log.info("latents and pictures are made on the host: %s", reason)
    return reason is None


@contextmanager
def launching(what: str) -> Iterator[None]:
    """Turn CUDA's refusal of a launch into a BackendError that names `what`."""
    try:
        yield
    except RuntimeError as error:
        raise BackendError(
            f"{what}: found CUDA error {error}, expected kernels to start; check that the device "
            "pointers belong to the current context and that this build has the device's "
            "architecture"
        ) from error
