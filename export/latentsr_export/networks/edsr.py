"""EDSR (Lim et al. 2017, arXiv 1707.02921), with the key names of the EDSR-PyTorch files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.folding import DIV2K_MEAN, State, divide_range, fold_mean_shift
from latentsr_export.networks.layouts import Rule, has_all, rename
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio

# Upsampler layouts: scale -> ratio of each pixel-shuffle stage.
STAGES = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
_BASICSR = (
    "conv_first.weight",
    "body.0.conv1.weight",
    "conv_after_body.weight",
    "conv_last.weight",
)
_BASICSR_RANGE = 255.0  # its networks' img_range, which their files do not store


class ResBlock(nn.Module):
    """Convolution, ReLU, convolution, added to the input times `res_scale`."""

    def __init__(self, features: int, res_scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
        )
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        residual = self.body(x)
        if self.res_scale != 1.0:
            residual = residual * self.res_scale
        return x + residual


class EDSR(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    With `mean_shift` the network takes a mean colour off, as the public weights do; adding it again
    is in the last bias. The public weights work on 0..255, which the biases are brought from.
    The residual scale is not stored in checkpoints: as in the paper it is 0.1 for the wide
    network (256 features) and 1 otherwise.
    """

    NAME = "edsr"
    KIND = "pixel_sr"
    mean: Tensor

    def __init__(
        self, features: int = 64, blocks: int = 16, scale: int = 4, mean_shift: bool = False
    ) -> None:
        super().__init__()
        self.scale = scale
        self.mean_shift = mean_shift
        res_scale = 0.1 if features == 256 else 1.0
        if mean_shift:
            self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.head = nn.Sequential(nn.Conv2d(3, features, 3, padding=1))
        body: list[nn.Module] = [ResBlock(features, res_scale) for _ in range(blocks)]
        self.body = nn.Sequential(*body, nn.Conv2d(features, features, 3, padding=1))
        upsampler: list[nn.Module] = []
        for ratio in STAGES[scale]:
            upsampler.append(nn.Conv2d(features, features * ratio * ratio, 3, padding=1))
            upsampler.append(nn.PixelShuffle(ratio))
        self.tail = nn.Sequential(nn.Sequential(*upsampler), nn.Conv2d(features, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        if self.mean_shift:
            x = x - self.mean
        x = self.head(x)
        return self.tail(self.body(x) + x)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an EDSR checkpoint, of EDSR-PyTorch or of BasicSR."""
        needed = ("head.0.weight", "body.0.body.0.weight", "body.0.body.2.weight", "tail.1.weight")
        return has_all(state, *needed) or has_all(state, *_BASICSR)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> EDSR:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        state = _plain(state)
        head = check_shape(state, "head.0.weight", (None, 3, 3, 3))
        features = int(head.shape[0])
        blocks = count_blocks(state, "body.{}.body.0.weight")
        return build(state, cls, features, blocks, _scale(state, features), "mean" in state)


def _plain(state: Mapping[str, Tensor]) -> State:
    """Own key names, for values in 0..1, the mean shift as in `fold_mean_shift`."""
    if has_all(state, *_BASICSR):
        state = rename(state, _rules(count_blocks(state, "body.{}.conv1.weight")))
        mean = torch.tensor(DIV2K_MEAN)
        own = divide_range(state, _BASICSR_RANGE)
        own["tail.1.bias"] = check_shape(own, "tail.1.bias", (3,)) + mean
        return {**own, "mean": mean.reshape(1, 3, 1, 1)}
    if "sub_mean.weight" in state:
        return fold_mean_shift(state, "tail.1")
    return dict(state)


def _rules(blocks: int) -> list[Rule]:
    """BasicSR's names to those of EDSR-PyTorch."""
    return [
        (r"conv_first\.(\w+)", r"head.0.\1"),
        (r"body\.(\d+)\.conv1\.(\w+)", r"body.\1.body.0.\2"),
        (r"body\.(\d+)\.conv2\.(\w+)", r"body.\1.body.2.\2"),
        (r"conv_after_body\.(\w+)", rf"body.{blocks}.\1"),
        (r"upsample\.(\d+)\.(\w+)", r"tail.0.\1.\2"),
        (r"conv_last\.(\w+)", r"tail.1.\1"),
    ]


def initialise_as_bilinear(network: EDSR) -> None:
    """Make an untrained network of range 0..1 start as two-stage bilinear upscaling.

    Three feature channels carry the picture through; the others start as usual but with little
    weight in the sums. Training then begins near the quality of plain resizing, which saves the
    first thousands of steps, and the architecture keeps its public form.
    """
    with torch.no_grad():
        convolutions = {
            name: (layer.weight, cast(Tensor, layer.bias), layer.out_channels // layer.in_channels)
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d)
        }
        for name, (weight, bias, growth) in convolutions.items():
            if name == "head.0":
                _pass_through(weight, bias)
            elif name == "tail.1":
                weight.mul_(0.1)
                _pass_through(weight, bias)
            elif name.startswith("tail.0."):
                _bilinear(weight, bias, math.isqrt(growth))
            elif name.endswith(".body.2") or name.count(".") == 1:  # the ends of residual branches
                weight.mul_(0.1)
                bias.zero_()


def _pass_through(weight: Tensor, bias: Tensor) -> None:
    """Copy input channels 0..2 to output channels 0..2; other outputs keep their weights."""
    for channel in range(3):
        weight[channel, :3].zero_()
        weight[channel, channel, 1, 1] = 1.0
        bias[channel] = 0.0


def _bilinear(weight: Tensor, bias: Tensor, ratio: int) -> None:
    """Make channels 0..2 of a pixel-shuffle stage interpolate linearly (centres aligned)."""
    for sub_row in range(ratio):
        for sub_column in range(ratio):
            rows, columns = _taps(sub_row, ratio), _taps(sub_column, ratio)
            for channel in range(3):
                out = channel * ratio * ratio + sub_row * ratio + sub_column
                weight[out].zero_()
                weight[out, channel] = torch.outer(rows, columns)
                bias[out] = 0.0


def _taps(phase: int, ratio: int) -> Tensor:
    offset = (phase + 0.5) / ratio - 0.5  # of the sub-pixel's centre, in input pixels
    return torch.tensor([max(-offset, 0.0), 1.0 - abs(offset), max(offset, 0.0)])


def _scale(state: Mapping[str, Tensor], features: int) -> int:
    """Upscaling factor from the pixel-shuffle stages."""
    ratios: list[int] = []
    while f"tail.0.{2 * len(ratios)}.weight" in state:
        ratios.append(shuffle_ratio(state, f"tail.0.{2 * len(ratios)}.weight", features, features))
    for scale, stages in STAGES.items():
        if stages == tuple(ratios):
            return scale
    raise CheckpointError(
        f"EDSR upsampler not understood: found pixel-shuffle stages {ratios}, expected one of "
        f"{[list(s) for s in STAGES.values()]}"
    )
