"""Latents for the entropy-coding benchmark: synthetic Gaussian ones and those of a real codec.

A data set is a ring of several latents of one kind, because a processor learns the branches of a
stream that it decodes again and again, and then looks up to half as fast again as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from compressai.entropy_models import GaussianConditional
from numpy.typing import NDArray

import latentsr
from latentsr.codec import Codec
from latentsr.entropy import Tables
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.pipeline.entropy_step import EntropyModel
from latentsr.report.demo import crop_to_scale, reduce

SCALES = np.exp(np.linspace(np.log(0.11), np.log(256), 64)).astype(np.float32)
RING = 8
CROP = (1080, 1920)
LATENT_1080P = 120 * 68 * 192


@dataclass(frozen=True)
class Latent:
    """Symbols and their table rows, flat; `values` is what was rounded, where it is known."""

    symbols: NDArray[np.int32]
    indexes: NDArray[np.integer]
    values: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class LatentSet:
    """A ring of latents with the distributions they are coded with.

    `scales` holds the standard deviation of each table row, `chunks` what belongs to whole
    pictures, y among it: {chunk: (tables, latents)}. `threads`: two of them are measured too.
    `skip`: rows below it are left out by one more coder.
    """

    name: str
    about: str
    tables: Tables
    scales: NDArray[np.float32]
    ring: list[Latent]
    threads: bool = False
    skip: int = 0
    chunks: dict[str, tuple[Tables, list[Latent]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {latent.symbols.size for latent in self.ring}
        if len(sizes) != 1:
            raise SystemExit(
                f"{self.name}: found latents of {sorted(sizes)} symbols, expected one size"
            )

    @property
    def symbols(self) -> int:
        """Symbols of one latent; all have as many."""
        return self.ring[0].symbols.size


def ideal_bits(tables: Tables, latents: list[Latent]) -> float:
    """Code length by the tables' probabilities.

    An escaped value costs what its slot costs and, as no table speaks of it, the bits that
    CompressAI writes for it in the open: groups of 4, their number first.
    """
    total = 0.0
    for latent in latents:
        value = (latent.symbols - tables.offset[latent.indexes]).astype(np.int64)
        escape = tables.length[latent.indexes] - 2
        inside = (value >= 0) & (value < escape)
        slot = np.where(inside, value, escape)
        sizes = tables.cdf[latent.indexes, slot + 1] - tables.cdf[latent.indexes, slot]
        total += float(np.sum(16 - np.log2(sizes)))
        raw = np.where(value < 0, -2 * value - 1, 2 * (value - escape))[~inside]
        groups = np.ceil(np.log2(raw + 1.0) / 4)
        total += float(np.sum(4 + 4 * groups))
    return total


def synthetic(
    name: str, mean_row: float | None, count: int, threads: bool = False, skip: int = 0
) -> LatentSet:
    """Gaussian symbols over CompressAI's 64 scales; rows exponentially distributed, or all alike.

    mean_row: mean of the rows' distribution; None for rows that are all equally frequent.
    """
    model = GaussianConditional(SCALES.tolist())
    model.update()
    tables = Tables(model.quantized_cdf.numpy(), model.cdf_length.numpy(), model.offset.numpy())
    ring = []
    for seed in range(1, RING + 1):
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, 64, count) if mean_row is None else rng.exponential(mean_row, count)
        indexes = np.minimum(rows, 63).astype(np.uint8)
        values = rng.normal(0, SCALES[indexes])
        symbols = np.rint(values).astype(np.int32)
        ring.append(Latent(symbols, indexes, values.astype(np.float32)))
    mix = "rows all alike" if mean_row is None else f"rows exponential, mean {mean_row}"
    about = f"synthetic Gaussian, {mix}"
    return LatentSet(name, about, tables, SCALES, ring, threads, skip)


def kodak(folder: Path, bundle: str) -> LatentSet:
    """y of each picture of a folder reduced by 4, as the demo codes it; all chunks beside it."""
    with latentsr.load(bundle) as codec:
        pictures = [reduce(crop_to_scale(to_rgb8(p))) for p in expand([str(folder)], PICTURES)]
        found = record(codec, pictures)
        tables = {name: model.coder.tables for name, model in codec.machine.entropy.items()}
        ring = found["y"]
        about = f"y of {len(ring)} pictures reduced by 4"
        chunks = {name: (tables[name], found[name]) for name in found}
        return LatentSet("kodak/4", about, tables["y"], _scales(codec), ring, chunks=chunks)


def photographs(folder: Path, bundle: str) -> LatentSet:
    """y of 1080p crops of large photographs, two crops joined to one latent of twice the channels.

    Crops lie side by side in each photograph. A latent joins crops that are far apart in the
    list, so usually of different photographs.
    """
    with latentsr.load(bundle) as codec:
        crops = [c for p in expand([str(folder)], PICTURES) for c in _crops(to_rgb8(p))]
        if len(crops) < 2:
            raise SystemExit(f"{folder}: found {len(crops)} crops of 1080p, expected 2 or more")
        found = record(codec, crops)["y"]
        half = len(found) // 2
        ring = [_join(found[i], found[i + half]) for i in range(min(half, RING))]
        about = f"y of {2 * len(ring)} crops of photographs, two to a latent"
        tables = codec.machine.entropy["y"].coder.tables
        return LatentSet("1080p real", about, tables, _scales(codec), ring, threads=True)


def record(codec: Codec, pictures: list[NDArray[np.uint8]]) -> dict[str, list[Latent]]:
    """What the encode route with exact graphs gives to the coder, for each chunk and picture."""
    found: dict[str, list[Latent]] = {name: [] for name in codec.machine.entropy}
    for name, model in codec.machine.entropy.items():
        model.encode = _recording(model, found[name])  # type: ignore[method-assign]
    for picture in pictures:
        codec.run_encode(picture, "encode", exact=True)
    return found


def _recording(model: EntropyModel, found: list[Latent]) -> Callable[..., Any]:
    """The model's encode, keeping symbols and rows of each call."""
    plain = model.encode

    def encode(latent: Any, scales: Any, means: Any, coding: Any) -> Any:
        result = plain(latent, scales, means, coding)
        indexes = model.indexes(scales, latent.shape, coding.exact)
        found.append(Latent(result[2].reshape(-1), indexes.reshape(-1)))
        return result

    return encode


def _scales(codec: Codec) -> NDArray[np.float32]:
    return np.asarray(codec.bundle.tensors["y.scale_table"], np.float32)


def _crops(picture: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    height, width = CROP
    for top in range(0, picture.shape[0] - height + 1, height):
        for left in range(0, picture.shape[1] - width + 1, width):
            yield np.ascontiguousarray(picture[top : top + height, left : left + width])


def _join(first: Latent, second: Latent) -> Latent:
    return Latent(
        np.concatenate([first.symbols, second.symbols]),
        np.concatenate([first.indexes, second.indexes]),
    )
