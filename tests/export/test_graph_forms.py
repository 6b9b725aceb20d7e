"""Rewritten and quantised graphs: the same function, and nothing rewritten that must not be."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.errors import ExportError
from latentsr_export.forms import int8, subpixel

RNG = np.random.default_rng(5)


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], channels: int) -> bytes:
    """A graph from x (1, channels, h, w) to y."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, c, "h", "w"])
             for name, c in (("x", channels), ("y", None))]  # fmt: skip
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "small", ports[:1], ports[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()  # fmt: skip


def transposed(kernel: tuple[int, int], bias: bool = True, **attributes: object) -> bytes:
    weights = {"w": RNG.normal(size=(5, 3, *kernel)).astype(np.float32)}
    if bias:
        weights["b"] = RNG.normal(size=3).astype(np.float32)
    node = helper.make_node("ConvTranspose", ["x", *weights], ["y"], "up", **attributes)
    return graph_of([node], weights, 5)


def run(graph: bytes, x: np.ndarray) -> np.ndarray:
    return get_backend("ort").load(graph, "small", EngineOptions(threads=1)).run({"x": x})["y"]


def kinds(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


@pytest.mark.parametrize(
    ("kernel", "attributes"),
    [
        ((5, 5), {"strides": [2, 2], "pads": [2] * 4, "output_padding": [1, 1]}),
        ((4, 4), {"strides": [2, 2], "pads": [1] * 4}),
        ((3, 3), {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}),
        ((2, 2), {"strides": [2, 2]}),
        ((6, 6), {"strides": [2, 2], "pads": [2] * 4}),
        ((9, 9), {"strides": [4, 4], "pads": [3, 3, 2, 2]}),
        ((5, 3), {"strides": [2, 2], "pads": [2, 0, 1, 1]}),
        ((3, 3), {"strides": [3, 3]}),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_subpixel_form_is_the_same_function(
    kernel: tuple[int, int], attributes: dict[str, object], bias: bool
) -> None:
    graph = transposed(kernel, bias, **attributes)
    made = subpixel.rewrite(graph)
    assert kinds(made) == ["Conv", "DepthToSpace"]
    for height, width in ((7, 4), (1, 1), (2, 9)):
        x = RNG.normal(size=(1, 5, height, width)).astype(np.float32)
        expected, found = run(graph, x), run(made, x)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [1, 1], "pads": [2] * 4},
        {"strides": [2, 2], "pads": [2] * 4},  # one sample short of twice the size
        {"strides": [2, 1], "pads": [2] * 4, "output_padding": [1, 0]},
        {"strides": [2, 2], "dilations": [2, 2], "pads": [4] * 4, "output_padding": [1, 1]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "output_shape": [8, 8]},
    ],
)
def test_what_cannot_be_rewritten_stays(attributes: dict[str, object]) -> None:
    graph = transposed((5, 5), **attributes)
    assert kinds(subpixel.rewrite(graph)) == ["ConvTranspose"]
    assert subpixel.write_forms(graph, [], "fp32") == []


def test_forms_of_the_synthesis_are_a_series() -> None:
    graph = Bundle("demo").graph("synthesis")
    forms = subpixel.write_forms(graph, [], "fp32")
    assert [form.name for form in forms] == [f"subpixel-{k}" for k in (1, 2, 3, 4)]
    assert {form.precision for form in forms} == {"fp32"}
    counts = [kinds(form.graph).count("ConvTranspose") for form in forms]
    assert counts == [3, 2, 1, 0]
    assert subpixel.write_forms(graph, [], "int8") == []
    assert forms[1].graph == subpixel.rewrite(graph, 2)


def test_no_onnx_file() -> None:
    with pytest.raises(ExportError, match="graph cannot be rewritten"):
        subpixel.write_forms(b"\xff\xff no model", [], "fp32")


def test_int8_forms_keep_norms_and_the_most_sensitive_layers() -> None:
    graph = Bundle("demo").graph("synthesis")
    sample = {"y_hat": RNG.normal(0, 3, (1, 96, 4, 6)).astype(np.float32)}
    forms = int8.write_forms(graph, [sample], "int8")
    assert [form.name for form in forms] == ["int8", "int8-1", "int8-2"]
    assert [len(form.kept) for form in forms] == [0, 1, 2]
    assert forms[2].kept[:1] == forms[1].kept
    plain = get_backend("ort").load(graph, "s", EngineOptions(threads=1)).run(sample)["x_hat"]
    errors = []
    for form in forms:
        nodes = onnx.load_from_string(form.graph).graph.node
        made = {name: node.op_type for node in nodes for name in node.output}
        quantised = [node.name for node in nodes if node.op_type == "Conv"
                     and made.get(node.input[0]) == "DequantizeLinear"]  # fmt: skip
        assert len(quantised) == 4 - len(form.kept)
        assert not any("norm" in name for name in quantised) and not set(form.kept) & {*quantised}
        found = get_backend("ort").load(form.graph, "s", EngineOptions(threads=1)).run(sample)
        errors.append(float(np.mean((found["x_hat"] - plain) ** 2)))
    # Fewer quantised layers, a smaller error: the order of sensitivity is not arbitrary.
    assert 0 < errors[2] < errors[1] < errors[0] < 0.01 * float(np.mean(plain**2))
    assert int8.write_forms(graph, [sample], "fp32") == []


def test_int8_needs_a_convolution() -> None:
    graph = graph_of([helper.make_node("Relu", ["x"], ["y"], "r")], {}, 3)
    assert int8.write_forms(graph, [{"x": np.ones((1, 3, 4, 4), np.float32)}], "int8") == []


def test_sensitivity_tries_the_ends_of_long_networks() -> None:
    class Counting:
        """Remembers which layers were tried."""

        graph = transposed((2, 2), strides=[2, 2])

        def quantise(self, layers: list[str]) -> bytes:
            self.tried = [*getattr(self, "tried", []), *layers]
            return self.graph

    quantiser, layers = Counting(), [str(i) for i in range(100)]
    sample = {"x": np.ones((1, 5, 2, 2), np.float32)}
    order = int8.sensitivity(quantiser, layers, sample)  # type: ignore[arg-type]
    assert quantiser.tried == [*layers[:16], *layers[-16:]] == order


def test_forms_need_no_torch() -> None:
    blocked = ["torch", "torchvision", "compressai", "spandrel"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"
    code += "from latentsr_export.forms import int8, subpixel"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
