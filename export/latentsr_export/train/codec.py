"""Recipe of the codec: CompressAI's ScaleHyperprior on the rate-distortion loss.

python -m latentsr_export.train.codec --pictures DIR --out codec.pth --minutes 60

With --means a MeanScaleHyperprior, with --context a JointAutoregressiveHierarchicalPriors
(mbt2018: the same transforms and hyperprior, and a context model), with --window the codec of Lee
et al. 2018, of whose channels so many go without context. --start begins with the tensors of
another codec that fit.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError, UsageError
from latentsr_export.networks.lee import ContextAdaptive
from latentsr_export.train import arguments, data
from latentsr_export.train.loop import (
    Batch,
    Trainer,
    load_weights,
    save_atomically,
    start_from,
)  # fmt: skip

# Reduced copies beside the originals: the demo codes pictures reduced by four.
SIZES = (1.0, 0.75, 0.5, 0.25)
STRIDE = 64  # of the hyper-latent grid; pictures are padded to it


def load_codec(path: Path) -> nn.Module:
    """Frozen ScaleHyperprior in eval mode; CheckpointError if the file holds none."""
    from compressai.models import ScaleHyperprior

    state = load_weights(path)
    try:
        codec: nn.Module = ScaleHyperprior.from_state_dict(state)
    except (KeyError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"no ScaleHyperprior in {path}: {error}") from error
    return codec.eval().requires_grad_(False)


@torch.no_grad()
def latent_of(codec: Any, picture: Tensor) -> Tensor:
    """Rounded latent (N, M, H/16, W/16) of (N, 3, H, W) in 0..1, padded to multiples of 64."""
    height, width = picture.shape[-2:]
    pad = (0, -width % STRIDE, 0, -height % STRIDE)
    latent: Tensor = torch.round(codec.g_a(nn.functional.pad(picture, pad, mode="replicate")))
    return latent


@torch.no_grad()
def decode(codec: Any, picture: Tensor) -> Tensor:
    """Picture after coding: same shape as `picture`, clamped to 0..1, not rounded to 8 bits."""
    height, width = picture.shape[-2:]
    decoded: Tensor = codec.g_s(latent_of(codec, picture))
    return decoded[..., :height, :width].clamp(0.0, 1.0)


def rate_distortion(weight: float) -> Any:
    """Loss of the codec: bits a pixel + weight * 255^2 * MSE, plus the quantile loss."""

    def loss(codec: Any, batch: Batch) -> Tensor:
        (picture,) = batch
        out = codec(picture)
        pixels = picture.shape[0] * picture.shape[2] * picture.shape[3]
        nats = sum(torch.log(p).sum() for p in out["likelihoods"].values())
        distortion = nn.functional.mse_loss(out["x_hat"], picture)
        # The quantile loss moves only the quantiles, and Adam does not see its scale: it is made
        # small so that the common clipping of gradients is left to the network.
        quantiles: Tensor = 1e-3 * codec.aux_loss()
        return -nats / (math.log(2.0) * pixels) + weight * 255.0**2 * distortion + quantiles

    return loss


def batches(pictures: list[np.ndarray], crop: int, batch: int, seed: int) -> Iterator[Batch]:
    """Endless batches of one tensor (batch, 3, crop, crop) in 0..1."""
    generator = np.random.default_rng(seed)
    sizes = [_reduced(picture, size) for picture in pictures for size in SIZES]
    usable = [picture for picture in sizes if min(picture.shape[:2]) >= crop]
    areas = np.array([picture.shape[0] * picture.shape[1] for picture in usable], float)
    while True:
        crops = []
        for _ in range(batch):
            picture = usable[data.pick(areas, generator)]
            row, column = data.corner(picture.shape[:2], crop, generator)
            piece = data.to_tensor(picture[row : row + crop, column : column + crop])
            crops.append(data.flip(piece, int(generator.integers(8))))
        yield (torch.stack(crops),)


def _reduced(picture: np.ndarray, size: float) -> np.ndarray:
    if size == 1.0:
        return picture
    height, width = (max(1, round(side * size)) for side in picture.shape[:2])
    return data.resize(picture, height, width)


def _network(given: Namespace) -> nn.Module:
    from compressai import models

    features, latent, plain = given.features, given.latent, given.window
    if plain is not None:
        if not 0 <= plain < latent:
            raise UsageError(f"--window: found {plain}, expected 0..{latent - 1}, below --latent")
        return ContextAdaptive(features, latent - plain, plain, 2 * (latent - plain))
    kind: Any = models.MeanScaleHyperprior if given.means else models.ScaleHyperprior
    if given.context:
        kind = models.JointAutoregressiveHierarchicalPriors
    network: nn.Module = kind(features, latent)
    return network


def main(argv: Sequence[str]) -> Path:
    """Train a codec as the arguments say and return the checkpoint's path."""
    parser = arguments.parser("train a ScaleHyperprior codec", rate=1e-3, crop=128, batch=8)
    parser.add_argument("--features", type=int, default=64, help="N of the codec")
    parser.add_argument("--latent", type=int, default=96, help="M of the codec")
    parser.add_argument("--weight", type=float, default=0.025, help="of the distortion (lambda)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--means", action="store_true", help="predict means, too")
    kind.add_argument("--context", action="store_true", help="means and a context model")
    kind.add_argument("--window", type=int, help="Lee et al.: channels without context, 0: none")
    parser.add_argument("--start", type=Path, help="codec to begin with")
    given = parser.parse_args(argv)
    settings = arguments.settings(given)
    pictures = data.load_pictures(given.pictures, given.crop)
    network = _network(given)
    if given.start is not None:
        start_from(network, given.start)
    trainer = Trainer(network, settings)
    feed = batches(pictures, given.crop, given.batch, given.seed + trainer.step)
    codec: Any = trainer.fit(feed, rate_distortion(given.weight))
    codec.cpu().update(force=True)  # the entropy tables, without which nothing can be coded
    save_atomically(codec.state_dict(), settings.out)
    return settings.out


if __name__ == "__main__":
    arguments.run(main)
