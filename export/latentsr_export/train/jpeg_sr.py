"""Recipe of JPEG super-resolution: artefact removal, then EDSR, then both together (Jin et al.).

python -m latentsr_export.train.jpeg_sr --pictures DIR --out jin.pth --quality 10 --minutes 60

As in the paper's section 3: the artefact removal learns the reduced picture from its JPEG file;
EDSR learns the original from what that makes, which stays as it is; then both are trained as one,
on the absolute difference. The time is shared out over the three steps. jin.pth then holds both
networks; beside it jin.car.pth and jin.sr.pth are those that `latentsr export` takes, with
--preset jin-jpeg-car-sr --weights car=jin.car.pth --pixel-sr jin.sr.pth. With --alone EDSR learns
from the JPEG file itself for the whole time, to measure what the artefact removal is good for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentsr import jpeg
from latentsr_export.networks.car import ArtefactRemoval
from latentsr_export.networks.edsr import EDSR, initialise_as_bilinear
from latentsr_export.train import arguments, data
from latentsr_export.train.loop import Batch, Settings, Trainer, resume_path, save_atomically

SHARES = (0.25, 0.5, 0.25)  # of the whole time: artefact removal, EDSR, both
SUBSAMPLINGS = jpeg.SUBSAMPLINGS


@dataclass(frozen=True)
class Triple:
    """A reduced picture from its JPEG file and as it was, uint8 (H, W, 3), and its original."""

    decoded: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Joint(nn.Module):
    """Artefact removal and EDSR as one network."""

    def __init__(self, car: nn.Module, sr: nn.Module) -> None:
        super().__init__()
        self.car, self.sr = car, sr

    def forward(self, x: Tensor) -> Tensor:
        """RGB (N, 3, H, W) of a JPEG file to (N, 3, scale H, scale W)."""
        made: Tensor = self.sr(self.car(x))
        return made


def make_triples(
    pictures: list[np.ndarray], scale: int, quality: int, subsampling: str
) -> list[Triple]:
    """Reduce every picture and send it through JPEG whole, on the grid that it will have."""
    triples = []
    for picture in pictures:
        high = data.crop_to_multiple(picture, scale)
        low = data.reduce_by(high, scale)
        triples.append(Triple(jpeg.decode(jpeg.encode(low, quality, subsampling)), low, high))
    return triples


def batches(triples: list[Triple], scale: int, crop: int, batch: int, seed: int) -> Iterator[Batch]:
    """Endless batches in 0..1: decoded and low (batch, 3, crop, crop), high of scale times that."""
    generator = np.random.default_rng(seed)
    areas = np.array([triple.low.shape[0] * triple.low.shape[1] for triple in triples], float)
    while True:
        made: tuple[list[Tensor], ...] = ([], [], [])
        for _ in range(batch):
            triple = triples[data.pick(areas, generator)]
            place = data.corner(triple.low.shape[:2], crop, generator)
            symmetry = int(generator.integers(8))
            for kept, whole, k in zip(
                made, (triple.decoded, triple.low, triple.high), (1, 1, scale), strict=True
            ):
                row, column, side = place[0] * k, place[1] * k, crop * k
                piece = data.to_tensor(whole[row : row + side, column : column + side])
                kept.append(data.flip(piece, symmetry))
        yield tuple(torch.stack(pieces) for pieces in made)


def removal_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean absolute difference of the picture without artefacts and the reduced one."""
    decoded, low, _ = batch
    return nn.functional.l1_loss(network(decoded).float(), low)


def after(car: nn.Module) -> Callable[[nn.Module, Batch], Tensor]:
    """Loss of the second step: EDSR on what the artefact removal makes, which does not learn."""

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        decoded, _, high = batch
        with torch.no_grad():
            restored = car(decoded)
        return nn.functional.l1_loss(network(restored).float(), high)

    return loss


def joint_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean absolute difference of the enlarged picture and the original; of both, or EDSR alone."""
    decoded, _, high = batch
    return nn.functional.l1_loss(network(decoded).float(), high)


def stage(settings: Settings, out: Path, number: int) -> Settings:
    """Settings of one of the three steps; a step that has not begun is not resumed."""
    share = SHARES[number]
    minutes = None if settings.minutes is None else settings.minutes * share
    steps = None if settings.steps is None else max(1, round(settings.steps * share))
    resume = settings.resume and (number == 0 or resume_path(out).exists())
    return replace(settings, out=out, minutes=minutes, steps=steps, resume=resume)


def beside(out: Path, part: str) -> Path:
    """``jin.pth`` → ``jin.car.pth``."""
    return out.with_name(f"{out.stem}.{part}{out.suffix}")


def train(
    car: ArtefactRemoval,
    sr: EDSR,
    settings: Settings,
    feed: Callable[[int], Iterator[Batch]],
) -> None:
    """The three steps; feed: batches by how many steps were done before."""
    outs = (beside(settings.out, "step1"), beside(settings.out, "step2"), settings.out)
    first = Trainer(car, stage(settings, outs[0], 0))
    restored = first.fit(feed(first.step), removal_loss)
    second = Trainer(sr, stage(settings, outs[1], 1))
    enlarged = second.fit(feed(second.step), after(restored))
    joint = Joint(car, sr)
    car.load_state_dict(restored.state_dict())
    sr.load_state_dict(enlarged.state_dict())
    third = Trainer(joint, stage(settings, outs[2], 2))
    made = third.fit(feed(third.step), joint_loss)
    for name, network in made.named_children():
        save_atomically(network.state_dict(), beside(settings.out, name))


def main(argv: Sequence[str]) -> Path:
    """Train as the arguments say and return the path of the checkpoint with what was trained."""
    parser = arguments.parser("train JPEG super-resolution", rate=1e-4, crop=48, batch=8)
    parser.add_argument("--quality", type=int, default=10, choices=range(1, 101), metavar="1..100")
    parser.add_argument("--subsampling", default="4:2:0", choices=SUBSAMPLINGS)
    parser.add_argument("--scale", type=int, default=4, choices=(2, 3, 4))
    parser.add_argument("--features", type=int, default=64, help="of EDSR")
    parser.add_argument("--blocks", type=int, default=8, help="of EDSR")
    parser.add_argument("--car-features", type=int, default=64, help="of the artefact removal")
    parser.add_argument("--car-layers", type=int, default=16, help="middle layers of it")
    parser.add_argument("--alone", action="store_true", help="no artefact removal: EDSR only")
    given = parser.parse_args(argv)
    settings = arguments.settings(given)
    pictures = data.load_pictures(given.pictures, given.scale * given.crop)
    triples = make_triples(pictures, given.scale, given.quality, given.subsampling)
    sr = EDSR(given.features, given.blocks, given.scale)
    initialise_as_bilinear(sr)

    def feed(done: int) -> Iterator[Batch]:
        return batches(triples, given.scale, given.crop, given.batch, given.seed + done)

    if given.alone:
        trainer = Trainer(sr, settings)
        trainer.fit(feed(trainer.step), joint_loss)
        return settings.out
    car = ArtefactRemoval(given.car_features, given.car_layers)
    train(car, sr, settings, feed)
    return settings.out


if __name__ == "__main__":
    arguments.run(main)
