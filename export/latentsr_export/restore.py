"""A bundle's networks back in PyTorch: what its float graphs and entropy tables hold, no more.

`restore_codec` gives CompressAI's own model, which compresses and decompresses as the one that
was exported. The density model of its entropy bottleneck is not in a bundle, only the tables made
from it: likelihoods, training and ``update(force=True)`` need the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from latentsr.bundle import Bundle
from latentsr.errors import BundleError, CheckpointError
from latentsr_export.pixel_sr import PixelSR, recognise_own

# Family → CompressAI's classes by how many layers with weights the analysis transform has.
FAMILIES = {
    "bmshj2018-factorized": {7: "FactorizedPrior", 4: "FactorizedPriorReLU"},
    "bmshj2018-hyperprior": {7: "ScaleHyperprior"},
    "mbt2018-mean": {7: "MeanScaleHyperprior"},
}
_TRANSFORMS = {
    "g_a": "analysis",
    "g_s": "synthesis",
    "h_a": "hyper_analysis",
    "h_s": "entropy_parameters",
}
_MODELS = {"factorized": "entropy_bottleneck", "gaussian": "gaussian_conditional"}
# No published codec has more than 320; a damaged bundle must not make us build a giant.
_MOST_CHANNELS = 1024


@dataclass(frozen=True)
class _Layer:
    """Weight and bias of one convolution of a graph."""

    weight: Tensor
    bias: Tensor | None


def restore_codec(bundle: Bundle) -> nn.Module:
    """CompressAI's model with the bundle's weights and tables, in eval mode.

    Weights are those of the float graphs, so the model reads strings whose scales came from a
    float network. Raises BundleError for families and graphs that it does not know.
    """
    from compressai import models

    layers = {name: _layers(bundle, name) for name in _TRANSFORMS.values()
              if name in bundle.manifest.graphs}  # fmt: skip
    name, channels = _recognise(bundle, layers.get("analysis", []))
    network: nn.Module = getattr(models, name)(*channels)
    for attribute, graph in _TRANSFORMS.items():
        transform = getattr(network, attribute, None)
        if transform is not None:
            _fill(transform, layers.get(graph, []), graph)
    _fill_tables(network, bundle)
    return network.eval().requires_grad_(False)


def restore_pixel_sr(bundle: Bundle) -> PixelSR:
    """The bundle's pixel SR network, where it is one of our own (EDSR, RLFN), in eval mode.

    Raises BundleError where the bundle has none, or one whose graph does not name its layers.
    """
    state = {name: torch.from_numpy(a) for name, a in _weights(bundle, "pixel_sr").items()}
    try:
        network = recognise_own(state, f"graph pixel_sr of {bundle.path}")
    except CheckpointError as error:
        raise BundleError(f"pixel SR network cannot be restored: {error}") from None
    if network is None:
        raise BundleError(
            f"pixel SR network cannot be restored from its graph: found tensors "
            f"{', '.join(list(state)[:3])} …, expected those of EDSR or RLFN; pass the network's "
            "checkpoint with --baseline-sr"
        )
    network.module.eval().requires_grad_(False)
    return network


def _recognise(bundle: Bundle, analysis: Sequence[_Layer]) -> tuple[str, tuple[int, int]]:
    """CompressAI's class and (N, M), from the family and the analysis transform's shapes."""
    family = bundle.manifest.family
    name = FAMILIES.get(family, {}).get(len(analysis))
    if name is None:
        raise BundleError(
            f"codec cannot be restored: found family {family} with {len(analysis)} layers in its "
            f"analysis transform, expected one of {', '.join(FAMILIES)} with 4 or 7; use another "
            "baseline"
        )
    n, m = analysis[0].weight.shape[0], analysis[-1].weight.shape[0]
    if not (1 <= n <= _MOST_CHANNELS and 1 <= m <= _MOST_CHANNELS):
        raise BundleError(
            f"codec cannot be restored: found {n} and {m} channels, expected 1..{_MOST_CHANNELS}; "
            "export the bundle again"
        )
    return name, (n, m)


def _fill(transform: nn.Module, layers: Sequence[_Layer], graph: str) -> None:
    """Copy a graph's convolutions, in the order in which they run, into a transform's layers."""
    from compressai.layers import GDN

    kinds = (nn.Conv2d, nn.ConvTranspose2d, GDN)
    own: list[Any] = [module for module in transform.modules() if isinstance(module, kinds)]
    if len(own) != len(layers):
        raise BundleError(
            f"graph {graph} does not fit the codec: found {len(layers)} layers with weights, "
            f"expected {len(own)}; export the bundle again"
        )
    for number, (module, layer) in enumerate(zip(own, layers, strict=True)):
        place = f"{graph}, layer {number}"
        if isinstance(module, GDN):
            # CompressAI keeps square roots of γ and β and squares them in each call.
            gamma, beta = module.gamma_reparam, module.beta_reparam
            side = module.gamma.shape[0]
            weight = _checked(layer.weight, (side, side, 1, 1), place).reshape(side, side)
            module.gamma.data = gamma.init(weight)
            module.beta.data = beta.init(_checked(layer.bias, (side,), place))
        else:
            module.weight.data = _checked(layer.weight, tuple(module.weight.shape), place)
            module.bias.data = _checked(layer.bias, tuple(module.bias.shape), place)


def _checked(tensor: Tensor | None, shape: tuple[int, ...], place: str) -> Tensor:
    if tensor is None or tuple(tensor.shape) != shape:
        found = None if tensor is None else tuple(tensor.shape)
        raise BundleError(
            f"{place}: found weights of shape {found}, expected {shape}; export the bundle again"
        )
    return tensor


def _fill_tables(network: Any, bundle: Bundle) -> None:
    """CDF tables, medians and scale table into CompressAI's entropy models."""
    for chunk in bundle.manifest.chunks:
        model = getattr(network, _MODELS[chunk.model])
        tables = bundle.tables(chunk)
        model._quantized_cdf = torch.tensor(tables.cdf)
        model._cdf_length = torch.tensor(tables.length)
        model._offset = torch.tensor(tables.offset)
        if chunk.model == "factorized":
            medians = bundle.tensor(f"{chunk.name}.medians", "float32", (model.channels,))
            model.quantiles.data[:, 0, 1] = torch.tensor(medians)
        else:
            rows = (tables.rows,)
            model.scale_table = torch.tensor(
                bundle.tensor(f"{chunk.name}.scale_table", "float32", rows)
            )


