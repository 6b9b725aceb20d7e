"""Codecs with context models: mbt2018, cheng2020-anchor and cheng2020-attn, as CompressAI has them.

Minnen et al. 2018 (arXiv 1809.02736), Cheng et al. 2020 (arXiv 2001.01568, with one Gaussian):
y at stride 16, z at stride 64; the scales and means of a position of y come from the hyperprior
and from the positions decoded before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from latentsr_export.context_layers import context_layers
from latentsr_export.networks.factorized import (
    ENTROPY_DECODE_Z,
    bottleneck_tensors,
    cdf_tensors,
    graph_step,
    is_four_layer,
    transforms,
)
from latentsr_export.parts import CodecParts, GraphSpec, Predicted

PREFIX = "y.context"


class JointAutoregressive:
    """CompressAI's ``JointAutoregressiveHierarchicalPriors``."""

    NAME = "mbt2018"
    _model = "JointAutoregressiveHierarchicalPriors"

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """The four-layer transforms with GDN, and a context model."""
        return is_four_layer(state) and "g_a.1.gamma" in state and _has_context(state)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights."""
        from compressai import models

        network: nn.Module = getattr(models, self._model).from_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """Graphs analysis, hyper-analysis, features, synthesis; chunks z, y; the context model."""
        net: Any = network
        layers, first = context_layers(net.context_prediction, net.entropy_parameters)
        n, m = net.entropy_bottleneck.channels, layers.weights[0].shape[2]
        graphs = transforms(net, m)
        graphs["hyper_analysis"] = GraphSpec(net.h_a, ("y",), ("z",), m, 16, "analysis")
        graphs["entropy_parameters"] = GraphSpec(
            nn.Sequential(*net.h_s, first), ("z_hat",), ("features",), n, 64, "hyper_analysis", True
        )
        step = graph_step("entropy_parameters", ["z_hat"], ["features"])
        given = {"chunk": "y", "out": "y_hat", "features": "features"}
        context = {"tensors": PREFIX, "order": "wavefront"}
        gaussian = {"name": "y", "model": "gaussian", "channels": m, "stride": 16}
        return CodecParts(
            family=self.NAME,
            channels=(n, m),
            multiple=64,
            graphs=graphs,
            entropy_graphs=("entropy_parameters",),
            chunks=(
                {"name": "z", "model": "factorized", "channels": n, "stride": 64},
                {**gaussian, "context": context},
            ),
            tensors={
                **bottleneck_tensors("z", net.entropy_bottleneck),
                **cdf_tensors("y", net.gaussian_conditional),
                "y.scale_table": net.gaussian_conditional.scale_table.detach().float().numpy(),
                **layers.named(PREFIX),
            },
            encode=(
                graph_step("analysis", ["x"], ["y"]),
                graph_step("hyper_analysis", ["y"], ["z"]),
                {"op": "entropy_encode", "chunk": "z", "in": "z", "out": "z_hat"},
                step,
                {"op": "entropy_encode", "in": "y", **given},
            ),
            latent=(ENTROPY_DECODE_Z, step, {"op": "entropy_decode", **given}),
            predicted=(Predicted("y", "entropy_parameters", context=layers),),
        )


class Cheng2020Anchor(JointAutoregressive):
    """CompressAI's ``Cheng2020Anchor``: residual blocks and sub-pixel convolutions, N = M."""

    NAME = "cheng2020-anchor"
    _model = "Cheng2020Anchor"
    _attention = False

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Residual blocks in g_a, five layers in h_s, and a context model."""
        attention = "g_a.3.conv_a.0.conv.0.weight" in state
        # Behind the first attention block g_s is the anchor's, moved by one.
        block = f"g_s.{int(self._attention)}.conv1.weight"
        residual = {"g_a.0.conv1.weight", block, "h_s.8.weight"} <= set(state)
        return residual and attention == self._attention and _has_context(state)


class Cheng2020Attention(Cheng2020Anchor):
    """CompressAI's ``Cheng2020Attention``: the same with attention blocks."""

    NAME = "cheng2020-attn"
    _model = "Cheng2020Attention"
    _attention = True


def _has_context(state: Mapping[str, Tensor]) -> bool:
    return {"context_prediction.weight", "entropy_parameters.0.weight"} <= set(state)
