"""IMDN (Hui et al. 2019, arXiv 1909.11856): the authors' network and the plain one of KAIR."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr_export.networks.folding import divide_range
from latentsr_export.networks.layouts import Rule, has_all, rename
from latentsr_export.networks.shapes import build, check_shape, count_blocks, shuffle_ratio
from latentsr_export.networks.value_range import find_range

_SLOPE = 0.05
_NEEDED = ("fea_conv.weight", "IMDB1.c1.weight", "IMDB1.c5.weight", "LR_conv.weight")


def _from_one(match: re.Match[str]) -> str:
    name = {"4": "c4", "1x1": "c5"}.get(match[2], f"c{match[2][0]}")
    return f"IMDB{int(match[1]) + 1}.{name}.{match[3]}"


# The names of KAIR, which the NTIRE challenges took over, to the authors'.
_KAIR: tuple[Rule, ...] = (
    (r"model\.0\.(\w+)", r"fea_conv.\1"),
    (r"model\.1\.sub\.(\d+)\.conv(1x1|4)\.(\w+)", _from_one),
    (r"model\.1\.sub\.(\d+)\.conv([123]\.0)\.(\w+)", _from_one),
    (r"model\.1\.sub\.\d+\.(\w+)", r"LR_conv.\1"),
    (r"model\.2\.(\w+)", r"upsampler.0.\1"),
)


class ContrastAttention(nn.Module):
    """Scales each feature by what its mean and standard deviation over the picture say."""

    def __init__(self, features: int, squeezed: int) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(features, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, features, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        mean = x.mean(dim=(2, 3), keepdim=True)
        away = x - mean
        deviation = (away * away).mean(dim=(2, 3), keepdim=True).sqrt()
        return x * self.conv_du(deviation + mean)


class IMDB(nn.Module):
    """Information multi-distillation block: each step keeps `distilled` features.

    squeezed: inner width of the contrast attention, or 0 for none.
    """

    def __init__(self, features: int, distilled: int, squeezed: int) -> None:
        super().__init__()
        self.parts = [distilled, features - distilled]
        self.c1 = nn.Conv2d(features, features, 3, padding=1)
        self.c2 = nn.Conv2d(features - distilled, features, 3, padding=1)
        self.c3 = nn.Conv2d(features - distilled, features, 3, padding=1)
        self.c4 = nn.Conv2d(features - distilled, distilled, 3, padding=1)
        self.c5 = nn.Conv2d(distilled * 4, features, 1)
        self.cca = ContrastAttention(distilled * 4, squeezed) if squeezed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        kept, rest = [], x
        for layer in (self.c1, self.c2, self.c3):
            part, rest = torch.split(F.leaky_relu(layer(rest), _SLOPE), self.parts, dim=1)
            kept.append(part)
        kept.append(self.c4(rest))
        return self.c5(self.cca(torch.cat(kept, dim=1))) + x


class IMDN(nn.Module):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    squeezed: inner width of the contrast attention, 0 for KAIR's network. fused: whether all
    blocks' outputs are fused, as the authors do, or the last one's is taken.
    """

    NAME = "imdn"
    KIND = "pixel_sr"

    def __init__(
        self, features: int = 64, distilled: int = 16, blocks: int = 6, scale: int = 4,
        squeezed: int = 4, fused: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scale, self.blocks, self.fused = scale, blocks, fused
        self.fea_conv = nn.Conv2d(3, features, 3, padding=1)
        for index in range(blocks):
            self.add_module(f"IMDB{index + 1}", IMDB(features, distilled, squeezed))
        if fused:
            self.c = nn.Sequential(nn.Conv2d(features * blocks, features, 1), nn.LeakyReLU(_SLOPE))
        self.LR_conv = nn.Conv2d(features, features, 3, padding=1)
        last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self.upsampler = nn.Sequential(last, nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        first = out = self.fea_conv(x)
        outs = []
        for index in range(self.blocks):
            out = self.get_submodule(f"IMDB{index + 1}")(out)
            outs.append(out)
        if self.fused:
            out = self.c(torch.cat(outs, dim=1))
        return self.upsampler(self.LR_conv(out) + first)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of an IMDN checkpoint, the authors' or KAIR's."""
        return has_all(rename(state, _KAIR), *_NEEDED)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> IMDN:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent.

        Weights that were made for 0..255 are brought to 0..1.
        """
        state = rename(state, _KAIR)
        features = int(check_shape(state, "fea_conv.weight", (None, 3, 3, 3)).shape[0])
        distilled = int(check_shape(state, "IMDB1.c4.weight", (None, None, 3, 3)).shape[0])
        check_shape(state, "IMDB1.c2.weight", (features, max(features - distilled, 0), 3, 3))
        squeezed = 0
        if "IMDB1.cca.conv_du.0.weight" in state:
            key = "IMDB1.cca.conv_du.0.weight"
            squeezed = int(check_shape(state, key, (None, distilled * 4, 1, 1)).shape[0])
        scale = shuffle_ratio(state, "upsampler.0.weight", 3, features)
        blocks = count_blocks(state, "IMDB{}.c1.weight", first=1)
        sizes = (features, distilled, blocks, scale, squeezed, "c.0.weight" in state)
        value_range = find_range(build(state, cls, *sizes), scale)
        return build(divide_range(state, value_range, (".cca.conv_du.2",)), cls, *sizes)
