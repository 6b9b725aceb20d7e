"""Recipe of the latent SR decoder: the codec stays frozen, the decoder learns from its latents.

python -m latentsr_export.train.latent_sr --pictures DIR --codec codec.pth --out sr.pth --minutes 60

Crops are coded on the fly (analysis of a small picture is cheap), so every symmetry and offset
gives latents of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from latentsr.errors import UsageError
from latentsr_export.networks.latent_sr import LatentSR
from latentsr_export.networks.latent_sr_light import LatentSRLight
from latentsr_export.train import arguments, data
from latentsr_export.train.codec import STRIDE, latent_of, load_codec
from latentsr_export.train.loop import Batch, Trainer, start_from
from latentsr_export.train.pixel_sr import SCALE, charbonnier


def batches(
    pictures: list[np.ndarray], codec: nn.Module, crop: int, batch: int, seed: int
) -> Iterator[Batch]:
    """Endless batches: rounded latent of a reduced crop, and the original crop.

    Latents are (batch, M, crop/16, crop/16), originals (batch, 3, 4 crop, 4 crop) in 0..1.
    """
    generator = np.random.default_rng(seed)
    device = next(codec.parameters()).device
    areas = np.array([picture.shape[0] * picture.shape[1] for picture in pictures], float)
    side = SCALE * crop
    while True:
        lows, highs = [], []
        for _ in range(batch):
            picture = pictures[data.pick(areas, generator)]
            row, column = data.corner(picture.shape[:2], side, generator)
            high = picture[row : row + side, column : column + side]
            symmetry = int(generator.integers(8))
            lows.append(data.flip(data.to_tensor(data.reduce_by(high, SCALE)), symmetry))
            highs.append(data.flip(data.to_tensor(high), symmetry))
        yield latent_of(codec, torch.stack(lows).to(device)), torch.stack(highs)


def build(kind: str, codec: Any) -> nn.Module:
    """An untrained decoder for the codec's latent; the light one starts as the codec itself."""
    features, latent = int(codec.N), int(codec.M)
    if kind == LatentSR.NAME:
        return LatentSR(latent)
    network = LatentSRLight(latent, features)
    network.synthesis.load_state_dict(codec.g_s.state_dict())
    with torch.no_grad():  # corrections start at nothing: the first output is a plain enlargement
        for name, weight in network.named_parameters():
            if ".conv2." in name or name.startswith("head."):
                weight.zero_()
    return network


def main(argv: Sequence[str]) -> Path:
    """Train a latent SR decoder as the arguments say and return the checkpoint's path."""
    parser = arguments.parser("train a latent SR decoder x4", rate=4e-4, crop=64, batch=6)
    parser.add_argument("--codec", type=Path, required=True, help="frozen codec checkpoint")
    parser.add_argument(
        "--network", choices=(LatentSRLight.NAME, LatentSR.NAME), default=LatentSRLight.NAME
    )
    parser.add_argument("--start", type=Path, help="network to begin with, where tensors fit")
    given = parser.parse_args(argv)
    settings = arguments.settings(given)
    if given.crop % STRIDE:
        raise UsageError(
            f"--crop: found {given.crop}, expected a multiple of {STRIDE} so that latents need "
            "no padding"
        )
    codec = load_codec(given.codec)
    pictures = data.load_pictures(given.pictures, SCALE * given.crop)
    network = build(given.network, codec)
    if given.start is not None:
        start_from(network, given.start)
    trainer = Trainer(network, settings)
    codec = codec.to(settings.device)
    feed = batches(pictures, codec, given.crop, given.batch, given.seed + trainer.step)
    trainer.fit(feed, charbonnier)
    return settings.out


if __name__ == "__main__":
    arguments.run(main)
