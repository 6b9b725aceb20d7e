"""CAR: the network of Jin et al. that removes compression artefacts before super-resolution.

Jin, Park and Jeong, "Super-resolution of compressed image by deep residual network", section
2.1.1, after DnCNN (Zhang et al. 2017): a 3x3 convolution to the features, layers of 3x3
convolution, batch normalisation and ReLU, and a 3x3 convolution back, which gives a residual.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from latentsr_export.networks.shapes import check_shape, count_blocks, load_strictly


class Layer(nn.Module):
    """Convolution, batch normalisation, ReLU; the normalisation is folded for inference."""

    def __init__(self, features: int, folded: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, features, 3, padding=1, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(features)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return self.activation(self.norm(self.conv(x)))


class ArtefactRemoval(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB of the same shape in about 0..1 (not clamped).

    first_relu: a ReLU after the first convolution, as DnCNN has it; a checkpoint does not tell.
    folded: without batch normalisation, whose factors are then in the convolutions.
    """

    NAME = "jin-car"
    KIND = "restoration"

    def __init__(
        self, features: int = 64, layers: int = 16, first_relu: bool = True, folded: bool = False
    ) -> None:
        super().__init__()
        self.scale = 1
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.activation = nn.ReLU() if first_relu else nn.Identity()
        self.body = nn.Sequential(*(Layer(features, folded) for _ in range(layers)))
        self.tail = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Picture without artefacts: the input plus the network's residual."""
        return x + self.tail(self.body(self.activation(self.head(x))))

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of a checkpoint of this network, folded or not."""
        return all(key in state for key in ("head.weight", "body.0.conv.weight", "tail.weight"))

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Tensor], first_relu: bool = True
    ) -> ArtefactRemoval:
        """Folded network in eval mode with sizes from `state`; CheckpointError if inconsistent."""
        features = int(check_shape(state, "head.weight", (None, 3, 3, 3)).shape[0])
        layers = count_blocks(state, "body.{}.conv.weight")
        folded = "body.0.norm.weight" not in state
        network = load_strictly(cls(features, layers, first_relu, folded), state).eval()
        return fold_batch_norm(network)


def fold_batch_norm(network: ArtefactRemoval) -> ArtefactRemoval:
    """The same function in eval mode with each normalisation inside the convolution before it."""
    first_relu = isinstance(network.activation, nn.ReLU)
    layers = list(network.body)
    made = ArtefactRemoval(network.head.out_channels, len(layers), first_relu, folded=True)
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("body.")}
    for number, layer in enumerate(layers):
        weight, bias = _folded(layer)
        state[f"body.{number}.conv.weight"] = weight
        state[f"body.{number}.conv.bias"] = bias
    return load_strictly(made, state).eval()


@torch.no_grad()
def _folded(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer's convolution and normalisation, by their running statistics."""
    conv, norm = layer.conv, layer.norm
    assert isinstance(conv, nn.Conv2d)
    bias = conv.bias if conv.bias is not None else torch.zeros(conv.out_channels)
    if not isinstance(norm, nn.BatchNorm2d):
        return conv.weight.detach(), bias.detach()
    assert norm.running_var is not None and norm.running_mean is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shifted: Tensor = norm.bias + (bias - norm.running_mean) * factor
    return conv.weight * factor.reshape(-1, 1, 1, 1), shifted
