"""What codes a chunk, as far as that takes no GPU."""

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
from latentsr.pipeline.device_coding import (
    LEAST_ENCODED,
    LEAST_SYMBOLS,
    DeviceCoding,
    attach,
)
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
def test_the_processor_codes(models: dict[str, EntropyModel], device: str, coder: str) -> None:
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


def test_auto_encodes_larger_ones(
    models: dict[str, EntropyModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "usable", lambda: True)
    attached(models, "cuda", "auto")
    shapes = [(1, 96, side, side) for side in (18, 20, 26, 27)]
    counts = [int(np.prod(shape)) for shape in shapes]
    assert counts[0] < LEAST_SYMBOLS < counts[1] < counts[2] < LEAST_ENCODED < counts[3]
    found = models["y"].on_gpu
    assert found is not None
    scales = {shape: np.ones(shape, np.float32) for shape in shapes}
    decodes = [found.decodes(shape, scales[shape], None, LANES) for shape in shapes]
    encodes = [found.encodes(shape, scales[shape], None, LANES) for shape in shapes]
    assert decodes == [False, True, True, True] and encodes == [False, False, False, True]
    other = SimpleNamespace(form="compressai", exact=False)
    assert not found.encodes(shapes[3], scales[shapes[3]], None, other)  # type: ignore[arg-type]
    assert not found.encodes(shapes[3], None, None, LANES)
    huge = (1, 96, 1 << 12, 1 << 12)  # more than a stream holds
    assert not found.encodes(huge, np.broadcast_to(np.float32(1), huge), None, LANES)


def test_load_takes_the_coder() -> None:
    with latentsr.load("demo", coder="cpu") as codec:
        assert codec.options.coder == "cpu"
    with pytest.raises(UsageError, match="coder is not available on device cpu"):
        latentsr.load("demo", coder="cuda")
