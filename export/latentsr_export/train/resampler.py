"""Recipe of Sun & Chen's resampler with the EDSR that enlarges again, trained together.

python -m latentsr_export.train.resampler --pictures DIR --out pair.pth --scale 4 --minutes 60

Writes the pair, and beside it ``NAME-resampler.pth`` and ``NAME-upscaler.pth``, which the exporter
takes. The reduced picture is rounded to 8 bits on its way. With --bicubic the reduction is fixed,
to measure what the learned one is good for; --start goes on from such a pair, whose EDSR is then
trained already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentsr.errors import UsageError
from latentsr_export.networks.edsr import EDSR, initialise_as_bilinear
from latentsr_export.networks.resampler import MULTIPLE, Resampler
from latentsr_export.train import arguments, data
from latentsr_export.train.codec import batches
from latentsr_export.train.loop import Batch, Trainer, save_atomically, start_from

_QUIET, _HEIGHT = 0.01, 0.1  # of the last layers before training: weights, top of the kernel
_OFFSETS = 1e-3  # of the offsets' magnitude in the loss, as the paper keeps them small


class ResampledPair(nn.Module):
    """Picture (N, 3, H, W) in 0..1 to the enlargement of its reduction."""

    def __init__(self, resampler: Resampler | None, upscaler: EDSR) -> None:
        super().__init__()
        self.resampler, self.upscaler = resampler, upscaler

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The picture again, and how far the samples were moved on average."""
        if self.resampler is None:
            low, moved = reduced(x, self.upscaler.scale), x.new_zeros(())
        else:
            kernels, across, down = self.resampler.parameters_of(x)
            low = self.resampler.sample(x, kernels, across, down).clamp(0.0, 1.0)
            moved = across.abs().mean() + down.abs().mean()
        low = low + (torch.round(low * 255.0) / 255.0 - low).detach()
        return self.upscaler(low), moved


def reduced(x: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic reduction."""
    size = (x.shape[2] // scale, x.shape[3] // scale)
    made: Tensor = nn.functional.interpolate(
        x, size, mode="bicubic", align_corners=False, antialias=True
    )
    return made.clamp(0.0, 1.0)


def absolute(network: Any, batch: Batch) -> Tensor:
    """Mean absolute difference, and a little for the offsets."""
    (picture,) = batch
    made, moved = network(picture)
    return nn.functional.l1_loss(made.float(), picture) + _OFFSETS * moved


def initialise_as_triangle(network: Resampler) -> None:
    """Make an untrained resampler start as the antialiased linear reduction by its scale.

    That is the nearest to a bicubic one among kernels without negative weights, but for a little.
    The weights are normalised, so their height is free. It is a low one: a step of the training
    changes them by more, and they stay clear of 1, where the network cuts them off and they would
    learn no longer.
    """
    size, scale = network.size, network.scale
    distance = (torch.arange(size) - size // 2).abs() / scale
    row = (1.0 - distance).clamp(min=0.0)
    made: Any = network
    with torch.no_grad():
        for head in (made.kernels_weight, made.offsets_h_generation, made.offsets_v_generation):
            head[4].weight.mul_(_QUIET)
            head[4].bias.zero_()
        made.kernels_weight[4].bias.copy_(_HEIGHT * torch.outer(row, row).flatten())


def main(argv: Sequence[str]) -> Path:
    """Train as the arguments say and return the path of the pair's checkpoint."""
    parser = arguments.parser("train resampler and upscaler", rate=4e-4, crop=192, batch=4)
    parser.add_argument("--scale", type=int, choices=(2, 4), default=4)
    parser.add_argument(
        "--width", type=int, default=16, help="features of the resampler, paper: 64"
    )
    parser.add_argument("--features", type=int, default=32, help="of EDSR")
    parser.add_argument("--blocks", type=int, default=8, help="of EDSR")
    parser.add_argument("--bicubic", action="store_true", help="reduce with a fixed filter")
    parser.add_argument("--start", type=Path, help="pair to begin with, of the same sizes")
    given = parser.parse_args(argv)
    settings = arguments.settings(given)
    if given.crop % MULTIPLE:
        raise UsageError(f"--crop: found {given.crop}, expected a multiple of {MULTIPLE}")
    pictures = data.load_pictures(given.pictures, given.crop)
    upscaler = EDSR(given.features, given.blocks, given.scale)
    initialise_as_bilinear(upscaler)
    resampler = None if given.bicubic else Resampler(given.scale, given.width)
    if resampler is not None:
        initialise_as_triangle(resampler)
    network = ResampledPair(resampler, upscaler)
    if given.start is not None:
        start_from(network, given.start)
    trainer = Trainer(network, settings)
    feed: Iterator[Batch] = batches(
        pictures, given.crop, given.batch, given.seed + trainer.step
    )  # fmt: skip
    pair: Any = trainer.fit(feed, absolute).cpu()
    for name in ("resampler", "upscaler"):
        part = getattr(pair, name)
        if part is not None:
            beside = settings.out.with_name(f"{settings.out.stem}-{name}.pth")
            save_atomically(part.state_dict(), beside)
    return settings.out


if __name__ == "__main__":
    arguments.run(main)
