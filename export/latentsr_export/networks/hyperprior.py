"""Scale and mean-scale hyperpriors: bmshj2018-hyperprior and mbt2018-mean.

Ballé et al. 2018 (arXiv 1802.01436) and Minnen et al. 2018 (arXiv 1809.02736), as CompressAI has
them: y at stride 16, z at stride 64, |y| into the hyper-analysis of the scale hyperprior, y itself
into that of the mean-scale one, whose hyper-synthesis gives scales and means side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.networks.factorized import (
    ENTROPY_DECODE_Z,
    bottleneck_tensors,
    cdf_tensors,
    graph_step,
    is_four_layer,
    transforms,
)
from latentsr_export.networks.halves import halves
from latentsr_export.parts import CodecParts, GraphSpec, Predicted


class AbsoluteHyperAnalysis(nn.Module):
    """h_a(|y|), with the absolute value inside the graph."""

    def __init__(self, h_a: nn.Module) -> None:
        super().__init__()
        self.h_a = h_a

    def forward(self, y: Tensor) -> Tensor:
        """(N, M, h, w) → (N, N, h/4, w/4)."""
        z: Tensor = self.h_a(torch.abs(y))
        return z


class SplitHyperSynthesis(nn.Module):
    """h_s(ẑ) split into scales and means."""

    def __init__(self, h_s: nn.Module) -> None:
        super().__init__()
        self.h_s = h_s

    def forward(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        """(N, N, h, w) → scales and means, each (N, M, 4h, 4w)."""
        return halves(self.h_s(z_hat))


class ScaleHyperprior:
    """CompressAI's ``ScaleHyperprior``: zero-mean Gaussians."""

    NAME = "bmshj2018-hyperprior"
    _model = "ScaleHyperprior"
    _means = False

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """The last layer of h_s has as many outputs as y has channels (twice with means)."""
        last = state.get("h_s.4.weight")
        context = any(k.startswith(("context_prediction", "entropy_parameters")) for k in state)
        if last is None or context or not is_four_layer(state) or "g_a.1.gamma" not in state:
            return False
        return last.shape[0] == state["g_a.6.weight"].shape[0] * (2 if self._means else 1)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights."""
        from compressai import models

        network: nn.Module = getattr(models, self._model).from_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """Graphs analysis, hyper-analysis, entropy parameters, synthesis; chunks z, y."""
        net: Any = network
        n, m = net.g_a[0].out_channels, net.g_a[6].out_channels
        outputs = ("scales", "means") if self._means else ("scales",)
        hyper = net.h_a if self._means else AbsoluteHyperAnalysis(net.h_a)
        parameters = SplitHyperSynthesis(net.h_s) if self._means else net.h_s
        graphs = transforms(net, m)
        graphs["hyper_analysis"] = GraphSpec(hyper, ("y",), ("z",), m, 16, "analysis")
        graphs["entropy_parameters"] = GraphSpec(
            parameters, ("z_hat",), outputs, n, 64, "hyper_analysis", True
        )
        given = {name: name for name in outputs}
        step = graph_step("entropy_parameters", ["z_hat"], list(outputs))
        return CodecParts(
            family=self.NAME,
            channels=(n, m),
            multiple=64,
            graphs=graphs,
            entropy_graphs=("entropy_parameters",),
            chunks=(
                {"name": "z", "model": "factorized", "channels": n, "stride": 64},
                {"name": "y", "model": "gaussian", "channels": m, "stride": 16},
            ),
            tensors=self._tensors(net),
            encode=(
                graph_step("analysis", ["x"], ["y"]),
                graph_step("hyper_analysis", ["y"], ["z"]),
                {"op": "entropy_encode", "chunk": "z", "in": "z", "out": "z_hat"},
                step,
                {"op": "entropy_encode", "chunk": "y", "in": "y", "out": "y_hat", **given},
            ),
            latent=(
                ENTROPY_DECODE_Z,
                step,
                {"op": "entropy_decode", "chunk": "y", "out": "y_hat", **given},
            ),
            predicted=(Predicted("y", "entropy_parameters"),),
        )

    @staticmethod
    def _tensors(net: Any) -> dict[str, np.ndarray]:
        conditional = net.gaussian_conditional
        scale_table = conditional.scale_table.detach().numpy().astype(np.float32)
        return {
            **bottleneck_tensors("z", net.entropy_bottleneck),
            **cdf_tensors("y", conditional),
            "y.scale_table": scale_table,
        }


class MeanScaleHyperprior(ScaleHyperprior):
    """CompressAI's ``MeanScaleHyperprior``: Gaussians with means."""

    NAME = "mbt2018-mean"
    _model = "MeanScaleHyperprior"
    _means = True
