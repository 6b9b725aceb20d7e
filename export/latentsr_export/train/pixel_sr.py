"""Recipe of the pixel baseline: EDSR or RRDBNet x4 on the decoded pictures of a frozen codec.

python -m latentsr_export.train.pixel_sr --pictures DIR --codec codec.pth --out sr.pth --minutes 60

The codec runs once over all reduced pictures; its output is kept as float16 without rounding to
8 bits, as the pixel route hands it on inside one graph chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.networks.edsr import EDSR, initialise_as_bilinear
from latentsr_export.networks.rrdbnet import RRDBNet
from latentsr_export.train import arguments, data
from latentsr_export.train.codec import decode, load_codec
from latentsr_export.train.loop import Batch, Trainer, start_from

SCALE = 4


@dataclass(frozen=True)
class Pair:
    """A decoded reduced picture, float16 (3, H, W) in 0..1, and its original, uint8 (4H, 4W, 3)."""

    low: Tensor
    high: np.ndarray


def make_pairs(pictures: list[np.ndarray], codec: nn.Module, device: str) -> list[Pair]:
    """Reduce every picture by four, send it through the codec, keep both sides in memory."""
    codec = codec.to(device)
    pairs = []
    for picture in pictures:
        high = data.crop_to_multiple(picture, SCALE)
        low = data.to_tensor(data.reduce_by(high, SCALE)).unsqueeze(0).to(device)
        pairs.append(Pair(decode(codec, low)[0].half().cpu(), high))
    return pairs


def batches(pairs: list[Pair], crop: int, batch: int, seed: int) -> Iterator[Batch]:
    """Endless batches (decoded (batch, 3, crop, crop), original (batch, 3, 4 crop, 4 crop))."""
    generator = np.random.default_rng(seed)
    areas = np.array([pair.low.shape[1] * pair.low.shape[2] for pair in pairs], float)
    while True:
        lows, highs = [], []
        for _ in range(batch):
            pair = pairs[data.pick(areas, generator)]
            row, column = data.corner(pair.low.shape[1:], crop, generator)
            symmetry = int(generator.integers(8))
            low = pair.low[:, row : row + crop, column : column + crop].float()
            row, column, side = SCALE * row, SCALE * column, SCALE * crop
            high = data.to_tensor(pair.high[row : row + side, column : column + side])
            lows.append(data.flip(low, symmetry))
            highs.append(data.flip(high, symmetry))
        yield torch.stack(lows), torch.stack(highs)


def charbonnier(network: nn.Module, batch: Batch) -> Tensor:
    """Smooth absolute difference of output and target, mean over all values."""
    given, target = batch
    difference = network(given).float() - target
    return torch.sqrt(difference * difference + 1e-6).mean()


def build(kind: str, features: int, blocks: int) -> nn.Module:
    """An untrained network; EDSR starts as bilinear enlargement."""
    if kind == RRDBNet.NAME:
        return RRDBNet(features, blocks, max(features // 2, 1))
    network = EDSR(features, blocks, SCALE)
    initialise_as_bilinear(network)
    return network


def main(argv: Sequence[str]) -> Path:
    """Train a network as the arguments say and return the checkpoint's path."""
    parser = arguments.parser("train a pixel baseline x4", rate=4e-4, crop=48, batch=8)
    parser.add_argument("--network", choices=(EDSR.NAME, RRDBNet.NAME), default=EDSR.NAME)
    parser.add_argument("--codec", type=Path, required=True, help="frozen codec checkpoint")
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--start", type=Path, help="network to begin with, where tensors fit")
    given = parser.parse_args(argv)
    settings = arguments.settings(given)
    codec = load_codec(given.codec)
    pictures = data.load_pictures(given.pictures, SCALE * given.crop)
    pairs = make_pairs(pictures, codec, settings.device)
    network = build(given.network, given.features, given.blocks)
    if given.start is not None:
        start_from(network, given.start)
    trainer = Trainer(network.to(memory_format=torch.channels_last), settings)
    feed = batches(pairs, given.crop, given.batch, given.seed + trainer.step)
    trainer.fit(feed, charbonnier)
    return settings.out


if __name__ == "__main__":
    arguments.run(main)
