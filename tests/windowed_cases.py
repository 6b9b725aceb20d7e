"""Small seeded codecs with causal windows, whose latents deviate by some steps."""

from __future__ import annotations

from typing import Any

import torch

from latentsr_export.networks.lee import ContextAdaptive
from latentsr_export.networks.suzuki import SelectiveDetail


def lee(m2: int) -> Any:
    """Base (m2 = 0) or hybrid model of Lee et al."""
    torch.manual_seed(4)
    network = ContextAdaptive(12, 10, m2, 20).eval()
    with torch.no_grad():
        network.g_a[-1].weight.mul_(40)
        network.z_scales.copy_(torch.linspace(0.3, 3, 12)[torch.randperm(12)])
        network.h_a[-1].weight.mul_(20)
        network.h_s[-2].weight.mul_(4)
        network.h_s[-2].bias.fill_(2.0)
        network.estimator.latent.weight.mul_(2)
        network.estimator.layers[-1].weight.mul_(2)
        network.estimator.layers[-1].bias[:10] = 0.8
    network.update(force=True)
    return network


def suzuki() -> Any:
    """The two decoders of Suzuki et al."""
    torch.manual_seed(5)
    network = SelectiveDetail((4, 6, 6, 8), (8, 6, 6, 4), (8, 5, 5, 4), 10, 6, 8, 1).eval()
    with torch.no_grad():
        network.encoder[-1].weight.mul_(30)
        network.h_s[-1].weight.mul_(8)
        network.h_s[-1].bias[:10] = 0.8
        network.context.weight.mul_(2)
    network.update(force=True)
    return network


WINDOWED = {
    "lee2018 base": lambda: lee(0),
    "lee2018 hybrid": lambda: lee(6),
    "suzuki2021": suzuki,
}
