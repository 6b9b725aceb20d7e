"""Which coder decodes a chunk, as far as that takes no GPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import latentsr
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.cuda import module
from latentsr.errors import BackendError, UsageError
from latentsr.pipeline.device_coding import LEAST_SYMBOLS, DeviceCoding, attach
from latentsr.pipeline.entropy_step import EntropyModel

LANES: Any = SimpleNamespace(form="lanes", exact=True, repairs=[])
SMALL, LARGE = (1, 96, 4, 4), (1, 96, 20, 20)


@pytest.fixture
def models() -> dict[str, EntropyModel]:
    bundle = Bundle("demo")
    return {chunk.name: EntropyModel(bundle, chunk) for chunk in bundle.manifest.chunks}


def attached(models: dict[str, EntropyModel], device: str, coder: str) -> list[DeviceCoding | None]:
    attach(models.values(), EngineOptions(device, coder=coder))
    return [model.on_gpu for model in models.values()]


@pytest.mark.parametrize(("device", "coder"), [("cpu", "auto"), ("cpu", "cpu"), ("cuda", "cpu")])
def test_the_processor_decodes(models: dict[str, EntropyModel], device: str, coder: str) -> None:
    assert attached(models, device, coder) == [None, None]


@pytest.mark.parametrize(
    ("device", "coder", "said"),
    [("cpu", "cuda", "device cpu: found 'cuda', expected auto or cpu"),
     ("cuda:1", "gpu", "device cuda:1: found 'gpu', expected auto or cpu or cuda")],
)  # fmt: skip
def test_coders_that_are_none(
    models: dict[str, EntropyModel], device: str, coder: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        attached(models, device, coder)


def test_a_coder_that_is_asked_for_must_be_there(
    models: dict[str, EntropyModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "latentsr._cuda_kernels", None)
    monkeypatch.delattr(latentsr, "_cuda_kernels", raising=False)
    with pytest.raises(BackendError, match="CUDA kernels are missing"):
        attached(models, "cuda", "cuda")


def test_auto_takes_large_chunks_that_it_can_decode(
    models: dict[str, EntropyModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert np.prod(SMALL) < LEAST_SYMBOLS <= np.prod(LARGE)
    monkeypatch.setattr(module, "usable", lambda: True)
    attached(models, "cuda", "auto")
    ones = {shape: np.ones(shape, np.float32) for shape in (SMALL, LARGE)}

    def taken(shape: tuple[int, ...], scales: Any, means: Any, coding: Any = LANES) -> bool:
        found = models["y"].on_gpu
        assert found is not None
        return found.decodes(shape, scales, means, coding)

    assert taken(LARGE, ones[LARGE], None) and taken(LARGE, ones[LARGE], ones[LARGE])
    assert not taken(SMALL, ones[SMALL], None)
    # What is wrong with these the processor's coder says.
    assert not taken(LARGE, None, None) and not taken(LARGE, ones[SMALL], None)
    assert not taken(LARGE, ones[LARGE].astype(np.float16), None)
    assert not taken(LARGE, ones[LARGE], ones[SMALL])
    assert not taken(LARGE, ones[LARGE], None, SimpleNamespace(form="compressai", exact=False))
    monkeypatch.setattr(module, "usable", lambda: False)
    assert not taken(LARGE, ones[LARGE], None)


def test_load_takes_the_coder() -> None:
    with latentsr.load("demo", coder="cpu") as codec:
        assert codec.options.coder == "cpu"
    with pytest.raises(UsageError, match="coder is not available on device cpu"):
        latentsr.load("demo", coder="cuda")
