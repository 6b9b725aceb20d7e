"""Small SR networks and graphs made by hand for the tests of FP16 export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr_export.fp16.emulation import emulated
from latentsr_export.fp16.flow import finish, read_flow
from latentsr_export.fp16.halves import Typed
from latentsr_export.networks.edsr import EDSR, initialise_as_bilinear
from latentsr_export.networks.gdn import fold_gdn
from latentsr_export.networks.latent_sr import LatentSR
from latentsr_export.networks.latent_sr_light import LatentSRLight
from latentsr_export.networks.rlfn import RLFN
from latentsr_export.parts import GraphSpec
from latentsr_export.trace import trace

LATENT, PICTURE = (7, 6, 5), (3, 40, 56)


def _rrdbnet() -> nn.Module:
    from spandrel.architectures.ESRGAN import ESRGAN

    network: nn.Module = ESRGAN(num_filters=8, num_blocks=1)
    return network


def _edsr(mean_shift: bool) -> EDSR:
    network = EDSR(9, 2, 4, mean_shift)
    if not mean_shift:
        initialise_as_bilinear(network)
    return network


# Network and shape of one input (C, H, W).
NETWORKS: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "latent-rrdb": (lambda: LatentSR(7, 8, 1, 4, (8, 7, 6, 5, 4, 3)), LATENT),
    "latent-light": (lambda: fold_gdn(LatentSRLight(7, 10, 1, 1)), LATENT),
    "edsr": (lambda: _edsr(False), PICTURE),
    "edsr-mean-shift": (lambda: _edsr(True), PICTURE),
    "rlfn": (lambda: RLFN(9, 10, 4, 2), PICTURE),
    "rrdbnet": (_rrdbnet, PICTURE),
}


def network_graph(name: str) -> tuple[bytes, list[dict[str, np.ndarray]]]:
    """A network with seeded weights as an ONNX file, and inputs of two sizes."""
    torch.manual_seed(5)
    make, (channels, height, width) = NETWORKS[name]
    latent = channels != 3
    ports = ("y_hat",) if latent else ("x",)
    spec = GraphSpec(make(), ports, ("hr",), channels, 16 if latent else 1, "analysis")
    sizes = [(height, width), (height + 3, width - 2)]
    return trace(name, spec), [{ports[0]: _values(channels, *size, latent)} for size in sizes]


def _values(channels: int, height: int, width: int, latent: bool) -> np.ndarray:
    """Rounded latents, or a smooth picture in 0..1."""
    if latent:
        spread = np.random.default_rng(1).normal(0, 4, (1, channels, height, width))
        return np.rint(spread).astype(np.float32)
    row, column = np.mgrid[0:height, 0:width]
    waves = [0.5 + 0.45 * np.sin(row / 5 + k) * np.cos(column / (3 + k)) for k in range(channels)]
    return np.stack(waves)[np.newaxis].astype(np.float32)


def model(
    nodes: Sequence[onnx.NodeProto], constants: dict[str, np.ndarray], channels: int = 3,
    opset: int = 17,
) -> bytes:  # fmt: skip
    """A graph from float32 `x` (1, C, H, W) to `y`."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, c, "h", "w"])
             for name, c in (("x", channels), ("y", None))]  # fmt: skip
    held = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(list(nodes), "made", ports[:1], ports[1:], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(made.SerializeToString())


def engine(data: bytes) -> Engine:
    """A graph in ONNX Runtime."""
    return get_backend("ort").load(data, "made", EngineOptions(threads=1))


def run(data: bytes, sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a graph in ONNX Runtime."""
    return engine(data).run(sample)


def tidy(data: bytes) -> bytes:
    """The same graph with its constants as the converter writes them.

    ONNX Runtime fuses otherwise around Constant nodes, which moves the last bit of a result.
    """
    return finish(read_flow(data).model)


def naive(data: bytes) -> bytes:
    """Every weight and value FP16, whatever its size: what a plain converter makes."""
    return Typed(read_flow(data), {}).write()


def naive_result(data: bytes, sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What hardware with FP16 values makes of the naive conversion."""
    return run(emulated(naive(data)), sample)


def types(data: bytes) -> dict[str, int]:
    """Element types of all tensors of a graph by name."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(data)).graph
    infos = (*inferred.value_info, *inferred.input, *inferred.output)
    held = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    return held | {info.name: info.type.tensor_type.elem_type for info in infos}
