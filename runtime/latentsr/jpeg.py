"""JPEG files as streams: written plainly, checked marker by marker before anything is decoded.

A bundle whose only chunk is a JPEG has no container of its own: the stream is the file, and any
JPEG file is a stream (`latentsr.manifest`). Such a file carries no checksum and no fingerprint, so
damage inside its coded data can pass as another picture; all that its markers say is checked.

EXIF orientation is applied, as to all pictures (`latentsr.image`): a photograph comes out upright,
and what the networks see is turned, not resampled. Files that `encode` writes have no EXIF, as the
orientation of its input is applied before.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latentsr.errors import CorruptStream, ImageError, StreamError
from latentsr.image import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
MAX_SIDE = 65500  # libjpeg's own limit, a little below what the format can say
MAX_SCANS = 100  # a progressive file has about ten; each one costs a pass over the picture
_SOI, _EOI, _SOS, _DNL, _TEM = 0xD8, 0xD9, 0xDA, 0xDC, 0x01
_CODINGS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOFn, without tables and the reserved one
# What ends the coded data of a scan: a marker that is neither a stuffed zero, a restart nor a fill.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_KINDS = {1: "grey", 3: "colour", 4: "four colours"}
_BLOCK = 64  # pixels of a block of 8x8; each costs a bit at least in a Huffman-coded scan


@dataclass(frozen=True)
class Frame:
    """What a file's markers say: size as stored, coding, components with (h, v) sampling, scans."""

    width: int
    height: int
    coding: str
    sampling: tuple[tuple[int, int], ...]
    scans: int

    def as_dict(self) -> dict[str, object]:
        """Facts for people."""
        factors = " ".join(f"{h}x{v}" for h, v in self.sampling)
        return {
            "coding": self.coding, "components": _KINDS[len(self.sampling)],
            "sampling": factors, "scans": self.scans,
        }  # fmt: skip


def is_jpeg(data: bytes) -> bool:
    """Whether the first bytes are a JPEG file's."""
    return data[:3] == b"\xff\xd8\xff"


def read_frame(data: bytes) -> Frame:
    """Walk over all markers up to the end of the picture; nothing is decoded.

    Raises StreamError for what is no JPEG file or of a kind that is not known here, CorruptStream
    for a file that is cut off or contradicts itself, and for sizes that its bytes cannot hold.
    """
    if not is_jpeg(data):
        raise StreamError(
            f"not a JPEG file: found first bytes {data[:4].hex(' ') or 'none'}, expected ff d8 ff; "
            "pass a file that `latentsr encode` wrote with this bundle, or another JPEG file"
        )
    frame: Frame | None = None
    at, scans, end = 2, 0, False
    while not end:
        marker, at = _next_marker(data, at)
        if marker == _EOI:
            end = True
        elif marker in _FRAMES:
            if frame is not None:
                raise _damaged("a second frame", "one")
            frame, at = _read_sof(marker, *_segment(data, at))
        elif marker != _TEM:
            _, at = _segment(data, at)
            if marker == _SOS:
                scans += 1
                at = _after_scan(data, at)
    if frame is None or not 1 <= scans <= MAX_SCANS:
        found = "no frame" if frame is None else f"{scans} scans"
        raise _damaged(found, f"a frame and 1..{MAX_SCANS} scans")
    _check_plausible(frame, len(data))
    return Frame(frame.width, frame.height, frame.coding, frame.sampling, scans)


def size(data: bytes) -> tuple[int, int]:
    """Width and height of the upright picture; errors as `read_frame`."""
    frame = read_frame(data)
    turned = _orientation(_open(data)) >= 5
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def decode(data: bytes) -> Picture:
    """uint8 (H, W, 3), upright; grey is repeated, four colours are converted.

    Raises what `read_frame` raises, and CorruptStream where the coded data ends too early.
    """
    frame = read_frame(data)
    image = _open(data)
    if image.size != (frame.width, frame.height):
        found, expected = (f"{w}x{h}" for w, h in (image.size, (frame.width, frame.height)))
        raise _damaged(f"a picture of {found}", expected)
    turn = _orientation(image)
    try:
        samples = np.array(image.convert("RGB"))
    except Exception as error:  # a damaged file makes Pillow's readers raise nearly anything
        raise _damaged(_first_line(error), "whole coded data") from None
    return _upright(samples, turn)


