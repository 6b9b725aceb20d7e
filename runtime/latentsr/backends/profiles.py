"""Profiles: the range of input shapes that one TensorRT plan takes, and how users name them.

A plan runs fastest at the shapes it was tuned for, so there are two kinds: *exact*, for one shape
only, and *bucket*, for all sides within a factor of two. Sizes that `latentsr build --shapes` was
told get the former; others that turn up get the latter, so that a folder of pictures of any sizes
needs a handful of builds and not one a picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from latentsr.errors import UsageError

Shape = tuple[int, ...]
Size = tuple[int, int]
Range = tuple[Size, Size, Size]
MAX_SIDE = 65535
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


@dataclass(frozen=True)
class Profile:
    """Smallest, usual and greatest shape of every input, by name."""

    least: Mapping[str, Shape]
    usual: Mapping[str, Shape]
    most: Mapping[str, Shape]

    def covers(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether all shapes lie in the range."""
        return set(shapes) == set(self.usual) and all(
            len(shape) == len(self.usual[name])
            and all(
                low <= side <= high
                for low, side, high in zip(self.least[name], shape, self.most[name], strict=True)
            )
            for name, shape in shapes.items()
        )

    @property
    def is_exact(self) -> bool:
        """Whether there is one shape only."""
        return self.least == self.usual == self.most

    def as_dict(self) -> dict[str, list[list[int]]]:
        """For keys and JSON: input → [least, usual, most]."""
        parts = (self.least, self.usual, self.most)
        return {name: [list(part[name]) for part in parts] for name in sorted(self.usual)}

    def __str__(self) -> str:
        found = []
        for name, sides in self.as_dict().items():
            texts = ["x".join(map(str, side)) for side in sides]
            found.append(f"{name} {texts[0] if len(set(texts)) == 1 else ' .. '.join(texts)}")
        return ", ".join(found)


def exact(shapes: Mapping[str, Shape]) -> Profile:
    """The profile of one shape."""
    own = dict(shapes)
    return Profile(own, own, own)


def bucket(shapes: Mapping[str, Shape]) -> Profile:
    """The profile of all shapes whose sides have the same whole power of two below them.

    Images and channels stay as they are; sides 2^k .. 2^(k+1) - 1 share a profile, tuned for the
    greatest: plans are used at more sizes than they are built for, and large ones take longest.
    """
    least, most = {}, {}
    for name, shape in shapes.items():
        fixed, sides = shape[:2], shape[2:]
        least[name] = (*fixed, *(1 << (side.bit_length() - 1) for side in sides))
        most[name] = (*fixed, *((1 << side.bit_length()) - 1 for side in sides))
    return Profile(least, dict(most), most)


def parse_sizes(text: str) -> list[Range]:
    """Picture sizes of ``--shapes``: ``1920x1080,640x480:1920x1080:3840x2160`` (width x height).

    Each is one size, or smallest:usual:greatest. Returns (height, width) three times for each.
    Raises UsageError.
    """
    found = []
    for part in text.split(","):
        sizes = [_size(size, part) for size in part.strip().split(":")]
        if len(sizes) == 1:
            sizes *= 3
        if len(sizes) != 3 or not all(sizes[0][i] <= sizes[1][i] <= sizes[2][i] for i in range(2)):
            raise _wrong(part)
        found.append((sizes[0], sizes[1], sizes[2]))
    return found


def _size(text: str, part: str) -> Size:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise _wrong(part)
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise _wrong(part)
    return height, width


def _wrong(part: str) -> UsageError:
    return UsageError(
        f"shapes cannot be read: found {part!r}, expected WIDTHxHEIGHT or three of them, smallest:"
        f"usual:greatest, sides 1..{MAX_SIDE}; for example "
        "--shapes 1920x1080,64x64:640x480:2048x2048"
    )