def _layers(bundle: Bundle, graph: str) -> list[_Layer]:
    """The convolutions of a graph in the order in which they run."""
    weights = _weights(bundle, graph)
    found = []
    for node in _model(bundle, graph).graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in weights:
            pair = [torch.from_numpy(weights[n]) for n in node.input[1:] if n in weights]
            found.append(_Layer(pair[0], pair[1] if len(pair) > 1 else None))
    return found


def _weights(bundle: Bundle, graph: str) -> dict[str, np.ndarray]:
    """Float initialisers of a graph as float32, by name.

    Those stored as FP16 go by the name that their Cast gives them. torch writes equal tensors
    once and names the others by an Identity.
    """
    model = _model(bundle, graph)
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    stored = {}
    for tensor in model.graph.initializer:
        # A tensor in another file would be read from wherever the bundle says.
        if tensor.data_type in floats and tensor.data_location == TensorProto.DEFAULT:
            stored[tensor.name] = tensor
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            stored[node.output[0]] = stored.pop(node.input[0])
        elif node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    try:
        # Copies: the arrays that ONNX gives cannot be written to.
        return {n: np.array(numpy_helper.to_array(t), np.float32) for n, t in stored.items()}
    except (ValueError, TypeError) as error:
        raise _unreadable(bundle, graph, error) from None


def _model(bundle: Bundle, graph: str) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(bundle.graph(graph))
    except BundleError:
        raise
    except Exception as error:  # protobuf's own errors have no common public class
        raise _unreadable(bundle, graph, error) from None


def _unreadable(bundle: Bundle, graph: str, error: Exception) -> BundleError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return BundleError(
        f"graph {graph} cannot be read: found {first} in {bundle.path}, expected an ONNX file; "
        "export the bundle again"
    )
