"""Training pictures: a folder becomes uint8 arrays, reduced copies and random crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentsr.errors import ImageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


def list_pictures(folders: Sequence[Path]) -> list[Path]:
    """Picture files below `folders`, sorted; ImageError if a folder is missing or has none."""
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise ImageError(f"no training pictures: found no folder {folder}; give a folder")
        inside = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not inside:
            raise ImageError(
                f"no training pictures: found none in {folder}, expected files ending in "
                f"{', '.join(sorted(SUFFIXES))}"
            )
        found.extend(inside)
    return found


def load_picture(path: Path) -> np.ndarray:
    """RGB picture as uint8 (H, W, 3); ImageError if the file is no picture."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read training picture {path}: {error}") from error


def load_pictures(folders: Sequence[Path], smallest: int) -> list[np.ndarray]:
    """Every picture below `folders` with both sides at least `smallest` pixels."""
    pictures = [load_picture(path) for path in list_pictures(folders)]
    large = [picture for picture in pictures if min(picture.shape[:2]) >= smallest]
    if not large:
        sizes = max(min(picture.shape[:2]) for picture in pictures)
        raise ImageError(
            f"training pictures too small: found a shorter side of {sizes} at most, expected "
            f"{smallest} or more; use larger pictures or a smaller --crop"
        )
    return large


def crop_to_multiple(picture: np.ndarray, multiple: int) -> np.ndarray:
    """Top left part of (H, W, 3) whose sides are multiples of `multiple`."""
    height, width = (side // multiple * multiple for side in picture.shape[:2])
    return picture[:height, :width]


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pillow bicubic (antialiased) resize of uint8 (H, W, 3) to `height` x `width`."""
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def reduce_by(picture: np.ndarray, factor: int) -> np.ndarray:
    """Picture reduced by an integer `factor` that divides both sides."""
    height, width = picture.shape[:2]
    return resize(picture, height // factor, width // factor)


def to_tensor(picture: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) to float32 (3, H, W) in 0..1."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255.0


def pick(areas: np.ndarray, generator: np.random.Generator) -> int:
    """Index of a random picture, large ones more often in proportion to their area."""
    return int(generator.choice(len(areas), p=areas / areas.sum()))


def corner(sides: Sequence[int], size: int, generator: np.random.Generator) -> tuple[int, int]:
    """Random top left (row, column) of a `size` x `size` crop inside `sides` = (height, width)."""
    height, width = sides
    row = int(generator.integers(0, height - size + 1))
    return row, int(generator.integers(0, width - size + 1))


def flip(crop: Tensor, symmetry: int) -> Tensor:
    """One of the eight symmetries (0..7) of the square applied to the last two axes."""
    if symmetry & 4:
        crop = crop.flip(-1)
    return torch.rot90(crop, symmetry & 3, (-2, -1))
