"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, arXiv 1809.00219), x4 on RGB pictures.

Also its building blocks, which the latent SR decoder uses on another grid. Key names are those of
the later public files (`body.0.rdb1.conv1`); the older ones (`RRDB_trunk.0.RDB1.conv1`, as in the
code of Upenik et al. 2021) are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from latentsr_export.networks.shapes import check_shape, count_blocks, load_strictly

_OLD_NAMES = (
    ("RRDB_trunk.", "body."), (".RDB", ".rdb"), ("trunk_conv.", "conv_body."),
    ("upconv", "conv_up"), ("HRconv.", "conv_hr."),
)  # fmt: skip


class DenseBlock(nn.Module):
    """Five densely connected 3x3 convolutions; a fifth of the last one is added to the input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for k in range(1, 5):
            inputs = features + (k - 1) * growth
            setattr(self, f"conv{k}", nn.Conv2d(inputs, growth, 3, padding=1))
        self.conv5 = nn.Conv2d(features + 4 * growth, features, 3, padding=1)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        seen = [x]
        for k in range(1, 5):
            seen.append(self.activation(getattr(self, f"conv{k}")(torch.cat(seen, 1))))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class RRDB(nn.Module):
    """Residual in residual: three dense blocks, a fifth of which is added to the input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, 4 H, 4 W) in about 0..1 (not clamped)."""

    NAME = "rrdbnet"
    KIND = "pixel_sr"

    def __init__(self, features: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.scale = 4
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up2 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for stage in (self.conv_up1, self.conv_up2):
            x = self.activation(stage(functional.interpolate(x, scale_factor=2.0, mode="nearest")))
        return self.conv_last(self.activation(self.conv_hr(x)))

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an RRDBNet checkpoint for RGB at its own resolution."""
        state = with_new_names(state)
        needed = ("body.0.rdb1.conv1.weight", "conv_body.weight", "conv_up2.weight")
        first = state.get("conv_first.weight")
        known = all(key in state for key in (*needed, "conv_hr.weight", "conv_last.weight"))
        # Later variants fold pixels into channels first; those are other networks.
        return known and first is not None and first.ndim == 4 and first.shape[1] == 3

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> RRDBNet:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        state = with_new_names(state)
        features = int(check_shape(state, "conv_first.weight", (None, 3, 3, 3)).shape[0])
        dense = check_shape(state, "body.0.rdb1.conv1.weight", (None, features, 3, 3))
        blocks = count_blocks(state, "body.{}.rdb1.conv1.weight")
        network = cls(features, blocks, int(dense.shape[0]))
        return load_strictly(network, state).eval()


def with_new_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with the older public names replaced."""
    if not any(key.startswith("RRDB_trunk.") for key in state):
        return dict(state)
    renamed = {}
    for key, tensor in state.items():
        for old, new in _OLD_NAMES:
            key = key.replace(old, new)  # noqa: PLW2901 - one rename after the other
        renamed[key] = tensor
    return renamed
