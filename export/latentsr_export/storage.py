"""Weights stored as FP16 and computed in FP32: half the file, the same graph for the engine."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from latentsr.errors import ExportError

# Below this a Cast node costs more than the bytes it saves.
_LEAST = 1024
_LARGEST = 65504.0


def round_weights(module: nn.Module) -> nn.Module:
    """Round a module's large weights to what FP16 holds, in place, so that torch is the reference.

    Raises ExportError where a weight exceeds FP16's range.
    """
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.numel() < _LEAST:
                continue
            if not bool(tensor.abs().max() <= _LARGEST):
                raise ExportError(
                    f"weight {name} does not fit FP16: found {float(tensor.abs().max()):.4g}, "
                    f"expected at most {_LARGEST:g}; export without half weights"
                )
            tensor.copy_(tensor.half().float())
    return module


def store_half(data: bytes) -> bytes:
    """Rewrite an ONNX file: large FP32 weights that FP16 holds exactly become FP16 and a Cast.

    Engines fold the Cast when they load the graph, so nothing changes but the file.
    """
    model = onnx.load_from_string(data)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _LEAST:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(
            helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast",
                             to=onnx.TensorProto.FLOAT)
        )  # fmt: skip
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
