"""GDN layers with baked parameters: plain multiplications that every engine can run."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


class FoldedGDN(nn.Module):
    """GDN with its reparametrised beta and gamma baked into a 1x1 convolution.

    Input and output are float (N, C, H, W). `inverse` multiplies by the norm instead of dividing;
    `absolute` is the simplified GDN1 form (norm of |x| without the square root).
    """

    def __init__(self, gamma: Tensor, beta: Tensor, inverse: bool, absolute: bool = False) -> None:
        super().__init__()
        channels = gamma.shape[0]
        self.inverse = inverse
        self.absolute = absolute
        self.norm = nn.Conv2d(channels, channels, 1)
        self.norm.weight = nn.Parameter(gamma.detach().reshape(channels, channels, 1, 1).clone())
        self.norm.bias = nn.Parameter(beta.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Normalised features of the shape of `x`."""
        if self.absolute:
            norm = self.norm(torch.abs(x))
            return x * norm if self.inverse else x / norm
        norm = self.norm(x * x)  # x * x, not x ** 2: engines run a general Pow slowly
        return x * torch.sqrt(norm) if self.inverse else x * torch.rsqrt(norm)


def fold_gdn(module: nn.Module) -> nn.Module:
    """Replace every CompressAI GDN inside `module`, in place, and return the module.

    A module that is itself a GDN is returned as its folded form. The outputs stay equal up to
    float32 rounding; the state dict does not, so save weights before folding.
    """
    from compressai.layers import GDN, GDN1

    if isinstance(module, GDN):
        return _fold_one(module, isinstance(module, GDN1))
    for name, child in module.named_children():
        folded = fold_gdn(child)
        if folded is not child:
            setattr(module, name, folded)
    return module


def _fold_one(layer: nn.Module, absolute: bool) -> FoldedGDN:
    gdn = cast(Any, layer)  # CompressAI is untyped
    with torch.no_grad():
        gamma = gdn.gamma_reparam(gdn.gamma)
        beta = gdn.beta_reparam(gdn.beta)
        folded = FoldedGDN(gamma, beta, bool(gdn.inverse), absolute)
    folded.to(gamma.device).train(layer.training)
    return folded
