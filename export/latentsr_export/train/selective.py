"""Recipe of Suzuki et al.'s codec at small size: two decoders, mask, and the SR residual module.

python -m latentsr_export.train.selective --pictures DIR --out codec.pth --minutes 60

The picture that is coded is the original halved; the ×2 picture is compared with the original, the
blended one with what was coded. The paper's perceptual and adversarial losses and its annotations
of text and faces are not here: the mask learns where the detail decoder is the better one.
--without leaves a part out, to measure what it is good for; --start goes on from a codec that had
the same or fewer parts. As in the paper's section 2.3 the codec is best trained without the SR
residual first, then together with it at a low rate; the residual itself, new to it, may learn at
its own, --residual-rate. It starts at nothing: an untrained one would disturb the main decoder,
whose picture it is added to, and is slow to be unlearned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentsr.errors import UsageError
from latentsr_export.networks.suzuki import DETAIL, ENCODER, HYPER, LATENT, MAIN, SelectiveDetail
from latentsr_export.train import arguments, data
from latentsr_export.train.codec import STRIDE, batches
from latentsr_export.train.loop import Batch, Trainer, save_atomically, start_from

NEVER = -30.0  # of the mask before its sigmoid: never the detail decoder


def silence(layer: Any) -> None:
    """Make a convolution give zeros."""
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()


def leave_out(network: Any, part: str | None) -> None:
    """Make parts say nothing, for good: ``mask``, ``residual``, ``both``, or None."""
    if part in ("mask", "both"):
        last = network.detail[-1]
        silence(last)
        with torch.no_grad():
            last.bias[3] = NEVER
        last.requires_grad_(False)
    if part in ("residual", "both"):
        silence(network.residual.tail)
        network.residual.tail.requires_grad_(False)


def rate_distortion(weight: float) -> Any:
    """Bits a coded pixel + weight * 255^2 * (MSE of the blend + MSE of the ×2 picture)."""

    def loss(codec: Any, batch: Batch) -> Tensor:
        (large,) = batch
        picture = nn.functional.avg_pool2d(large, 2)
        out = codec(picture)
        pixels = picture.shape[0] * picture.shape[2] * picture.shape[3]
        nats = sum(torch.log(p).sum() for p in out["likelihoods"].values())
        distortion = nn.functional.mse_loss(out["x_hat"], picture)
        distortion = distortion + nn.functional.mse_loss(out["x_m2"], large)
        quantiles: Tensor = 1e-3 * codec.aux_loss()
        return -nats / (math.log(2.0) * pixels) + weight * 255.0**2 * distortion + quantiles

    return loss


def main(argv: Sequence[str]) -> Path:
    """Train as the arguments say and return the checkpoint's path."""
    parser = arguments.parser("train the codec of Suzuki et al.", rate=1e-3, crop=256, batch=4)
    parser.add_argument("--share", type=float, default=0.5, help="of the paper's features")
    parser.add_argument("--features", type=int, default=32, help="of the SR residual module")
    parser.add_argument("--blocks", type=int, default=4, help="of the SR residual module")
    parser.add_argument("--weight", type=float, default=0.01, help="of the distortion (lambda)")
    parser.add_argument("--without", choices=("mask", "residual", "both"), help="leave this out")
    parser.add_argument("--residual-rate", type=float, help="of the SR residual, default as --rate")
    parser.add_argument("--start", type=Path, help="codec to begin with, of the same sizes")
    given = parser.parse_args(argv)
    settings = arguments.settings(given)
    if given.residual_rate is not None and given.residual_rate <= 0:
        raise UsageError(f"--residual-rate: found {given.residual_rate}, expected one above 0")
    if given.crop % (2 * STRIDE):
        raise UsageError(f"--crop: found {given.crop}, expected a multiple of {2 * STRIDE}")
    pictures = data.load_pictures(given.pictures, given.crop)
    encoder, main_decoder, detail = (
        tuple(max(4, round(given.share * width)) for width in widths)
        for widths in (ENCODER, MAIN, DETAIL)
    )
    network = SelectiveDetail(
        encoder, main_decoder, detail, LATENT, HYPER, given.features, given.blocks
    )
    silence(network.residual.tail)
    if given.start is not None:
        start_from(network, given.start)
    leave_out(network, given.without)
    factors = {"residual.": (given.residual_rate or settings.rate) / settings.rate}
    trainer = Trainer(network, settings, factors)
    feed = batches(pictures, given.crop, given.batch, given.seed + trainer.step)
    codec: Any = trainer.fit(feed, rate_distortion(given.weight))
    codec.cpu().update(force=True)
    save_atomically(codec.state_dict(), settings.out)
    return settings.out


if __name__ == "__main__":
    arguments.run(main)
