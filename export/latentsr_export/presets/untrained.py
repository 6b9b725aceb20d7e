"""Untrained networks whose values stay in range: seeded weights, outputs brought to a known spread.

PyTorch's initial weights let values die away layer by layer: latents would all be rounded to zero
and pictures be one colour. So the last layer of each network is scaled by what it makes of the
shipped picture. The factor is a power of two, and shifts are multiples of 1/64, so that a sum that
another machine rounds otherwise does not give other weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from latentsr.image import to_rgb8
from latentsr_export.assemble import PICTURE
from latentsr_export.load import ready
from latentsr_export.networks.edsr import EDSR, initialise_as_bilinear

SEED = 0
_SIDE = 128
_STEP = 64.0
Made = TypeVar("Made", bound=nn.Module)


def seeded(make: Callable[[], Made]) -> Made:
    """What `make` makes, with the same weights in every process; the generator's state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return make().eval()


def sample(side: int = _SIDE) -> Tensor:
    """A corner of the shipped picture: float32 (1, 3, side, side) in 0..1."""
    planes = np.ascontiguousarray(to_rgb8(PICTURE)[-side:, -side:].transpose(2, 0, 1))
    return torch.from_numpy(planes)[None].float() / 255


@torch.no_grad()
def settle(
    network: Callable[[Tensor], Tensor], last: nn.Module, x: Tensor, spread: float, mean: float
) -> Tensor:
    """Scale and shift a network's last layer so that of `x` it makes about this spread and mean.

    spread: standard deviation, met within a factor of 1.5. The network must be linear in its last
    layer. Returns what it makes then, up to rounding. `x` must not be a few positions only: borders
    are padded with zeros, where deep networks make something else.
    """
    layer = cast(Any, last)
    made = network(x)
    ratio = spread / max(float(made.std()), 1e-12)
    factor = 2.0 ** round(math.log2(ratio))
    layer.weight.mul_(factor)
    shift = round((mean - float(made.mean()) * factor) * _STEP) / _STEP
    layer.bias.mul_(factor).add_(shift)
    return made * factor + shift


def scale_hyperprior(n: int, m: int) -> nn.Module:
    """CompressAI's ScaleHyperprior with lively latents, and scales that fit them."""
    from compressai.models import ScaleHyperprior

    network: Any = seeded(lambda: ScaleHyperprior(n, m))
    y = settle(network.g_a, network.g_a[-1], sample(), 3.0, 0.0)
    z = settle(lambda v: network.h_a(torch.abs(v)), network.h_a[-1], y, 2.0, 0.0)
    parameters = network.h_s[:-1]  # without its last ReLU
    settle(parameters, parameters[-1], torch.round(z), 1.0, 2.5)
    settle(network.g_s, network.g_s[-1], torch.round(y), 0.2, 0.5)
    return ready(network)


def latent_of(codec: nn.Module) -> Tensor:
    """The codec's rounded latent of `sample`."""
    analysis = cast(Any, codec).g_a
    with torch.no_grad():
        return torch.round(analysis(sample()))


def picture_network(network: Made, last: nn.Module, x: Tensor) -> Made:
    """The network, its output for `x` made a picture's: mean 0.5, standard deviation 0.2."""
    settle(network, last, x, 0.2, 0.5)
    return network


def edsr(features: int, blocks: int, scale: int) -> EDSR:
    """EDSR that starts as bilinear enlargement, with noise of its branches."""
    network = seeded(lambda: EDSR(features, blocks, scale))
    initialise_as_bilinear(network)
    return network
