"""Whether a network was made for values in 0..1 or 0..255, found from its weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Mean square error: trained networks keep a smooth picture to 1e-7, and to 1e-3 or worse on the
# wrong range.
_KEPT = 1e-3


@torch.no_grad()
def find_range(network: nn.Module, scale: int) -> float:
    """255 if the network keeps a smooth picture as it is on 0..255 only, else 1.

    network: takes and gives values of its own range, with all sides times `scale`. Public files do
    not say the range, but the biases are made for one: with the other, brightness and contrast of
    a smooth picture come out visibly wrong. Networks that keep nothing are taken to be of range 1.
    """
    row, column = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 4, 48), indexing="ij")
    picture = torch.stack([0.5 + 0.35 * torch.sin(row + k) * torch.cos(column) for k in range(3)])
    high = _error(network, picture[None], 255.0, scale)
    low = _error(network, picture[None], 1.0, scale)
    return 255.0 if high < _KEPT and high < low else 1.0


def _error(network: nn.Module, picture: Tensor, value_range: float, scale: int) -> float:
    made = network(picture * value_range) / value_range
    return float((F.avg_pool2d(made, scale) - picture).square().mean())
