"""One float32 graph to its FP16 twin: calibrated, rescaled where that is exact, typed, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from latentsr.errors import ExportError
from latentsr_export.fp16.calibration import Range, Sample, ranges
from latentsr_export.fp16.emulation import emulated
from latentsr_export.fp16.exponents import Plan, plan
from latentsr_export.fp16.flow import Flow, name_of, read_flow
from latentsr_export.fp16.gdn import Gdn, find_gdns
from latentsr_export.fp16.halves import Typed, islands
from latentsr_export.fp16.rescale import Rescaled
from latentsr_export.trace import weights_bytes


@dataclass(frozen=True)
class Half:
    """An FP16 graph.

    data: the ONNX file. full: the float32 graph that was typed, equal to the original bit for
    bit. emulation: `data` in float32, see `emulation`. report: for the manifest, see `_report`.
    """

    data: bytes
    full: bytes
    emulation: bytes
    report: dict[str, Any]


def convert(data: bytes, samples: Sequence[Sample], ports: str = "fp32") -> Half:
    """FP16 twin of one graph.

    data: an ONNX file of float32. samples: its inputs on real pictures, from which the range of
    every tensor is taken. ports: the type of its inputs and outputs, ``fp32`` or ``fp16``.
    Raises ExportError where the result has NaN or infinite values on the samples.
    """
    flow = read_flow(data)
    met = ranges(data, flow.tensors, samples)
    _check_finite(flow, met, "in float32")
    gdns = find_gdns(flow)
    made = plan(flow, gdns, met)
    layers = [_layer(flow, made, gdn) for gdn in gdns]
    full = Rescaled(flow, made, met).write(gdns)
    typed = read_flow(full)
    full_nodes = islands(typed, made.wide)
    half = Typed(read_flow(full), full_nodes, ports).write()
    emulation = emulated(half)
    check_finite(typed, emulation, samples)
    report = {
        "ports": ports,
        "nodes": _count(typed, full_nodes, half),
        "weights_bytes": weights_bytes(onnx.load_from_string(half)),
        "islands": _by_reason(typed, full_nodes),
        "gdn": layers,
        "rescaled": dict(sorted(made.exponents.items())),
    }
    return Half(half, full, emulation, report)


def check_finite(flow: Flow, emulation: bytes, samples: Sequence[Sample]) -> None:
    """Raise ExportError that names the first node whose values leave FP16's range.

    flow: the float32 graph; emulation: its FP16 twin, emulated. Intermediate values count, too: an
    infinity may be gone from the output after a division.
    """
    _check_finite(flow, ranges(emulation, flow.tensors, samples), "in FP16")


def _check_finite(flow: Flow, met: Mapping[str, Range], where: str) -> None:
    for tensor in flow.tensors:
        if not met[tensor].finite:
            node = flow.producer.get(tensor)
            raise ExportError(
                f"graph {flow.model.graph.name} has values that are not finite {where}: found the "
                f"first at {tensor if node is None else name_of(node)}, expected numbers on every "
                "picture; check the weights, or export without fp16"
            )


def _layer(flow: Flow, made: Plan, gdn: Gdn) -> dict[str, Any]:
    """What was chosen for one GDN layer."""
    name = flow.producer[gdn.norm].name or gdn.norm
    if gdn not in made.square:
        return {"layer": name, "choice": "fp32", "reason": made.wide[gdn.norm]}
    exponent = made.square[gdn]
    if not exponent:
        return {"layer": name, "choice": "fp16"}
    return {"layer": name, "choice": "rescaled", "by": exponent}


def _count(flow: Flow, full_nodes: Mapping[str, str], half: bytes) -> dict[str, int]:
    """Nodes that compute values in FP16 and in float32, Casts, and nodes on other types."""
    nodes = onnx.load_from_string(half).graph.node
    casts = len(nodes) - len(flow.model.graph.node)
    others = len(flow.model.graph.node) - len(flow.nodes)
    return {"fp16": len(flow.nodes) - len(full_nodes), "fp32": len(full_nodes), "cast": casts,
            "other": others}  # fmt: skip


def _by_reason(flow: Flow, full_nodes: Mapping[str, str]) -> list[dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for node in flow.nodes:
        if node.output[0] in full_nodes:
            found.setdefault(full_nodes[node.output[0]], []).append(node.name or node.output[0])
    return [{"reason": reason, "nodes": names} for reason, names in found.items()]


def worst_node(half: Half, sample: Sample) -> str:
    """The node that adds most to the relative error of its inputs, for messages."""
    flow = read_flow(half.full)
    errors: dict[str, float] = {}
    worst, growth = "none", 0.0
    pairs = _tensors(half.full, flow, sample), _tensors(half.emulation, flow, sample)
    for tensor in flow.tensors:
        exact, rounded = pairs[0].get(tensor), pairs[1].get(tensor)
        if exact is None or rounded is None or not exact.size:
            continue
        error = float(np.abs(exact - rounded).mean()) / max(float(np.abs(exact).mean()), 1e-30)
        errors[tensor] = error
        node = flow.producer.get(tensor)
        if node is not None:
            before = max((errors.get(name, 0.0) for name in node.input), default=0.0)
            if error / max(before, 2.0**-12) > growth:
                worst, growth = name_of(node), error / max(before, 2.0**-12)
    return worst


def _tensors(data: bytes, flow: Flow, sample: Sample) -> dict[str, np.ndarray]:
    from latentsr.backends import get_backend
    from latentsr.backends.base import EngineOptions

    model = onnx.load_from_string(data)
    made = {name for node in model.graph.node for name in node.output}
    known = {value.name for value in model.graph.output}
    for tensor in flow.producer:
        if tensor in made - known:
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)
            )
    engine = get_backend("ort").load(model.SerializeToString(), "fp16", EngineOptions())
    return engine.run(sample)