def encode(picture: Picture, quality: int, subsampling: str = "4:2:0") -> bytes:
    """Baseline file of uint8 (H, W, 3) by Pillow, with the standard Huffman tables.

    quality: 1..100 of libjpeg's scale. Raises ImageError for sides beyond 65500.
    """
    from PIL import Image as Pillow

    if max(picture.shape[:2]) > MAX_SIDE:
        raise ImageError(
            f"picture is too large for JPEG: found {picture.shape[1]}x{picture.shape[0]}, expected "
            f"sides up to {MAX_SIDE}; crop or scale the picture"
        )
    file = io.BytesIO()
    image = Pillow.fromarray(np.ascontiguousarray(picture))
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Marker at `at`, after any fill bytes, and where what it announces begins."""
    if at < len(data) and data[at] != 0xFF:
        raise _damaged(f"byte {data[at]:02x} at {at}", "a marker")
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data):
        raise _truncated(data)
    return data[at], at + 1


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    """Content of the segment at `at`, which begins with its length, and where it ends."""
    length = int.from_bytes(data[at : at + 2], "big")
    if at + max(length, 2) > len(data):
        raise _truncated(data)
    if length < 2:
        raise _damaged(f"a segment of length {length} at {at}", "2 or more")
    return data[at + 2 : at + length], at + length


def _read_sof(marker: int, content: bytes, end: int) -> tuple[Frame, int]:
    """Frame header: precision, height, width, and of each component (id, sampling, table)."""
    if marker not in _CODINGS:
        raise StreamError(
            f"JPEG file of another kind: found coding {marker:02x}, expected baseline, extended or "
            "progressive with Huffman codes; convert it"
        )
    count = content[5] if len(content) > 5 else 0
    if len(content) != 6 + 3 * count:
        raise _damaged(f"a frame header of {len(content)} bytes", str(6 + 3 * count))
    height, width = (int.from_bytes(content[i : i + 2], "big") for i in (1, 3))
    if content[0] != 8 or count not in _KINDS:
        raise StreamError(
            f"JPEG file of another kind: found {content[0]} bits, {count} components, expected 8 "
            f"bits, {', '.join(map(str, _KINDS))} components; convert it"
        )
    factors = tuple((c >> 4, c & 15) for c in content[7::3])
    if not all(1 <= f <= 4 for pair in factors for f in pair):
        raise _damaged(f"sampling factors {factors}", "1..4")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise _damaged(f"a picture of {width}x{height}", f"sides of 1..{MAX_SIDE}")
    return Frame(width, height, _CODINGS[marker], factors, 0), end


def _after_scan(data: bytes, at: int) -> int:
    """Where the marker after the coded data lies that begins at `at`."""
    found = _MARKER.search(data, at)
    if found is None:
        raise _truncated(data)
    if data[found.start() + 1] == _DNL:
        raise StreamError(
            "JPEG file of another kind: found its height after the first scan, expected it in the "
            "frame header; convert it"
        )
    return found.start()


def _check_plausible(frame: Frame, length: int) -> None:
    """Refuse sizes that so few bytes cannot hold, before memory is taken for them."""
    least = frame.width * frame.height // (_BLOCK * 8)
    if least > length:
        raise CorruptStream(
            f"JPEG file is too short for its picture: found {length} bytes for "
            f"{frame.width}x{frame.height}, expected at least {least}; fetch or write it again"
        )


def _open(data: bytes) -> Image:
    from PIL import Image as Pillow

    try:
        return Pillow.open(io.BytesIO(data), formats=["JPEG"])
    except Pillow.DecompressionBombError as error:
        raise StreamError(f"picture is too large: found {_first_line(error)}") from None
    except Exception as error:  # see decode
        raise _damaged(_first_line(error), "a JPEG file") from None


def _orientation(image: Image) -> int:
    """EXIF orientation, 1..8; 1 where there is none or an unreadable one."""
    try:
        found = image.getexif().get(0x0112, 1)
        return int(found) if found in range(1, 9) else 1
    except Exception:  # EXIF is a side note: a broken one must not cost the picture
        return 1


def _upright(samples: Picture, orientation: int) -> Picture:
    """Undo one of the eight orientations of EXIF: mirrored in 2, 4, 5, 7; sides swapped from 5."""
    if orientation >= 5:
        samples = samples.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(samples[::rows, ::columns])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _truncated(data: bytes) -> CorruptStream:
    return CorruptStream(
        f"JPEG file is truncated: found {len(data)} bytes without an end marker, expected one; "
        "fetch or write it again"
    )


def _damaged(found: str, expected: str) -> CorruptStream:
    return CorruptStream(
        f"JPEG file is damaged: found {found}, expected {expected}; fetch or write it again"
    )
