"""The content-adaptive resampler of Sun & Chen 2020 (arXiv 1907.12904), to a half or a quarter.

A network sees the picture and gives, for each pixel of the reduced one, a kernel of k x k weights
and where to take each sample: k = 3 s + 1 for a reduction by s, offsets of up to s pixels. Names
and shapes are those of the public checkpoints (``kgn.pth``); the sampling, there a CUDA extension,
is written in ONNX's own operators. It differs from the extension only for samples beyond the
reflected border: the extension mixes the outermost two pixels, this takes the last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.shapes import check_shape, count_blocks, load_strictly

MULTIPLE = 8  # of the picture's sides: the network looks at an eighth of the size
_LEAST = 1e-6
_MEAN = (0.4488, 0.4371, 0.4040)


class _Residual(nn.Module):
    """Two convolutions, added to their input; borders reflected."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(
            *_reflected(features, features, 3), nn.LeakyReLU(0.2),
            *_reflected(features, features, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.transform(x)


class _Down(nn.Module):
    """Half the size: 2x2 pixels become channels, and a 1x1 convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.downsample = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, after, H/2, W/2)."""
        made: Tensor = self.downsample(x)
        return made


class _Up(nn.Module):
    """A 1x1 convolution and a pixel shuffle."""

    def __init__(self, scale: int, features: int) -> None:
        super().__init__()
        self.upsample = nn.Sequential(
            nn.Conv2d(features, features * scale**2, 1), nn.PixelShuffle(scale)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, scale*H, scale*W)."""
        made: Tensor = self.upsample(x)
        return made


class Resampler(nn.Module):
    """RGB (N, 3, H, W) in 0..1, H and W multiples of 8, to (N, 3, H/s, W/s), clamped to 0..1.

    scale: s, 2 or 4 (8 and 1 would fit, too, but no weights are known). features: of the first
    layer, with twice and four times as many behind the first and third halving. The result is not
    rounded: who codes it makes 8-bit samples of it.
    """

    NAME = "car-resampler"
    KIND = "resampler"

    def __init__(self, scale: int = 4, features: int = 64, blocks: int = 5) -> None:
        super().__init__()
        self.scale, self.size = scale, 3 * scale + 1
        middle, self.wide = 2 * features, 4 * features
        self.sub_mean = nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            self.sub_mean.weight.copy_(torch.eye(3)[..., None, None])
            self.sub_mean.bias.copy_(-torch.tensor(_MEAN))  # type: ignore[union-attr]
        self.ds_1 = nn.Sequential(*_reflected(3, features, 5), nn.LeakyReLU(0.2))
        self.ds_2, self.ds_4 = _Down(features, middle), _Down(middle, middle)
        self.res_4 = nn.Sequential(*(_Residual(middle) for _ in range(blocks)))
        self.ds_8 = _Down(middle, self.wide)
        self.kernels_trunk = self._trunk()
        self.kernels_weight = self._head()
        self.offsets_trunk = self._trunk()
        self.offsets_h_generation = nn.Sequential(*self._head(), nn.Tanh())
        self.offsets_v_generation = nn.Sequential(*self._head(), nn.Tanh())

    def _trunk(self) -> nn.Sequential:
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [*_reflected(self.wide, self.wide, 3), nn.ReLU()]
        layers += [_Up(8 // self.scale, self.wide), *_reflected(self.wide, self.wide, 3), nn.ReLU()]
        return nn.Sequential(*layers)

    def _head(self) -> nn.Sequential:
        wide, taps = self.wide, self.size**2
        return nn.Sequential(*_reflected(wide, wide, 3), nn.ReLU(), *_reflected(wide, taps, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The reduced picture; see the class."""
        kernels, across, down = self.parameters_of(x)
        return torch.clamp(self.sample(x, kernels, across, down), 0.0, 1.0)

    def parameters_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Kernels, which sum to 1, and offsets across and down, -1..1; (N, k*k, H/s, W/s) each."""
        x = self.ds_4(self.ds_2(self.ds_1(self.sub_mean(x))))
        x = self.ds_8(x + self.res_4(x))
        weights = torch.clamp(self.kernels_weight(self.kernels_trunk(x)), _LEAST, 1.0)
        kernels = weights / torch.clamp(weights.sum(1, keepdim=True), min=_LEAST)
        offsets = self.offsets_trunk(x)
        return kernels, self.offsets_h_generation(offsets), self.offsets_v_generation(offsets)

    def sample(self, x: Tensor, kernels: Tensor, across: Tensor, down: Tensor) -> Tensor:
        """Σ kernel · picture at the position's samples, bilinear; one row of the kernel at a time.

        Rows keep what is in memory at once to a k-th of all samples.
        """
        size, scale = self.size, self.scale
        padded = nn.functional.pad(x, [size // 2] * 4, mode="reflect")
        rows, columns = kernels.shape[2], kernels.shape[3]
        # The centre of each reduced pixel, in pixels of the picture before it was padded.
        y = torch.arange(rows, dtype=x.dtype, device=x.device) * scale + (scale - 1) / 2
        left = torch.arange(columns, dtype=x.dtype, device=x.device) * scale + (scale - 1) / 2
        taps = torch.arange(size, dtype=x.dtype, device=x.device).reshape(1, size, 1, 1)
        height, width = padded.shape[2] - 1, padded.shape[3] - 1
        total = torch.zeros_like(x[:, :, ::scale, ::scale])
        for row in range(size):
            part = slice(row * size, (row + 1) * size)
            p_x = left.reshape(1, 1, 1, -1) + taps + across[:, part] * scale
            p_y = y.reshape(1, 1, -1, 1) + float(row) + down[:, part] * scale
            grid = torch.stack([p_x * 2.0 / width - 1.0, p_y * 2.0 / height - 1.0], -1)
            grid = grid.reshape(x.shape[0], size * rows, columns, 2)
            taken = nn.functional.grid_sample(
                padded, grid, mode="bilinear", padding_mode="border", align_corners=True
            )
            taken = taken.reshape(x.shape[0], x.shape[1], size, rows, columns)
            total = total + (taken * kernels[:, None, part]).sum(2)
        return total

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of a kernel generation network."""
        needed = {"kernels_weight.4.weight", "offsets_h_generation.4.weight", "ds_1.1.weight"}
        return needed <= set(state)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Resampler:
        """Network in eval mode, its scale deduced; CheckpointError where shapes do not fit."""
        features = int(check_shape(state, "ds_1.1.weight", (None, 3, 5, 5)).shape[0])
        last = check_shape(state, "kernels_weight.4.weight", (None, 4 * features, 3, 3))
        size = math.isqrt(int(last.shape[0]))
        scale = (size - 1) // 3
        if size * size != last.shape[0] or size != 3 * scale + 1 or scale not in (1, 2, 4, 8):
            raise CheckpointError(
                f"resampler of an unknown scale: found {last.shape[0]} samples a pixel, expected "
                "49 (x2) or 169 (x4)"
            )
        blocks = count_blocks(state, "res_4.{}.transform.1.weight")
        return load_strictly(cls(scale, features, blocks), state).eval()


def _reflected(before: int, after: int, size: int) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the size, with reflected borders, as the public names have it."""
    return nn.ReflectionPad2d(size // 2), nn.Conv2d(before, after, size)
