"""Small codecs of every family with random weights, for the exporter's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai import models
from PIL import Image

from latentsr.bundle import Bundle
from latentsr_export.exporter import export

# Odd channel counts, so that nothing can be right by being a usual number.
NETWORKS = {
    "bmshj2018-factorized": lambda: models.FactorizedPrior(10, 14),
    "bmshj2018-factorized-relu": lambda: models.FactorizedPriorReLU(10, 14),
    "bmshj2018-hyperprior": lambda: models.ScaleHyperprior(10, 14),
    "mbt2018-mean": lambda: models.MeanScaleHyperprior(10, 14),
    "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(10, 14),
    "cheng2020-anchor": lambda: models.Cheng2020Anchor(11),
    "cheng2020-attn": lambda: models.Cheng2020Attention(12),
    "cheng2020-anchor-checkerboard": lambda: models.Cheng2020AnchorCheckerboard(11),
    "elic2022-official": lambda: models.Elic2022Official(10, 21, [3, 4, 5, 9]),
    "elic2022-chandelier": lambda: models.Elic2022Chandelier(10, 21, [3, 4, 5, 9]),
}


def made(name: str) -> Any:
    """A network with seeded weights, lively enough that latents and scales vary."""
    torch.manual_seed(3)
    network = NETWORKS[name]().eval()
    with torch.no_grad():
        if hasattr(network, "latent_codec"):
            _enliven_passes(network)
        else:
            _enliven(network)
    network.update(force=True)
    return network


def _enliven(network: Any) -> None:
    for module in (network.g_a, getattr(network, "h_s", ())):
        convolutions = [layer for layer in module if hasattr(layer, "kernel_size")]
        for layer in convolutions[-1:]:
            layer.weight.mul_(30)
    for layer in list(getattr(network, "entropy_parameters", ()))[-1:]:
        layer.weight.mul_(4)


def _enliven_passes(network: Any) -> None:
    convolutions = [layer for layer in network.g_a if hasattr(layer, "kernel_size")]
    convolutions[-1].weight.mul_(30)
    for name, layer in network.latent_codec.named_modules():
        if name.endswith("context_prediction"):
            layer.weight.mul_(3)
        if name.endswith("entropy_parameters") and list(layer.children()):
            layer[-1].weight.mul_(6)
            layer[-1].bias.add_(0.5)


def exported(path: Path, network: Any, picture: np.ndarray, **options: Any) -> Bundle:
    """The network's bundle at `path`; calibrated on one small picture, which saves seconds."""
    torch.save(network.state_dict(), path.with_suffix(".pth"))
    Image.fromarray(picture).save(path.with_suffix(".png"))
    return export(path.with_suffix(".pth"), path, pictures=[path.with_suffix(".png")], **options)
