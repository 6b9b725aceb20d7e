"""LatentSR: an RRDB trunk on the stride-16 latent grid and pixel-shuffle stages up to x64.

The layout of the latent-domain super-resolution papers: the deep part works on a grid 256 times
smaller than the decoded picture's, so the low-resolution picture never exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from latentsr_export.networks.rrdbnet import RRDB
from latentsr_export.networks.shapes import check_shape, count_blocks, load_strictly

HEAD_STAGES = 6  # x2 each: 64 = latent stride 16 times scale 4


class LatentSR(nn.Module):
    """Rounded latent (N, M, h, w) to RGB (N, 3, 64 h, 64 w) in about 0..1 (not clamped).

    `widths` are the feature counts after each of the six x2 stages of the head.
    """

    NAME = "latent-rrdb"
    KIND = "latent_sr"
    SCALE = 4
    LATENT_STRIDE = 16

    def __init__(
        self,
        latent_channels: int = 192,
        features: int = 64,
        blocks: int = 4,
        growth: int = 32,
        widths: Sequence[int] = (64, 64, 48, 32, 24, 16),
    ) -> None:
        super().__init__()
        if len(widths) != HEAD_STAGES:
            raise ValueError(f"widths of the head: found {len(widths)}, expected {HEAD_STAGES}")
        self.latent_channels = latent_channels
        self.conv_first = nn.Conv2d(latent_channels, features, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, padding=1)
        stages = []
        for before, after in zip((features, *widths), widths, strict=False):
            stages.append(nn.Conv2d(before, 4 * after, 3, padding=1))
        self.head = nn.ModuleList(stages)
        self.shuffle = nn.PixelShuffle(2)
        self.activation = nn.LeakyReLU(0.2)
        self.conv_last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, y_hat: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        x = self.conv_first(y_hat)
        x = x + self.conv_body(self.body(x))
        for stage in self.head:
            x = self.activation(self.shuffle(stage(x)))
        return self.conv_last(x)

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of a LatentSR checkpoint."""
        needed = ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_body.weight")
        return all(key in state for key in (*needed, "head.0.weight", "conv_last.weight"))

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> LatentSR:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        first = check_shape(state, "conv_first.weight", (None, None, 3, 3))
        features, latent_channels = int(first.shape[0]), int(first.shape[1])
        dense = check_shape(state, "body.0.rdb1.conv1.weight", (None, features, 3, 3))
        blocks = count_blocks(state, "body.{}.rdb1.conv1.weight")
        widths: list[int] = []
        before = features
        for stage in range(HEAD_STAGES):
            weight = check_shape(state, f"head.{stage}.weight", (None, before, 3, 3))
            before = max(int(weight.shape[0]) // 4, 1)
            widths.append(before)
        network = cls(latent_channels, features, blocks, int(dense.shape[0]), widths)
        return load_strictly(network, state).eval()
