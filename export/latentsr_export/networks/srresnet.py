"""SRResNet and the SRGAN generator (Ledig et al. 2017, arXiv 1609.04802), batch norm folded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.folding import State
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio
from latentsr_export.networks.srresnet_layouts import find_layout

# Scale → the ratio of each pixel shuffle.
_STAGES = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


class ActiveBlock(nn.Module):
    """Convolution, PReLU, convolution, added to the input."""

    def __init__(self, features: int, slopes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.act = nn.PReLU(slopes)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.conv2(self.act(self.conv1(x)))


class SubPixel(nn.Module):
    """Convolution, pixel shuffle, PReLU."""

    def __init__(self, features: int, ratio: int, slopes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, features * ratio * ratio, 3, padding=1)
        self.act = nn.PReLU(slopes)
        self.ratio = ratio

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, ratio*H, ratio*W) from (N, features, H, W)."""
        return self.act(F.pixel_shuffle(self.conv(x), self.ratio))


class SRResNet(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    kernels: of the first and the last convolution. slopes: of each PReLU, 1 or one a feature.
    middle_act: whether a PReLU stands after the trunk. mean_shift: whether a mean colour is taken
    off the input. bounded: whether the output goes through (tanh(y) + 1) / 2, written as the
    sigmoid of 2y, whose factor is in the last convolution.
    """

    NAME = "srresnet"
    KIND = "pixel_sr"
    mean: Tensor

    def __init__(
        self, features: int = 64, blocks: int = 16, scale: int = 4,
        kernels: tuple[int, int] = (9, 9), slopes: int = 1, middle_act: bool = False,
        mean_shift: bool = False, bounded: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale, self.mean_shift, self.bounded = scale, mean_shift, bounded
        if mean_shift:
            self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        first, last = kernels
        self.head = nn.ModuleDict(
            {"conv": nn.Conv2d(3, features, first, padding=first // 2), "act": nn.PReLU(slopes)}
        )
        self.blocks = nn.Sequential(*(ActiveBlock(features, slopes) for _ in range(blocks)))
        self.middle = nn.ModuleDict({"conv": nn.Conv2d(features, features, 3, padding=1)})
        if middle_act:
            self.middle["act"] = nn.PReLU(slopes)
        self.up = nn.Sequential(*(SubPixel(features, ratio, slopes) for ratio in _STAGES[scale]))
        self.tail = nn.Conv2d(features, 3, last, padding=last // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        if self.mean_shift:
            x = x - self.mean
        first = self.head["act"](self.head["conv"](x))
        out = self.middle["conv"](self.blocks(first))
        if "act" in self.middle:
            out = self.middle["act"](out)
        out = self.tail(self.up(first + out))
        return torch.sigmoid(out) if self.bounded else out

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of one of the layouts in `srresnet_layouts`."""
        return find_layout(state) is not None

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> SRResNet:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        layout = find_layout(state)
        if layout is None:
            raise CheckpointError(
                "checkpoint holds no SRResNet: expected the keys of SRGAN by leftthomas, "
                "SRGAN-PyTorch or a-PyTorch-Tutorial-to-Super-Resolution"
            )
        state = layout.plain(state)
        weight = check_shape(state, "head.conv.weight", (None, 3, None, None))
        features = int(weight.shape[0])
        kernels = (_side(state, "head.conv.weight"), _side(state, "tail.weight"))
        blocks = count_blocks(state, "blocks.{}.conv1.weight")
        slopes = int(check_shape(state, "head.act.weight", (None,)).shape[0])
        if slopes not in (1, features):
            raise CheckpointError(
                f"tensor 'head.act.weight' has a wrong shape: found {slopes} slopes, expected 1 "
                f"or {features}"
            )
        return build(
            state, cls, features, blocks, _scale(state, features), kernels, slopes,
            "middle.act.weight" in state, "mean" in state, layout.bounded,
        )  # fmt: skip


def _side(state: State, key: str) -> int:
    """Side of a square kernel of odd size."""
    shape = check_shape(state, key, (None, None, None, None)).shape
    if shape[2] != shape[3] or shape[2] % 2 == 0:
        raise CheckpointError(
            f"tensor {key!r} has a wrong shape: found a kernel of {shape[2]}x{shape[3]}, expected "
            "an odd square"
        )
    return int(shape[2])


def _scale(state: State, features: int) -> int:
    stages = count_blocks(state, "up.{}.conv.weight")
    ratios = tuple(
        shuffle_ratio(state, f"up.{index}.conv.weight", features, features)
        for index in range(stages)
    )
    for scale, known in _STAGES.items():
        if known == ratios:
            return scale
    raise CheckpointError(
        f"SRResNet upsampler not understood: found pixel-shuffle stages {list(ratios)}, expected "
        f"one of {[list(known) for known in _STAGES.values()]}"
    )
