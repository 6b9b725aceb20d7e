"""INT8 forms: quantise and dequantise nodes around convolutions, calibrated on real inputs.

Weights are symmetric per output channel, activations have a scale and a zero point per tensor, as
processors with VNNI multiply them. Transposed convolutions, for which engines have no INT8 kernel,
become convolutions first. GDN's norms stay in FP32: squares have twice the range. Which other
layers stay is measured: each layer is quantised alone, and those that disturb the output most are
kept in a series of forms, from which `latentsr build` takes the fastest that is good enough.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.plans.forms import Form, Sample
from latentsr_export.forms.constants import to_bytes
from latentsr_export.forms.subpixel import rewrite

KEPT = (0, 1, 2, 4, 8)
"""How many of the most sensitive layers each form leaves in FP32."""
MOST_TRIED = 32


def write_forms(graph: bytes, samples: Sequence[Sample], precision: str) -> list[Form]:
    """``int8``, ``int8-1`` …: all convolutions quantised but so many of the most sensitive."""
    if precision != "int8":
        return []
    plain = rewrite(graph)
    layers = quantisable(plain)
    if not layers:
        return []
    quantiser = Quantiser(plain, samples)
    order = sensitivity(quantiser, layers, samples[0])
    forms = []
    for count in (n for n in KEPT if n < len(layers)):
        kept = order[:count]
        data = quantiser.quantise([layer for layer in layers if layer not in kept])
        name = f"int8-{count}" if count else "int8"
        forms.append(Form(name, "int8", data, tuple(kept)))
    return forms


def quantisable(graph: bytes) -> list[str]:
    """Names of the convolutions that may be quantised: all but those over squares."""
    nodes = onnx.load_from_string(graph).graph.node
    squares = {
        node.output[0]
        for node in nodes
        if (node.op_type == "Mul" and node.input[0] == node.input[1]) or node.op_type == "Pow"
    }
    return [node.name for node in nodes if node.op_type == "Conv" and node.input[0] not in squares]


def sensitivity(quantiser: Quantiser, layers: Sequence[str], sample: Sample) -> list[str]:
    """Layers by the mean squared error that quantising each alone makes, largest first.

    Of networks with many layers the first and last ones are tried, which are the sensitive ones as
    a rule; a run for each layer of a large network would take an hour.
    """
    if len(layers) > MOST_TRIED:
        layers = [*layers[: MOST_TRIED // 2], *layers[-MOST_TRIED // 2 :]]
    reference = _run(quantiser.graph, sample)
    errors = {}
    for layer in layers:
        made = _run(quantiser.quantise([layer]), sample)
        errors[layer] = sum(float(np.mean((made[k] - v) ** 2)) for k, v in reference.items())
    return sorted(layers, key=lambda layer: -errors[layer])


class Quantiser:
    """A graph with named nodes and the ranges of its tensors on samples of its inputs."""

    def __init__(self, graph: bytes, samples: Sequence[Sample]) -> None:
        from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
        from onnxruntime.quantization.calibrate import create_calibrator

        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                self._left: Iterator[Mapping[str, np.ndarray]] = iter(samples)

            def get_next(self) -> dict[str, np.ndarray] | None:
                found = next(self._left, None)
                return None if found is None else dict(found)

        self.graph = graph
        with tempfile.TemporaryDirectory(prefix="latentsr-") as folder, _quiet():
            path = Path(folder) / "plain.onnx"
            path.write_bytes(graph)
            calibrator = create_calibrator(
                path, ["Conv"], str(Path(folder) / "measured.onnx"),
                calibrate_method=CalibrationMethod.MinMax,
            )  # fmt: skip
            calibrator.collect_data(Reader())
            self._ranges: Any = calibrator.compute_data()

    def quantise(self, layers: Sequence[str]) -> bytes:
        """The graph with these layers in INT8."""
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        with _quiet():
            quantiser = QDQQuantizer(
                onnx.load_from_string(self.graph), True, False, QuantType.QInt8, QuantType.QUInt8,
                self._ranges, list(layers), [], ["Conv"], {},
            )  # fmt: skip
            quantiser.quantize_model()
            quantiser.model.topological_sort()
        return to_bytes(quantiser.model.model)


def _run(graph: bytes, sample: Sample) -> dict[str, np.ndarray]:
    return get_backend("ort").load(graph, "int8", EngineOptions()).run(sample)


class _quiet:  # noqa: N801 - used as a function
    """No advice from the quantiser, which logs to the root logger."""

    def __enter__(self) -> None:
        self._level = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *error: object) -> None:
        logging.disable(self._level)
