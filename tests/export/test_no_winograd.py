"""Exact graphs are written with kernels that no engine has Winograd for; their integers stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from codec_cases import exported, made
from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.errors import ExportError
from latentsr_export.integer_graph import IntegerGraph
from latentsr_export.no_winograd import has_fast_kernel, without_winograd
from latentsr_export.parts import Feed, GraphSpec
from latentsr_export.receptive_field import window_of
from latentsr_export.trace import count_macs, trace

LAYERS = {
    "3x3": lambda: nn.Conv2d(7, 5, 3, padding=1),
    "5x5, more padding": lambda: nn.Conv2d(7, 5, 5, padding=3),
    "transposed 5x5": lambda: nn.ConvTranspose2d(7, 5, 5, padding=2),
    "transposed 3x3, less padding": lambda: nn.ConvTranspose2d(7, 5, 3),
    "3x3 of stride 2": lambda: nn.Conv2d(7, 5, 3, stride=2, padding=1),
    "transposed 5x5 of stride 2": lambda: nn.ConvTranspose2d(7, 5, 5, 2, 2, 1),
    "1x1": lambda: nn.Conv2d(7, 5, 1),
    "3x1": lambda: nn.Conv2d(7, 5, (3, 1), padding=(1, 0)),
}
FAST = {
    "3x3": (4, 3), "5x5, more padding": (6, 5), "transposed 5x5": (6, 5),
    "transposed 3x3, less padding": (4, 3),
}  # fmt: skip


def traced(kind: str) -> bytes:
    """A graph of one layer with integer weights."""
    torch.manual_seed(4)
    layer: Any = LAYERS[kind]()
    with torch.no_grad():
        layer.weight.mul_(100).round_()
        layer.bias.mul_(1000).round_()
    return trace("one", GraphSpec(layer, ("x",), ("y",), 7, 1, Feed("y", 7, 1, 1)))


def fast_nodes(graph: bytes) -> list[onnx.NodeProto]:
    return [node for node in onnx.load_from_string(graph).graph.node if has_fast_kernel(node)]


@pytest.mark.parametrize("kind", LAYERS)
def test_integers_stay_and_fast_kernels_go(kind: str) -> None:
    before = traced(kind)
    after = without_winograd(before)
    assert len(fast_nodes(before)) == (kind in FAST) and not fast_nodes(after)
    assert kind in FAST or after == before
    feeds = [Feed("y", 7, 1, 1)]
    rows, columns = FAST.get(kind, (1, 1))
    if "less padding" not in kind:  # counted where it writes, which is more than what it reads
        assert count_macs(after, feeds) == count_macs(before, feeds) * rows / columns
    rng = np.random.default_rng(5)
    for height, width in ((1, 1), (8, 6), (9, 13)):
        given = {"x": rng.integers(-1023, 1024, (1, 7, height, width)).astype(np.float32)}
        expected = IntegerGraph(before).run(given)["y"]
        np.testing.assert_array_equal(IntegerGraph(after).run(given)["y"], expected)
        for backend in ("ort", "openvino"):
            engine = get_backend(backend).load(after, kind, EngineOptions(threads=1))
            np.testing.assert_array_equal(engine.run(given)["y"], expected)


def test_windows_reach_as_far_and_the_row_of_zeros() -> None:
    window = window_of(without_winograd(traced("3x3")))
    assert window["inputs"] == [{"step": [1, 1], "before": [1, 1], "after": [2, 1]}]


def test_weights_that_are_computed_are_refused() -> None:
    model = onnx.load_from_string(traced("3x3"))
    model.graph.node[0].input[1] = "x"
    with pytest.raises(ExportError, match="cannot be kept from Winograd: found Conv"):
        without_winograd(model.SerializeToString())


@pytest.mark.parametrize(
    "layer", [lambda: nn.ConvTranspose2d(7, 5, 3, padding=3),
              lambda: nn.ConvTranspose2d(6, 6, 3, groups=2)],
)  # fmt: skip
def test_transposed_convolutions_that_are_no_plain_ones(layer: Any) -> None:
    made: Any = layer()
    channels = made.in_channels
    spec = GraphSpec(made, ("x",), ("y",), channels, 1, Feed("y", channels, 1, 1))
    with pytest.raises(ExportError, match=r"found ConvTranspose .* groups and padding"):
        without_winograd(trace("one", spec))


@pytest.mark.parametrize("family", ["mbt2018-mean", "elic2022-official"])
def test_exported_twins_have_none(family: str, picture: np.ndarray, tmp_path: Path) -> None:
    bundle = exported(tmp_path / "codec.lsr", made(family), picture)
    exact = bundle.manifest.exact
    assert any(fast_nodes(bundle.graph(name)) for name in exact)
    assert not any(fast_nodes(bundle.graph(name)) for name in exact.values())
    # ONNX Runtime's CUDA provider takes no others.
    for name in exact.values():
        for node in onnx.load_from_string(bundle.graph(name)).graph.node:
            pads = next((list(a.ints) for a in node.attribute if a.name == "pads"), [0] * 4)
            assert node.op_type != "ConvTranspose" or pads[:2] == pads[2:], node.name


def test_the_demo_bundle_has_none() -> None:
    assert not fast_nodes(Bundle("demo").graph("entropy_parameters_exact"))
