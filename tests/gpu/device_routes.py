"""What tests of whole routes on a device share: who coded what, and how much crossed the bus."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
import pytest

from engines.host_device import AddressedDevice
from engines.require import missing
from engines.tensorrt_stand_in import make
from engines.tensorrt_versions import NEWEST
from latentsr.backends import ort_session, tensorrt_api, tensorrt_plans
from latentsr.backends.base import EngineOptions
from latentsr.backends.device import Device, Stream
from latentsr.backends.ort_session import CUDA, providers_for
from latentsr.bundle import Bundle
from latentsr.codec import Codec


class Load(Protocol):
    """Makes a codec on the device, with a coder; of the demo bundle unless another is given."""

    def __call__(
        self, coder: str, bundle: Bundle | None = None, precision: str = "fp32"
    ) -> Codec: ...


def opener(device: Device, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Load:
    """On a GPU by ONNX Runtime, under emulation by the stand-in for TensorRT."""
    backend = "ort"
    if isinstance(device, AddressedDevice):
        backend = "tensorrt"
        monkeypatch.setitem(sys.modules, "tensorrt", make(NEWEST, device))
        monkeypatch.setenv("LATENTSR_CACHE", str(cache))
        tensorrt_api.library.cache_clear()
        tensorrt_api.logger.cache_clear()
        own = functools.cache(tensorrt_plans._runtime.__wrapped__)
        monkeypatch.setattr(tensorrt_plans, "_runtime", own)
    elif CUDA not in ort.get_available_providers():
        missing(f"onnxruntime has no {CUDA}")
    else:
        monkeypatch.setattr(ort_session, "providers_for", _without_search)

    def load(coder: str, bundle: Bundle | None = None, precision: str = "fp32") -> Codec:
        options = EngineOptions("cuda", coder=coder, precision=precision)
        return Codec(bundle or Bundle("demo"), backend, options)

    return load


def _without_search(options: EngineOptions, index: int, tensorrt: bool) -> list[tuple[str, Any]]:
    """As the engines have them, but convolutions that are not chosen by how long they took.

    Two sessions, or two sizes in one, could else differ in the last bit, which these tests compare.
    """
    found = providers_for(options, index, tensorrt)
    for name, settings in found:
        if name == CUDA:
            settings["cudnn_conv_algo_search"] = "DEFAULT"
    return found


def coded_by(codec: Codec) -> dict[str, bool]:
    """Each chunk's stage in the last call: whether the device did it."""
    names = [s.name for s in codec.timeline.stages if s.kind == "entropy"]
    return {name.split()[1]: name.endswith(" on cuda") for name in names}


def count_traffic(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Bytes that are copied to and from the device from now on."""
    moved = {"upload": 0, "download": 0}

    def counted(name: str) -> Callable[..., None]:
        copy = getattr(Stream, name)

        def call(self: Stream, first: object, second: object, offset: int = 0) -> None:
            array = first if isinstance(first, np.ndarray) else second
            assert isinstance(array, np.ndarray)
            moved[name] += array.nbytes
            copy(self, first, second, offset)

        return call

    for name in moved:
        monkeypatch.setattr(Stream, name, counted(name))
    return moved
