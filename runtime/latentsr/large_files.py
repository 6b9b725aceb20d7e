"""Picture files opened without Pillow's warning of large ones; those above its limit are refused.

`PIL.Image.open` warns above `Image.MAX_IMAGE_PIXELS`, 89,478,485, and refuses more than twice as
many. Filters decide whether the warning is shown or raised, and they belong to all threads: none
can be set while one file is open. So files are handed to Pillow's readers as `Image.open` does it,
and their size is checked here, against the same limit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image

_PREFIX = 16  # bytes that readers tell their format by
_NOT_MINE = (SyntaxError, IndexError, TypeError, struct.error)  # as Pillow's readers say it


def open_picture(file: BinaryIO, name: str = "", formats: Sequence[str] | None = None) -> Image:
    """The picture in a file, as `Image.open` gives it: its samples are read when it is loaded.

    name: the file's, "" where it has none. formats: Pillow's names of those that will do, None for
    all. Raises Pillow's UnidentifiedImageError, its DecompressionBombError above the limit, and
    nearly anything for a damaged file.
    """
    from PIL import Image as Pillow

    prefix = file.read(_PREFIX)
    tried: set[str] = set()
    for learn in (Pillow.preinit, Pillow.init):  # the usual formats, then all
        learn()
        for kind in formats or tuple(Pillow.ID):
            if kind in tried or kind not in Pillow.OPEN:
                continue
            tried.add(kind)
            image = _read(Pillow.OPEN[kind], file, name, prefix)
            if image is not None:
                _check(*image.size)
                return image
    raise Pillow.UnidentifiedImageError(f"cannot identify image file {name!r}")


def load(image: Image) -> None:
    """Load an opened picture's samples; errors as `open_picture`.

    Pillow checks a TIFF file's size once more when it gets memory for it, and so finds it there.
    """
    from PIL import Image as Pillow

    size = getattr(image, "_tile_size", None)
    most = Pillow.MAX_IMAGE_PIXELS
    if image.format == "TIFF" and size and most is not None and size[0] * size[1] > most:
        _check(*size)
        if getattr(image, "_im", image) is None:
            image.im = Pillow.core.new(image.mode, size)
    image.load()


def _read(reader: tuple[Any, Any], file: BinaryIO, name: str, prefix: bytes) -> Image | None:
    """What one of Pillow's readers makes of a file, None where it is of another format."""
    factory, accepts = reader
    try:
        answer = not accepts or accepts(prefix)
        if isinstance(answer, str) or not answer:  # a text says what Pillow was built without
            return None
        file.seek(0)
        image: Image = factory(file, name)
    except _NOT_MINE:
        return None
    return image


def _check(width: int, height: int) -> None:
    from PIL import Image as Pillow

    if Pillow.MAX_IMAGE_PIXELS is not None and width * height > 2 * Pillow.MAX_IMAGE_PIXELS:
        raise Pillow.DecompressionBombError(
            f"{width}x{height}, expected at most {2 * Pillow.MAX_IMAGE_PIXELS} pixels"
        )
