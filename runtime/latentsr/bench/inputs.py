"""What a benchmark measures on: streams, made from pictures where pictures are given.

A picture is an HR original: it is cut to a multiple of the routes' scale, reduced by the scale
(Pillow's bicubic, which widens its kernel against aliasing) and encoded; routes are compared with
the original. A stream has no original, so it has times but no quality. Where a bundle's streams are
themselves picture files, as JPEG files are, a file named is a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from latentsr.bench.subject import Item
from latentsr.codec import Codec
from latentsr.errors import ImageError
from latentsr.files import (
    PICTURES,
    STREAMS,
    expand,
    read_stream,
    stream_suffixes,
    write_bytes,
)
from latentsr.image import save_rgb8, to_rgb8


@dataclass(frozen=True)
class Input:
    """One item and its sizes: coded (what the stream holds) and of the enlarged picture."""

    item: Item
    bytes: int
    coded_width: int
    coded_height: int
    scale: int

    def as_dict(self) -> dict[str, object]:
        """For JSON: bpp counts coded pixels, bpp_output those of the enlarged picture."""
        width, height = self.coded_width, self.coded_height
        output = width * height * self.scale**2
        return {
            "name": self.item.name, "width": width * self.scale, "height": height * self.scale,
            "coded_width": width, "coded_height": height, "bytes": self.bytes,
            "bpp": 8 * self.bytes / (width * height), "bpp_output": 8 * self.bytes / output,
        }  # fmt: skip

    def reference(self, scale: int) -> np.ndarray | None:
        """What a route of that scale is compared with: the original, or for 1 the reduced one."""
        if self.item.original is None or scale not in (1, self.scale):
            return None
        original = to_rgb8(self.item.original)
        return original if scale == self.scale else reduce(original, self.scale)


def gather(codec: Codec, names: Sequence[str], scale: int, folder: Path) -> list[Input]:
    """Streams of all files named by paths, folders and globs; made ones go into `folder`."""
    found = []
    for number, path in enumerate(expand(names, (*PICTURES, *STREAMS))):
        if path.suffix.lower() in STREAMS:
            found.append(from_stream(codec, path, scale))
        else:
            found.append(from_picture(codec, to_rgb8(path), f"{number:03}-{path.stem}", scale,
                                      folder, path.name))  # fmt: skip
    return found


def from_stream(codec: Codec, path: Path, scale: int) -> Input:
    """An input without original."""
    data = read_stream(path)
    parts = codec.open_stream(data)
    return Input(Item(path.name, path.absolute()), len(data), parts.width, parts.height, scale)


def from_picture(
    codec: Codec, picture: np.ndarray, stem: str, scale: int, folder: Path, name: str
) -> Input:
    """Encode an HR original, uint8 (H, W, 3), and keep it as a PNG beside the stream."""
    original = crop_to_scale(picture, scale)
    data = codec.encode(reduce(original, scale))
    suffix = stream_suffixes(codec.bundle.manifest.file_model)[0]
    stream, kept = folder / f"{stem}{suffix}", folder / f"{stem}.png"
    write_bytes(stream, data)
    save_rgb8(original, kept)
    parts = codec.open_stream(data)
    return Input(Item(name, stream, kept), len(data), parts.width, parts.height, scale)


def crop_to_scale(picture: np.ndarray, scale: int) -> np.ndarray:
    """Cut an HR picture so that both sides are multiples of `scale`; ImageError below scale."""
    height, width = (side - side % scale for side in picture.shape[:2])
    if height == 0 or width == 0:
        raise ImageError(
            f"picture is too small: found {picture.shape[1]}x{picture.shape[0]}, expected at "
            f"least {scale}x{scale}; choose a larger one"
        )
    return np.ascontiguousarray(picture[:height, :width])


def reduce(picture: np.ndarray, scale: int) -> np.ndarray:
    """HR → LR by Pillow's bicubic."""
    size = picture.shape[1] // scale, picture.shape[0] // scale
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def tiled_to(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture of any size with the content of this one: mirrored onwards, then cut."""
    rows, columns = height - picture.shape[0], width - picture.shape[1]
    grown = np.pad(picture, ((0, max(rows, 0)), (0, max(columns, 0)), (0, 0)), mode="symmetric")
    return np.ascontiguousarray(grown[:height, :width])
