"""RLFN, the small pixel super-resolution network that won NTIRE 2022's efficiency track."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.shapes import check_shape, count_blocks, load_strictly

_SLOPE = 0.05


class ESA(nn.Module):
    """Enhanced spatial attention: scales each feature by a mask seen at a sixth of the size."""

    def __init__(self, inner: int, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, inner, 1)
        self.conv_f = nn.Conv2d(inner, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv3 = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv4 = nn.Conv2d(inner, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`, whose sides are 15 or more."""
        full = self.conv1(x)
        small = self.conv3(F.max_pool2d(self.conv2(full), kernel_size=7, stride=3))
        small = F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(small + self.conv_f(full)))


class RLFB(nn.Module):
    """Residual local feature block: three convolutions, the input added, then attention."""

    def __init__(self, features: int, inner: int, attention: int) -> None:
        super().__init__()
        self.c1_r = nn.Conv2d(features, inner, 3, padding=1)
        self.c2_r = nn.Conv2d(inner, inner, 3, padding=1)
        self.c3_r = nn.Conv2d(inner, features, 3, padding=1)
        self.c5 = nn.Conv2d(features, features, 1)
        self.esa = ESA(attention, features)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        out = x
        for layer in (self.c1_r, self.c2_r, self.c3_r):
            out = F.leaky_relu(layer(out), _SLOPE)
        return self.esa(self.c5(out + x))


class RLFN(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    value_range: what the weights were trained on, 255 or 1; it is applied here.
    """

    NAME = "rlfn"
    KIND = "pixel_sr"
    MINIMUM = 15  # shortest side that the pooling of the attention can work on

    def __init__(
        self, features: int = 46, inner: int = 48, attention: int = 16, blocks: int = 4,
        scale: int = 4, value_range: float = 255.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale, self.blocks, self.value_range = scale, blocks, value_range
        self.fea_conv = nn.Conv2d(3, features, 3, padding=1)
        for index in range(blocks):
            self.add_module(f"B{index + 1}", RLFB(features, inner, attention))
        self.LR_conv = nn.Conv2d(features, features, 3, padding=1)
        last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self.upsampler = nn.Sequential(last, nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        first = self.fea_conv(x * self.value_range)
        out = first
        for index in range(self.blocks):
            out = self.get_submodule(f"B{index + 1}")(out)
        out = self.upsampler(self.LR_conv(out) + first)
        return out * (1.0 / self.value_range)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an RLFN checkpoint."""
        needed = ("fea_conv.weight", "B1.c1_r.weight", "B1.esa.conv_f.weight", "upsampler.0.weight")
        return all(key in state for key in needed)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> RLFN:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        features = int(check_shape(state, "fea_conv.weight", (None, 3, 3, 3)).shape[0])
        inner = int(check_shape(state, "B1.c1_r.weight", (None, features, 3, 3)).shape[0])
        squeeze = check_shape(state, "B1.esa.conv1.weight", (None, features, 1, 1))
        last = check_shape(state, "upsampler.0.weight", (None, features, 3, 3))
        scale = math.isqrt(int(last.shape[0]) // 3)
        if scale < 1 or 3 * scale * scale != last.shape[0]:
            raise CheckpointError(
                f"tensor 'upsampler.0.weight' has a wrong shape: found {last.shape[0]} outputs, "
                "expected 3 times a square"
            )
        # The file counts from 1, `count_blocks` from 0.
        first = {key.removeprefix("B"): state[key] for key in state if key.startswith("B")}
        blocks = count_blocks({"0.c1_r.weight": squeeze, **first}, "{}.c1_r.weight") - 1
        network = cls(features, inner, int(squeeze.shape[0]), blocks, scale)
        return _with_range(load_strictly(network, state).eval())


@torch.no_grad()
def _with_range(network: RLFN) -> RLFN:
    """Set `value_range` to the one under which the network keeps a plain picture as it is.

    The file does not say it, but the biases are made for one range: with the other, brightness
    and contrast of a smooth picture come out visibly wrong.
    """
    row, column = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 4, 48), indexing="ij")
    picture = torch.stack([0.5 + 0.35 * torch.sin(row + k) * torch.cos(column) for k in range(3)])
    errors = {}
    for value_range in (255.0, 1.0):
        network.value_range = value_range
        reduced = F.avg_pool2d(network(picture[None]), network.scale)
        errors[value_range] = float((reduced[0] - picture).square().mean())
    network.value_range = min(errors, key=lambda key: errors[key])
    return network
