"""bmshj2018-factorized: the factorized prior of Ballé et al. 2018 (arXiv 1802.01436)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.networks.gdn import fold_gdn
from latentsr_export.parts import CodecParts, GraphSpec, graph_step

_BOUNDS = {"likelihood_lower_bound.bound": 1e-9, "lower_bound_scale.bound": 0.11}
ENTROPY_DECODE_Z = {"op": "entropy_decode", "chunk": "z", "out": "z_hat"}


class Factorized:
    """CompressAI's ``FactorizedPrior``, with GDN or with ReLU."""

    NAME = "bmshj2018-factorized"

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Four-layer transforms, an entropy bottleneck, and no hyperprior."""
        return is_four_layer(state) and not any(key.startswith("h_") for key in state)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights."""
        from compressai.models import FactorizedPrior, FactorizedPriorReLU

        model = FactorizedPrior if "g_a.1.gamma" in state else FactorizedPriorReLU
        network: nn.Module = model.from_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """Graphs analysis and synthesis; y is coded with a table per channel."""
        net: Any = network
        channels = net.g_a[0].out_channels, net.g_a[6].out_channels
        graphs = transforms(net, channels[1])
        chunk = {"name": "y", "model": "factorized", "channels": channels[1], "stride": 16}
        return CodecParts(
            family=self.NAME,
            channels=channels,
            multiple=16,
            graphs=graphs,
            entropy_graphs=(),
            chunks=(chunk,),
            tensors=bottleneck_tensors("y", net.entropy_bottleneck),
            encode=(
                graph_step("analysis", ["x"], ["y"]),
                {"op": "entropy_encode", "chunk": "y", "in": "y", "out": "y_hat"},
            ),
            latent=({"op": "entropy_decode", "chunk": "y", "out": "y_hat"},),
        )


def is_four_layer(state: Mapping[str, Tensor]) -> bool:
    """Whether g_a and g_s are the four 5x5 layers of Ballé et al., with an entropy bottleneck."""
    weights = [state.get(f"g_a.{i}.weight") for i in (0, 2, 4, 6)]
    if any(w is None or w.ndim != 4 or w.shape[2:] != (5, 5) for w in weights):
        return False
    return "g_s.6.weight" in state and "entropy_bottleneck.quantiles" in state


def with_table_buffers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Today's key names, and empty entropy tables where a checkpoint was saved without any.

    CompressAI refuses a state dict that lacks the buffers, and fills empty ones in ``update()``.
    """
    from compressai.zoo.pretrained import load_pretrained

    whole: dict[str, Tensor] = dict(load_pretrained(dict(state)))
    models = [key.removesuffix(".quantiles") for key in whole if key.endswith(".quantiles")]
    gaussian = [f"{prefix}gaussian_conditional" for prefix in _gaussian_prefixes(whole)]
    for model in gaussian:
        whole.setdefault(f"{model}.scale_table", torch.empty(0))
        # The bound on σ is not trained: CompressAI's smallest scale, as its models set it.
        for name, default in _BOUNDS.items():
            whole.setdefault(f"{model}.{name}", torch.tensor([default]))
    for name in (*models, *gaussian):
        for buffer in ("_quantized_cdf", "_cdf_length", "_offset"):
            whole.setdefault(f"{name}.{buffer}", torch.empty(0, dtype=torch.int32))
    return whole


def _gaussian_prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """Where a model keeps its Gaussian tables: beside h_s, or inside a codec of its latent."""
    if any(key.startswith("h_s.") for key in state):
        return [""]
    masks = [key for key in state if key.endswith("context_prediction.mask")]
    return [key.removesuffix("context_prediction.mask") + "y." for key in masks]


def transforms(net: Any, latent_channels: int) -> dict[str, GraphSpec]:
    """The graphs of the analysis and synthesis transforms, GDN folded."""
    return {
        "analysis": GraphSpec(fold_gdn(net.g_a), ("x",), ("y",), 3, 1, "picture"),
        "synthesis": GraphSpec(
            fold_gdn(net.g_s), ("y_hat",), ("x_hat",), latent_channels, 16, "analysis", True
        ),
    }


def bottleneck_tensors(chunk: str, bottleneck: Any) -> dict[str, np.ndarray]:
    """Tables and medians of an entropy bottleneck, by the names of `tables.safetensors`."""
    medians = bottleneck.quantiles[:, 0, 1].detach().numpy().astype(np.float32)
    return {**cdf_tensors(chunk, bottleneck), f"{chunk}.medians": medians}


def cdf_tensors(chunk: str, model: Any) -> dict[str, np.ndarray]:
    """CDF, lengths and offsets of one of CompressAI's entropy models as int32."""
    named = {"cdf": "_quantized_cdf", "length": "_cdf_length", "offset": "_offset"}
    return {
        f"{chunk}.{ours}": getattr(model, theirs).detach().numpy().astype(np.int32)
        for ours, theirs in named.items()
    }
