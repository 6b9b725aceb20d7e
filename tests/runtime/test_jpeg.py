"""JPEG files as streams: what Pillow reads, every kind of file, damage, and impossible sizes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from damage import flipped, spliced
from latentsr import jpeg
from latentsr.errors import CorruptStream, ImageError, StreamError

KINDS: list[dict[str, Any]] = [
    {}, {"progressive": True}, {"optimize": True}, {"subsampling": "4:4:4"}, {"subsampling": 1},
    {"restart_marker_rows": 1}, {"exif": b"Exif\0\0nonsense"}, {"comment": b"\xff\xd9"},
]  # fmt: skip


def saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("subsampling", jpeg.SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [1, 10, 100])
def test_files_are_pillows_own(picture: np.ndarray, quality: int, subsampling: str) -> None:
    data = jpeg.encode(picture, quality, subsampling)
    assert data == saved(Image.fromarray(picture), quality=quality, subsampling=subsampling)
    frame = jpeg.read_frame(data)
    assert (frame.width, frame.height, frame.coding, frame.scans) == (75, 101, "baseline", 1)
    first = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}[subsampling]
    assert frame.sampling == (first, (1, 1), (1, 1))
    assert np.array_equal(jpeg.decode(data), by_pillow(data))


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_kinds_of_files(picture: np.ndarray, mode: str, options: dict[str, Any]) -> None:
    data = saved(Image.fromarray(picture).convert(mode), **options)
    found = jpeg.decode(data + b"what follows the end marker")
    assert np.array_equal(found, by_pillow(data))
    assert jpeg.size(data) == (75, 101)
    facts = jpeg.read_frame(data).as_dict()
    assert facts["components"] == {"RGB": "colour", "L": "grey", "CMYK": "four colours"}[mode]


def test_of_several_pictures_the_first_counts(picture: np.ndarray) -> None:
    """Telephones put a second picture, or a film, behind the first one."""
    file = io.BytesIO()
    first, second = Image.fromarray(picture), Image.fromarray(picture[::-1, :40].copy())
    first.save(file, "MPO", save_all=True, append_images=[second])
    data = file.getvalue()
    assert jpeg.size(data) == (75, 101)
    assert np.array_equal(jpeg.decode(data), by_pillow(data))


@pytest.mark.parametrize("orientation", range(10))
def test_pictures_come_out_upright(picture: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(picture), exif=exif, quality=90)
    expected = by_pillow(data)
    assert np.array_equal(jpeg.decode(data), expected)
    assert jpeg.size(data) == expected.shape[1::-1]


@pytest.mark.parametrize("options", KINDS[:2], ids=str)
def test_every_truncation_is_noticed(picture: np.ndarray, options: dict[str, Any]) -> None:
    data = saved(Image.fromarray(picture[:40, :30]), quality=20, **options)
    for length in range(len(data)):
        with pytest.raises(StreamError):
            jpeg.decode(data[:length])
    with pytest.raises(CorruptStream, match=f"truncated: found {len(data) - 2} bytes"):
        jpeg.decode(data[:-2])


def test_a_thumbnails_end_is_not_the_files(picture: np.ndarray) -> None:
    inner = saved(Image.fromarray(picture[:8, :8]))
    length = (len(inner) + 2).to_bytes(2, "big")
    data = saved(Image.fromarray(picture))
    whole = data[:2] + b"\xff\xe1" + length + inner + data[2:]
    assert np.array_equal(jpeg.decode(whole), by_pillow(data))
    with pytest.raises(CorruptStream, match="truncated"):
        jpeg.decode(whole[:-2])


def test_damage_gives_an_error_of_ours_or_a_picture_of_that_size(picture: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    files = [saved(Image.fromarray(picture), quality=10, **options) for options in KINDS]
    refused = 0
    for number in range(1500):
        data, other = files[number % len(files)], files[(number + 3) % len(files)]
        broken = (flipped, spliced)[number % 2](rng, data, other)
        try:
            size = jpeg.size(broken)
            assert jpeg.decode(broken).shape == (size[1], size[0], 3)
        except StreamError:
            refused += 1
    assert 150 < refused < 1500  # data of a scan has no checksum: much of its damage passes


def with_frame(data: bytes, change: Any) -> bytes:
    """A baseline file whose frame header was changed: bytes from precision on."""
    at = data.index(b"\xff\xc0") + 4
    header = bytearray(data[at : at + 15])
    change(header)
    return data[:at] + bytes(header) + data[at + 15 :]


def sized(width: int, height: int) -> Any:
    def change(header: bytearray) -> None:
        header[1:5] = height.to_bytes(2, "big") + width.to_bytes(2, "big")

    return change


def put(place: int, value: int) -> Any:
    def change(header: bytearray) -> None:
        header[place] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (sized(65500, 65500), "too short for its picture: found"),
        (sized(65535, 8), "sides of 1..65500"),
        (sized(0, 8), "found a picture of 0x8"),
        (sized(8, 0), "found a picture of 8x0"),
        (put(0, 12), "found 12 bits, 3 components"),
        (put(5, 2), "frame header of 15 bytes, expected 12"),
        (put(5, 0), "frame header of 15 bytes, expected 6"),
        (put(7, 0), "sampling factors"),
        (put(7, 0x55), "sampling factors"),
    ],
)
def test_frames_that_no_one_can_mean(picture: np.ndarray, change: Any, message: str) -> None:
    data = with_frame(jpeg.encode(picture, 10), change)
    with pytest.raises(StreamError, match=message):
        jpeg.decode(data)


def test_decompression_bombs_are_refused_before_decoding(picture: np.ndarray) -> None:
    data = with_frame(jpeg.encode(picture, 10), sized(16000, 16000))
    padded = data[:-2] + bytes(16000 * 16000 // 512) + data[-2:]
    with pytest.raises(StreamError, match="picture is too large"):
        jpeg.size(padded)
    many = data.replace(b"\xff\xda", b"\xff\xda\0\4\0\0" * jpeg.MAX_SCANS + b"\xff\xda")
    with pytest.raises(CorruptStream, match="found 101 scans"):
        jpeg.size(many)


def test_flat_pictures_are_not_taken_for_bombs() -> None:
    flat = Image.new("RGB", (2000, 1500), (9, 9, 9))
    for options in ({"optimize": True}, {"progressive": True, "optimize": True}):
        assert jpeg.decode(saved(flat, quality=1, **options)).shape == (1500, 2000, 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\xff\xc0", b"\xff\xc3", "found coding c3"),
        (b"\xff\xc0", b"\xff\xc9", "found coding c9"),
        (b"\xff\xc0", b"\xff\xfe", "found no frame"),
        (b"\xff\xdb", b"\xfe\xdb", "expected a marker"),
        (b"\xff\xdb\x00\x43", b"\xff\xdb\x00\x01", "segment of length 1"),
        (b"\xff\xdb\x00\x43", b"\xff\xdb\xff\xff", "truncated"),
        (b"\xff\xd9", b"\xff\xdc\x00\x04\x00\x09\xff\xd9", "height after the first scan"),
        (b"\xff\xda", b"\xff\xd9", "found 0 scans"),
    ],
)
def test_markers(picture: np.ndarray, old: bytes, new: bytes, message: str) -> None:
    data = jpeg.encode(picture, 10)
    with pytest.raises(StreamError, match=message):
        jpeg.decode(data.replace(old, new, 1))


def test_a_second_frame(picture: np.ndarray) -> None:
    data = jpeg.encode(picture, 10)
    at = data.index(b"\xff\xc0")
    with pytest.raises(CorruptStream, match="found a second frame"):
        jpeg.decode(data[:at] + data[at : at + 19] + data[at:])


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"LSR\x01", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_jpeg_file(data: bytes) -> None:
    with pytest.raises(StreamError, match="not a JPEG file"):
        jpeg.decode(data)


def test_pictures_that_are_too_large() -> None:
    with pytest.raises(ImageError, match="sides up to 65500"):
        jpeg.encode(np.zeros((1, 65501, 3), np.uint8), 10)
