"""Context models in float32 and CompressAI: each reads the other's strings."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from latentsr.entropy import Coder, Tables
from latentsr.entropy.float_context import FloatContext


def models() -> ModuleType:
    """benchmarks/context_models.py, which knows CompressAI's models."""
    pytest.importorskip("compressai", reason="the strings are CompressAI's")
    path = Path(__file__).parents[2] / "benchmarks" / "context_models.py"
    spec = importlib.util.spec_from_file_location("context_models", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("context_models", module)
    spec.loader.exec_module(module)
    return module


FAMILIES = [
    ("mbt2018", 24, (128, 192)),
    ("mbt2018", 33, (192, 64)),
    ("cheng2020-anchor", 32, (128, 64)),
    ("cheng2020-attn", 24, (64, 128)),
]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small convolutions by the thousand: threads that wait for each other take all the time."""
    torch = models().torch
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def exchanged(family: str, channels: int, size: tuple[int, int]) -> tuple[Any, ...]:
    """A model of CompressAI, a picture's strings of it, and ours of the same model."""
    help_ = models()
    torch = help_.torch
    torch.manual_seed(7)
    coarse = torch.rand(1, 3, size[0] // 8, size[1] // 8)
    picture = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    network = help_.spread(family, channels, picture)
    arrays = help_.tensors(network)
    out, symbols, _ = help_.compress(network, picture)
    with torch.no_grad():
        y = network.g_a(picture)[0].numpy()
        z_hat = network.entropy_bottleneck.decompress(out["strings"][1], out["shape"])
    gaussian = network.gaussian_conditional
    tables = Tables(
        gaussian.quantized_cdf.numpy(), gaussian.cdf_length.numpy(), gaussian.offset.numpy()
    )
    model = FloatContext.from_tensors(Coder(tables), arrays)
    return network, out, symbols, y, help_.features(network, z_hat, arrays), model


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("case", FAMILIES)
def test_reads_compressai(case: tuple[str, int, tuple[int, int]]) -> None:
    _, out, symbols, _, features, model = exchanged(*case)
    read = model.decode(out["strings"][0][0], features)
    assert np.array_equal(read.symbols, symbols)
    assert np.abs(symbols).max() > 5


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("case", FAMILIES)
def test_compressai_reads_ours(case: tuple[str, int, tuple[int, int]]) -> None:
    network, out, _, y, features, model = exchanged(*case)
    torch = models().torch
    data, written = model.encode(features, y)
    with torch.no_grad():
        theirs = network.decompress([[data], out["strings"][1]], out["shape"])["x_hat"]
        ours = network.g_s(torch.from_numpy(written.latent)[None]).clamp(0, 1)
    assert float((theirs - ours).abs().max()) < 1e-3
