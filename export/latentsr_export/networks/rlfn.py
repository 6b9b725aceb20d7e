"""RLFN (Kong et al. 2022, arXiv 2205.07514), which won NTIRE 2022's efficiency track."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr_export.networks.folding import divide_range
from latentsr_export.networks.layouts import Rule, has_all, rename
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio
from latentsr_export.networks.value_range import find_range

_SLOPE = 0.05
# The names of the authors' own repository to those of their entry to the challenge.
_AUTHORS: tuple[Rule, ...] = (
    (r"conv_1\.(\w+)", r"fea_conv.\1"),
    (r"block_(\d+)\.(.+)", r"B\1.\2"),
    (r"conv_2\.(\w+)", r"LR_conv.\1"),
)


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
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped)."""

    NAME = "rlfn"
    KIND = "pixel_sr"
    MINIMUM = 15  # shortest side that the pooling of the attention can work on

    def __init__(
        self, features: int = 46, inner: int = 48, attention: int = 16, blocks: int = 4,
        scale: int = 4,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale, self.blocks = scale, blocks
        self.fea_conv = nn.Conv2d(3, features, 3, padding=1)
        for index in range(blocks):
            self.add_module(f"B{index + 1}", RLFB(features, inner, attention))
        self.LR_conv = nn.Conv2d(features, features, 3, padding=1)
        last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self.upsampler = nn.Sequential(last, nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        first = self.fea_conv(x)
        out = first
        for index in range(self.blocks):
            out = self.get_submodule(f"B{index + 1}")(out)
        return self.upsampler(self.LR_conv(out) + first)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an RLFN checkpoint."""
        needed = ("fea_conv.weight", "B1.c1_r.weight", "B1.c5.weight", "B1.esa.conv_f.weight")
        own = rename(state, _AUTHORS)
        return has_all(own, *needed) and "B1.c1_d.weight" not in own

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> RLFN:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent.

        Weights that were made for 0..255 are brought to 0..1.
        """
        state = rename(state, _AUTHORS)
        features = int(check_shape(state, "fea_conv.weight", (None, 3, 3, 3)).shape[0])
        inner = int(check_shape(state, "B1.c1_r.weight", (None, features, 3, 3)).shape[0])
        squeeze = check_shape(state, "B1.esa.conv1.weight", (None, features, 1, 1))
        scale = shuffle_ratio(state, "upsampler.0.weight", 3, features)
        blocks = count_blocks(state, "B{}.c1_r.weight", first=1)
        sizes = (features, inner, int(squeeze.shape[0]), blocks, scale)
        value_range = find_range(build(state, cls, *sizes), scale)
        return build(divide_range(state, value_range, (".esa.conv4",)), cls, *sizes)
