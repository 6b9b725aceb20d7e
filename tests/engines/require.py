"""GPU tests skip without a GPU, and fail instead where LATENTSR_REQUIRE_GPU is set."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest

from latentsr.backends.device import open_device
from latentsr.errors import BackendError

VARIABLE = "LATENTSR_REQUIRE_GPU"


def missing(reason: str) -> NoReturn:
    """Skip, or fail on a machine that is there for these tests."""
    if os.environ.get(VARIABLE) == "1":
        pytest.fail(f"{VARIABLE} is set, but {reason}")
    pytest.skip(reason)


def gpu_or_skip(also: Callable[[], object] | None = None) -> None:
    """Go on where a GPU can be used, and what `also` loads is there."""
    try:
        open_device()
        if also is not None:
            also()
    except BackendError as error:
        missing(str(error))
