"""RRDBNet-23 ×4 (ESRGAN, Wang et al. 2018, arXiv 1809.00219) without weights, and its work."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from latentsr_export.networks.rrdbnet import RRDBNet
from latentsr_export.pixel_sr import PixelSR

SEED = 0
_SIDE = 16
# Both kinds of convolution count their weights once for each position of one side's grid.
_COUNTED = (nn.Conv2d, nn.ConvTranspose2d)


def random_rrdbnet() -> PixelSR:
    """RRDBNet with 23 blocks, 64 features and growth 32, scale 4, PyTorch's own initial weights.

    The weights are the same in every process (seed 0); only the speed means anything.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module: nn.Module = RRDBNet().eval().requires_grad_(False)
    count = sum(parameter.numel() for parameter in module.parameters())
    return PixelSR(module, 4, "RRDBNet-23", count, "latentsr")


def count_macs(network: PixelSR) -> float:
    """Multiply-accumulates of all convolutions for each position of the input, by one run.

    Counted at about 16x16, on whole multiples of what the network takes; attention and linear
    layers are not counted.
    """
    side = -(-max(network.minimum, _SIDE) // network.multiple_of) * network.multiple_of
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal total
        layer: Any = module
        grid = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += layer.weight.numel() * grid.shape[-2] * grid.shape[-1]

    layers = [module for module in network.module.modules() if isinstance(module, _COUNTED)]
    handles = [layer.register_forward_hook(add) for layer in layers]
    try:
        network.module(torch.zeros(1, 3, side, side))
    finally:
        for handle in handles:
            handle.remove()
    return total / (side * side)
