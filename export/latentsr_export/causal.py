"""Causal windows over a latent, and the layers of an estimator that starts from one.

The general form of a context model: what a causal window says of the latent, added to what the
hyperprior says, goes through 1x1 layers to scales and means. Lee et al. 2018 (arXiv 1809.10452)
has a 4x4 window that ends at the position; "causal convolutions" (van den Oord et al. 2016) have
odd ones around it, of which only what lies before the position counts.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.context_layers import ContextLayers, stack_of


class WindowConv2d(nn.Conv2d):
    """Convolution over the window of rows and columns that ends at the position's own row.

    Of `kernel_size` (h, w) it sees h - 1 rows above and the own one, w // 2 columns to the left and
    the rest to the right; outside the input are zeros. The size stays.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: Any = 1,
        padding: Any = 0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out, H, W)."""
        return super().forward(self.padded(x))

    def padded(self, x: Tensor) -> Tensor:
        """The input with the zeros that the window reaches."""
        height, width = self.kernel_size
        left = width // 2
        return nn.functional.pad(x, (left, width - 1 - left, height - 1, 0))


class CausalConv2d(WindowConv2d):
    """The same without the position itself and what follows it in raster order."""

    mask: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int]
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        mask = torch.ones(self.kernel_size)
        mask[-1, self.kernel_size[1] // 2 :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, out, H, W)."""
        return nn.functional.conv2d(self.padded(x), self.weight * self.mask, self.bias)

    def taps(self) -> tuple[np.ndarray, np.ndarray]:
        """(T, 2) offsets (dy, dx) before the position, and their weights (out, T, C)."""
        height, width = self.kernel_size
        places = cast("list[list[int]]", self.mask.nonzero().tolist())
        offsets = np.array([(i - height + 1, j - width // 2) for i, j in places], np.int32)
        weight = self.weight.detach().numpy()
        return offsets, np.ascontiguousarray(np.stack([weight[:, :, i, j] for i, j in places], 1))


def summed_layers(window: CausalConv2d, stack: nn.Module | None) -> ContextLayers:
    """Layers of parameters = stack(window(ŷ) + features), or just that sum.

    stack: a Sequential of activations and 1x1 convolutions in turn, an activation first and the
    2 M outputs, scales then means, last. Raises ExportError for other layers.
    """
    taps, weight = window.taps()
    outputs = len(weight)
    same, none = np.eye(outputs, dtype=np.float32), np.zeros(outputs, np.float32)
    assert window.bias is not None
    weights, biases = [weight, same], [window.bias.detach().numpy(), None]
    if stack is None:
        # Layer 1 is followed by an activation; of slope 1 it is none, and what follows the same.
        return ContextLayers(taps, (*weights, same), (*biases, none), 1.0)
    convolutions, slope = stack_of(stack, activation_first=True)
    for layer in convolutions:
        weights.append(layer.weight.detach().numpy()[:, :, 0, 0])
        biases.append(layer.bias.detach().numpy())
    return ContextLayers(taps, tuple(weights), tuple(biases), slope)
