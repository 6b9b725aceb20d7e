"""CompressAI's strings in and out of the container.

CompressAI's ``compress()`` returns ``{"strings": [[y], [z]], "shape": (h, w)}`` for one picture
(a factorized prior: ``[[y]]``); `shape` is the grid of the last latent listed. Codecs that decode y
in passes return a string for each pass and ``{"y": …, "hyper": (h, w)}``. The strings are in the
``compressai`` form of the coder, so they go into our container unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from latentsr.bundle import Bundle
from latentsr.errors import UsageError
from latentsr.stream import Padding, Stream, pack


def from_compressai(
    bundle: Bundle,
    strings: Sequence[Sequence[bytes]],
    shape: Sequence[int] | Mapping[str, Any],
    size: tuple[int, int] | None = None,
    padding: Padding | None = None,
) -> bytes:
    """Wrap what CompressAI's ``compress()`` returned for one picture.

    size: (width, height) of the picture before padding; None means all of the padded picture.
    padding: samples added on each side; None means to the right and below, up to `shape`.
    Raises UsageError where counts or sizes do not fit the bundle.
    """
    chunks = bundle.manifest.chunks
    if len(strings) != len(chunks) or any(len(batch) != 1 for batch in strings):
        raise UsageError(
            f"strings do not fit the bundle: found {[len(batch) for batch in strings]}, expected "
            f"{len(chunks)} lists of one string each; pass one picture of the same codec"
        )
    # CompressAI lists y before z; `shape` is the grid of z, or of y where there is no z.
    grid = shape["hyper"] if isinstance(shape, Mapping) else shape
    stride = chunks[0].stride
    height, width = int(grid[0]) * stride, int(grid[1]) * stride
    if size is None:
        size = (width, height)
    if padding is None:
        padding = Padding(right=width - size[0], bottom=height - size[1])
    found = (size[0] + padding.left + padding.right, size[1] + padding.top + padding.bottom)
    if found != (width, height) or not all(0 <= side <= 255 for side in padding):
        raise UsageError(
            f"size and padding do not fit the latent: found {found[0]}x{found[1]} padded by "
            f"{tuple(padding)}, expected {width}x{height} and 0..255 on each side"
        )
    ordered = tuple(bytes(batch[0]) for batch in (strings[-1], *strings[:-1]))
    return pack(Stream(*size, padding, bundle.fingerprint, ordered))


def to_compressai(bundle: Bundle, stream: Stream) -> tuple[list[list[bytes]], Any]:
    """Strings and shape for CompressAI's ``decompress()``; the picture it makes is padded.

    The shape is (h, w), or what codecs with passes want in its place.

    The stream must come from ``encode(..., exact=False)``: CompressAI computes scales in floating
    point and knows its own coder's form only. Raises UsageError otherwise.
    """
    if stream.exact or stream.form != "compressai":
        scales = "exact" if stream.exact else "float"
        raise UsageError(
            f"stream cannot be given to CompressAI: found form {stream.form} and {scales} scales, "
            "expected form compressai and float scales; encode with exact=False"
        )
    first, *others = bundle.manifest.chunks
    height, width = stream.padded_size
    grid = height // first.stride, width // first.stride
    strings = [[chunk] for chunk in (*stream.chunks[1:], stream.chunks[0])]
    if len(others) < 2:
        return strings, grid
    # Passes come in pairs, the halves of a group of channels; a single group is not listed.
    shapes = [(c.channels, height // c.stride, width // c.stride) for c in others[::2]]
    return strings, {"y": shapes if len(shapes) > 1 else shapes[0], "hyper": grid}
