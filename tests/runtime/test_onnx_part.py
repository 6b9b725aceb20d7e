"""Parts of ONNX files: run one behind the other they are the whole; damaged files are refused."""

from __future__ import annotations

import numpy as np
import pytest

from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.errors import BundleError
from latentsr.onnx_part import part_between
from latentsr.windows import Window

INPUT, OUTPUT = [("y_hat", 96)], [("hr", 3)]


def _run(graph: bytes, value: np.ndarray, port: str) -> dict[str, np.ndarray]:
    return get_backend("ort").load(graph, "part", EngineOptions(threads=1)).run({port: value})


def _window(name: str) -> Window:
    window = Bundle("demo").manifest.graphs[name].window
    assert isinstance(window, Window)
    return window


@pytest.mark.parametrize("name", ["latent_sr", "pixel_sr"])
def test_pieces_make_the_whole(name: str) -> None:
    bundle = Bundle("demo")
    graph = bundle.manifest.graphs[name]
    channels = bundle.manifest.raw["graphs"][name]["channels"]
    x = np.random.default_rng(1).normal(0, 1, (1, channels, 5, 7)).astype(np.float32)
    expected = _run(bundle.graph(name), x, graph.inputs[0])[graph.outputs[0]]
    value, port = x, graph.inputs[0]
    pieces = _window(name).pieces
    assert len(pieces) > 1
    for number, piece in enumerate(pieces):
        made = _run(bundle.piece(name, number), value, port)
        port = piece.value or graph.outputs[0]
        assert list(made) == [port]
        value = made[port]
        assert value.shape[1] == piece.window.channels[0]
    assert np.abs(value - expected).max() < 1e-5
    assert sum(len(bundle.piece(name, n)) for n in range(len(pieces))) < 1.01 * len(
        bundle.graph(name)
    )
    with pytest.raises(BundleError, match="has no piece"):
        bundle.piece(name, len(pieces))


def test_the_whole_is_a_part() -> None:
    data = Bundle("demo").graph("latent_sr")
    x = np.random.default_rng(1).normal(0, 1, (1, 96, 4, 3)).astype(np.float32)
    found = _run(part_between(data, INPUT, OUTPUT), x, "y_hat")["hr"]
    assert np.array_equal(found, _run(data, x, "y_hat")["hr"])


def test_values_that_are_not_there() -> None:
    data = Bundle("demo").graph("latent_sr")
    with pytest.raises(BundleError, match="no value 'none'"):
        part_between(data, INPUT, [("none", 3)])
    with pytest.raises(BundleError, match="no value 'y_hat'"):
        part_between(data, [("other", 96)], OUTPUT)


def test_damaged_files_are_refused() -> None:
    """Every cut-off file, and files with bytes changed, are parts or BundleErrors, nothing else."""
    data = Bundle("demo").graph("entropy_parameters")
    ends = [("z_hat", 64)], [("scales", 96)]
    refused = 0
    for length in (*range(200), *range(200, len(data), 40009)):
        with pytest.raises(BundleError):
            part_between(data[:length], *ends)
    rng = np.random.default_rng(5)
    heads = [n for n in range(len(data)) if data[n : n + 4] == b"Conv"][:40] or [0]
    for _ in range(300):
        spoiled = bytearray(data)
        for place in rng.choice(heads) + rng.integers(-30, 60, 3):
            spoiled[max(int(place), 0)] = int(rng.integers(0, 256))
        try:
            part_between(bytes(spoiled), *ends)
        except BundleError:
            refused += 1
    assert refused > 100
