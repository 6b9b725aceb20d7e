"""WDSR-A and -B (Yu et al. 2018, arXiv 1808.08718), with the key names of wdsr_ntire2018."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.folding import (
    DIV2K_MEAN,
    State,
    divide_range,
    fold_weight_norm,
    plain_keys,
)
from latentsr_export.networks.layouts import Rule, has_all, rename
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio

# wdsr_ntire2018 works on (x - mean) / 127.5 of 0..255, that is on twice what 0..1 gives.
_GAIN = 2.0
# The wdsr of the paper's second author works on x - 0.5 of 0..1.
_GREY = (0.5, 0.5, 0.5)
# Position in a block's `body`, by the number of the block's convolution: -A has two, -B three.
_PLACES = {"1": "0", "2": "2", "3": "3"}
# Files with one name for each convolution instead of numbers in `body`.
_NAMED: tuple[Rule, ...] = (
    (r"(head|tail|skip)\.(weight|bias)", r"\1.0.\2"),
    (r"body\.(\d+)\.conv([123])\.(\w+)",
     lambda m: f"body.{m[1]}.body.{_PLACES[m[2]]}.{m[3]}"),
)  # fmt: skip


class WideBlock(nn.Module):
    """Convolutions that widen the features before the ReLU, added to the input.

    linear: None for WDSR-A (3x3, ReLU, 3x3), else the width of WDSR-B's second convolution
    (1x1, ReLU, 1x1, 3x3).
    """

    def __init__(self, features: int, expanded: int, linear: int | None) -> None:
        super().__init__()
        if linear is None:
            self.body = nn.Sequential(
                nn.Conv2d(features, expanded, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(expanded, features, 3, padding=1),
            )
        else:
            self.body = nn.Sequential(
                nn.Conv2d(features, expanded, 1),
                nn.ReLU(),
                nn.Conv2d(expanded, linear, 1),
                nn.Conv2d(linear, features, 3, padding=1),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.body(x)


class WDSR(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    Weight norm is folded, the public weights' range and the adding of the mean are in the biases;
    the shuffles of both branches are one, after their sum.
    """

    NAME = "wdsr"
    KIND = "pixel_sr"
    mean: Tensor

    def __init__(
        self, features: int = 32, expanded: int = 128, blocks: int = 16, scale: int = 4,
        linear: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.head = nn.Sequential(nn.Conv2d(3, features, 3, padding=1))
        self.body = nn.Sequential(*(WideBlock(features, expanded, linear) for _ in range(blocks)))
        self.tail = nn.Sequential(nn.Conv2d(features, 3 * scale * scale, 3, padding=1))
        self.skip = nn.Sequential(nn.Conv2d(3, 3 * scale * scale, 5, padding=2))

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        x = x - self.mean
        return F.pixel_shuffle(self.tail(self.body(self.head(x))) + self.skip(x), self.scale)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of a WDSR checkpoint, with or without weight norm."""
        keys = plain_keys(state)
        return (
            has_all(keys, "head.0.weight", "body.0.body.0.weight", "skip.0.weight")
            or has_all(keys, "head.weight", "body.0.conv1.weight", "skip.weight")
            or _in_one_body(keys)
        )

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> WDSR:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        state = _plain(state)
        features = int(check_shape(state, "head.0.weight", (None, 3, 3, 3)).shape[0])
        kernel = None if "body.0.body.3.weight" not in state else 1
        first = check_shape(state, "body.0.body.0.weight", (None, features, kernel, kernel))
        linear = None
        if kernel:
            linear = int(check_shape(state, "body.0.body.2.weight", (None, None, 1, 1)).shape[0])
        scale = shuffle_ratio(state, "tail.0.weight", 3, features)
        blocks = count_blocks(state, "body.{}.body.0.weight")
        return build(state, cls, features, int(first.shape[0]), blocks, scale, linear)


def _in_one_body(keys: set[str]) -> bool:
    """Whether head and tail are the first and last of `body`."""
    return has_all(keys, "body.0.weight", "body.1.body.0.weight", "skip.0.weight")


def _plain(state: Mapping[str, Tensor]) -> State:
    """Own key names, no weight norm, for values in 0..1 with the mean in the last bias."""
    if "mean" in state:  # written by us
        return dict(state)
    own = fold_weight_norm(state)
    if _in_one_body(set(own)):
        return _with_mean(rename(own, _one_body(own)), _GREY)
    return _with_mean(divide_range(rename(own, _NAMED), _GAIN), DIV2K_MEAN)


def _with_mean(state: State, colour: tuple[float, float, float]) -> State:
    mean = torch.tensor(colour)
    outputs = int(check_shape(state, "tail.0.bias", (None,)).shape[0])
    if outputs % 3:
        raise CheckpointError(
            f"tensor 'tail.0.bias' has a wrong shape: found {outputs} values, expected 3 times a "
            "square"
        )
    shifted = state["tail.0.bias"] + mean.repeat_interleave(outputs // 3)
    return {**state, "tail.0.bias": shifted, "mean": mean.reshape(1, 3, 1, 1)}


def _one_body(state: State) -> list[Rule]:
    """Rules for files with head and tail in `body`."""
    blocks = count_blocks(state, "body.{}.body.0.weight", first=1)

    def moved(match: re.Match[str]) -> str:
        return f"body.{int(match[1]) - 1}.{match[2]}"

    return [
        (r"body\.0\.(\w+)", r"head.0.\1"),
        (rf"body\.{blocks + 1}\.(weight|bias)", r"tail.0.\1"),
        (r"body\.(\d+)\.(body\..+)", moved),
    ]
