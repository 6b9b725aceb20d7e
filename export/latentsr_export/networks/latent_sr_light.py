"""LatentSRLight: a small latent SR decoder that starts from the codec's own synthesis.

Residual blocks on the latent grid, a fine-tuned copy of g_s up to half the size of the coded
picture, residual blocks there, and one x8 pixel shuffle. The last synthesis layer is kept as an
inner skip: its RGB, enlarged bilinearly, is what the pixel shuffle corrects.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from latentsr_export.networks.gdn import fold_gdn
from latentsr_export.networks.shapes import check_shape, count_blocks, load_strictly

HEAD_RATIO = 8  # from half the coded size to four times the coded size


class Res(nn.Module):
    """x + conv2(LeakyReLU(conv1(x))), 3x3."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.activation = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.conv2(self.activation(self.conv1(x)))


class LatentSRLight(nn.Module):
    """Rounded latent (N, M, h, w) to RGB (N, 3, 64 h, 64 w) in about 0..1 (not clamped).

    `features` is N of the codec, `latent_channels` its M. Layer names are those of the
    checkpoint: trunk, synthesis (as g_s), body, head.
    """

    NAME = "latent-light"
    KIND = "latent_sr"
    SCALE = 4
    LATENT_STRIDE = 16

    def __init__(
        self, latent_channels: int = 96, features: int = 64, trunk: int = 4, body: int = 4
    ) -> None:
        super().__init__()
        from compressai.layers import GDN
        from compressai.models.utils import deconv

        self.latent_channels = latent_channels
        self.trunk = nn.Sequential(*(Res(latent_channels) for _ in range(trunk)))
        self.synthesis = nn.Sequential(
            deconv(latent_channels, features),
            GDN(features, inverse=True),
            deconv(features, features),
            GDN(features, inverse=True),
            deconv(features, features),
            GDN(features, inverse=True),
            deconv(features, 3),
        )
        self.body = nn.Sequential(*(Res(features) for _ in range(body)))
        self.head = nn.Conv2d(features, 3 * HEAD_RATIO**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(HEAD_RATIO)

    def forward(self, y_hat: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        half = self.synthesis[:-1](self.trunk(y_hat))
        low = self.synthesis[-1](half)
        large = functional.interpolate(
            low, scale_factor=float(self.SCALE), mode="bilinear", align_corners=False
        )
        return large + self.shuffle(self.head(self.body(half)))

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of a LatentSRLight checkpoint."""
        needed = ("synthesis.6.weight", "synthesis.1.gamma", "head.weight")
        return all(key in state for key in needed)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> LatentSRLight:
        """Network for inference with sizes deduced from `state`; CheckpointError if inconsistent.

        It is in eval mode and its GDN layers are folded, so its own state dict is no checkpoint
        any more; `trainable_from_state_dict` gives the form to train on.
        """
        network = cls.trainable_from_state_dict(state)
        fold_gdn(network)
        return network.eval()

    @classmethod
    def trainable_from_state_dict(cls, state: Mapping[str, Tensor]) -> LatentSRLight:
        """As `from_state_dict`, with the GDN layers and key names of the checkpoint."""
        first = check_shape(state, "synthesis.0.weight", (None, None, 5, 5))
        trunk = count_blocks(state, "trunk.{}.conv1.weight")
        body = count_blocks(state, "body.{}.conv1.weight")
        network = cls(int(first.shape[0]), int(first.shape[1]), trunk, body)
        return load_strictly(network, state)
