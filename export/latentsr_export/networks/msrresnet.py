"""MSRResNet, the SRResNet without batch norm of BasicSR, mmsr and KAIR (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.layouts import Rule, has_all, rename
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio

_SLOPE = 0.1
# The names of mmsr and KAIR to those of BasicSR.
_OLDER: tuple[Rule, ...] = (
    (r"recon_trunk\.(.+)", r"body.\1"),
    (r"HRconv\.(\w+)", r"conv_hr.\1"),
)
_NEEDED = ("conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_hr.weight")
# Scale → the ratio of each pixel shuffle.
_STAGES = {2: (2,), 3: (3,), 4: (2, 2)}


class PlainBlock(nn.Module):
    """Convolution, ReLU, convolution, added to the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.conv2(F.relu(self.conv1(x)))


class MSRResNet(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    The network's output is added to the bilinear enlargement.
    """

    NAME = "msrresnet"
    KIND = "pixel_sr"

    def __init__(self, features: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.ratios = _STAGES[scale]
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*(PlainBlock(features) for _ in range(blocks)))
        for index, ratio in enumerate(self.ratios, 1):
            layer = nn.Conv2d(features, features * ratio * ratio, 3, padding=1)
            self.add_module(f"upconv{index}", layer)
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        out = self.body(F.leaky_relu(self.conv_first(x), _SLOPE))
        for index, ratio in enumerate(self.ratios, 1):
            wide = self.get_submodule(f"upconv{index}")(out)
            # The activation works on each value alone: before the shuffle it is the same.
            out = F.pixel_shuffle(F.leaky_relu(wide, _SLOPE), ratio)
        out = self.conv_last(F.leaky_relu(self.conv_hr(out), _SLOPE))
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return out + base

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an MSRResNet checkpoint, of BasicSR, mmsr or KAIR."""
        return has_all(rename(state, _OLDER), *_NEEDED)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> MSRResNet:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        state = rename(state, _OLDER)
        features = int(check_shape(state, "conv_first.weight", (None, 3, 3, 3)).shape[0])
        blocks = count_blocks(state, "body.{}.conv1.weight")
        stages = count_blocks(state, "upconv{}.weight", first=1)
        ratios = tuple(
            shuffle_ratio(state, f"upconv{index}.weight", features, features)
            for index in range(1, stages + 1)
        )
        for scale, known in _STAGES.items():
            if known == ratios:
                return build(state, cls, features, blocks, scale)
        raise CheckpointError(
            f"MSRResNet upsampler not understood: found pixel-shuffle stages {list(ratios)}, "
            f"expected one of {[list(known) for known in _STAGES.values()]}"
        )
