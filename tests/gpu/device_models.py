"""Entropy models without a bundle, for tests of single chunks on a device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import entropy_cases
from latentsr.backends.base import EngineOptions
from latentsr.backends.device import Stream
from latentsr.backends.device_pool import pools_of
from latentsr.chunks import Chunk
from latentsr.entropy import Tables
from latentsr.pipeline.device_coding import attach
from latentsr.pipeline.entropy_step import EntropyModel

CODING: Any = SimpleNamespace(form="lanes", exact=False, repairs=[])
SHAPE = (1, 7, 12, 11)
SIZE = 12 * 16, 11 * 16


class Tensors:
    """The part of a bundle that an entropy model reads."""

    def __init__(self, tables: Tables, **tensors: np.ndarray) -> None:
        self._tables, self.tensors = tables, tensors
        self.manifest = SimpleNamespace(exact={})

    def tables(self, chunk: Chunk) -> Tables:
        return self._tables

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        found = self.tensors[name.split(".")[1]]
        assert found.dtype == dtype and found.shape == shape
        return found


def model_of(kind: str, channels: int, skip: int = 0) -> EntropyModel:
    rng = np.random.default_rng(3)
    if kind == "gaussian":
        tables = entropy_cases.gaussian_tables()
        scales = np.geomspace(0.11, 256, tables.rows).astype(np.float32)
        bundle: Any = Tensors(tables, scale_table=scales)
    else:
        rows = [np.array([0, 9000, 40000, 65000, 65536])] * channels
        tables = entropy_cases.tables_from_rows([list(row) for row in rows], [-1] * channels)
        bundle = Tensors(tables, medians=rng.normal(0, 1, channels).astype(np.float32))
    return EntropyModel(bundle, Chunk("c", kind, channels, 16, 16, "c", skip))


def count_waits(monkeypatch: pytest.MonkeyPatch) -> list[Stream]:
    """Streams that the host waits for from now on, as often as it does."""
    waited: list[Stream] = []
    kind = type(pools_of(0).device.stream())
    wait = kind.synchronize

    def counted(stream: Stream) -> None:
        waited.append(stream)
        wait(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "synchronize", counted)
    return waited


def on_device(model: EntropyModel) -> EntropyModel:
    attach([model], EngineOptions("cuda", coder="cuda"))
    return model
