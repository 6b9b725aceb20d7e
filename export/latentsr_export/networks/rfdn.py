"""RFDN (Liu et al. 2020, arXiv 2009.11551), which won AIM 2020's efficient SR challenge."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr_export.networks.folding import divide_range
from latentsr_export.networks.layouts import has_all
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio
from latentsr_export.networks.value_range import find_range

_SLOPE = 0.05
_STEPS = (1, 2, 3)


class WideESA(nn.Module):
    """Enhanced spatial attention with three convolutions at a sixth of the size."""

    def __init__(self, inner: int, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, inner, 1)
        self.conv_f = nn.Conv2d(inner, inner, 1)
        self.conv_max = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=2)
        self.conv3 = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv3_ = nn.Conv2d(inner, inner, 3, padding=1)
        self.conv4 = nn.Conv2d(inner, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`, whose sides are 15 or more."""
        full = self.conv1(x)
        small = F.max_pool2d(self.conv2(full), kernel_size=7, stride=3)
        small = F.relu(self.conv3(F.relu(self.conv_max(small))))
        small = self.conv3_(small)
        small = F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(small + self.conv_f(full)))


class RFDB(nn.Module):
    """Residual feature distillation block: each step keeps a part and passes the rest on."""

    def __init__(self, features: int, distilled: int, attention: int) -> None:
        super().__init__()
        for step in _STEPS:
            self.add_module(f"c{step}_d", nn.Conv2d(features, distilled, 1))
            self.add_module(f"c{step}_r", nn.Conv2d(features, features, 3, padding=1))
        self.c4 = nn.Conv2d(features, distilled, 3, padding=1)
        self.c5 = nn.Conv2d(distilled * 4, features, 1)
        self.esa = WideESA(attention, features)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        kept = []
        for step in _STEPS:
            kept.append(F.leaky_relu(self.get_submodule(f"c{step}_d")(x), _SLOPE))
            x = F.leaky_relu(self.get_submodule(f"c{step}_r")(x) + x, _SLOPE)
        kept.append(F.leaky_relu(self.c4(x), _SLOPE))
        return self.esa(self.c5(torch.cat(kept, dim=1)))


class RFDN(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped)."""

    NAME = "rfdn"
    KIND = "pixel_sr"
    MINIMUM = 15  # shortest side that the pooling of the attention can work on

    def __init__(
        self, features: int = 50, distilled: int = 25, attention: int = 12, blocks: int = 4,
        scale: int = 4,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale, self.blocks = scale, blocks
        self.fea_conv = nn.Conv2d(3, features, 3, padding=1)
        for index in range(blocks):
            self.add_module(f"B{index + 1}", RFDB(features, distilled, attention))
        self.c = nn.Sequential(nn.Conv2d(features * blocks, features, 1), nn.LeakyReLU(_SLOPE))
        self.LR_conv = nn.Conv2d(features, features, 3, padding=1)
        last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self.upsampler = nn.Sequential(last, nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        first = out = self.fea_conv(x)
        outs = []
        for index in range(self.blocks):
            out = self.get_submodule(f"B{index + 1}")(out)
            outs.append(out)
        return self.upsampler(self.LR_conv(self.c(torch.cat(outs, dim=1))) + first)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an RFDN checkpoint."""
        return has_all(state, "fea_conv.weight", "B1.c1_d.weight", "B1.esa.conv_max.weight")

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> RFDN:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent.

        Weights that were made for 0..255 are brought to 0..1.
        """
        features = int(check_shape(state, "fea_conv.weight", (None, 3, 3, 3)).shape[0])
        distilled = int(check_shape(state, "B1.c1_d.weight", (None, features, 1, 1)).shape[0])
        squeeze = check_shape(state, "B1.esa.conv1.weight", (None, features, 1, 1))
        scale = shuffle_ratio(state, "upsampler.0.weight", 3, features)
        blocks = count_blocks(state, "B{}.c1_d.weight", first=1)
        sizes = (features, distilled, int(squeeze.shape[0]), blocks, scale)
        value_range = find_range(build(state, cls, *sizes), scale)
        return build(divide_range(state, value_range, (".esa.conv4",)), cls, *sizes)
