"""Every kind of picture that people hand over, and the errors for what is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentsr import image as pictures
from latentsr.errors import ImageError, UsageError
from latentsr.image import save_rgb8, to_rgb8

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (7, 5, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (7, 5, 4), dtype=np.uint8)


def _blend(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return np.round(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def test_arrays_of_all_shapes() -> None:
    assert np.array_equal(to_rgb8(RGB), RGB)
    gray = RGB[..., 0]
    for form in (gray, gray[..., None]):
        assert np.array_equal(to_rgb8(form), np.stack([gray] * 3, axis=-1))
    assert np.array_equal(to_rgb8(RGBA), _blend(RGBA))
    # It refuses a third axis, and NumPy 1 may end the process over that.
    assert np.array_equal(to_rgb8(np.asmatrix(gray)), to_rgb8(gray))
    turned = to_rgb8(RGB[::-1].transpose(1, 0, 2))
    assert turned.flags.c_contiguous and turned.shape == (5, 7, 3)


def test_uint16_is_rounded_in_both_byte_orders() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.round(every / 257).astype(np.uint8)
    assert np.array_equal(to_rgb8(every)[..., 1], expected)
    assert np.array_equal(to_rgb8(every.astype(">u2"))[..., 1], expected)
    assert np.array_equal(to_rgb8(RGB.astype(np.uint16) * 257), RGB)


@pytest.mark.parametrize("kind", [bool, np.float32, np.float64, np.int32, np.uint32])
def test_other_array_types_are_refused(kind: type) -> None:
    with pytest.raises(ImageError, match=np.dtype(kind).name):
        to_rgb8(np.zeros((4, 4, 3), kind))


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (1, 4, 4, 3), (4, 4, 5)])
def test_other_array_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="found"):
        to_rgb8(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0), (1, 65536), (65536, 1, 3)])
def test_sides_out_of_range(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"found (0|65536) .* expected 1\.\.65535"):
        to_rgb8(np.zeros(shape, np.uint8))


def test_largest_side_passes() -> None:
    assert to_rgb8(np.zeros((1, 65535), np.uint8)).shape == (1, 65535, 3)


def test_path_kinds_and_pillow(tmp_path: Path) -> None:
    path = tmp_path / "a picture ü.png"
    save_rgb8(RGB, path)
    assert np.array_equal(to_rgb8(path), RGB)
    assert np.array_equal(to_rgb8(str(path)), RGB)
    assert np.array_equal(to_rgb8(Image.fromarray(RGB)), RGB)
    with pytest.raises(ImageError, match="found bytes"):
        to_rgb8(b"bytes")  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    image.save(path, exif=exif)
    ways = [RGB, RGB[:, ::-1], RGB[::-1, ::-1], RGB[::-1], RGB.transpose(1, 0, 2),
            np.rot90(RGB, -1), RGB[::-1, ::-1].transpose(1, 0, 2), np.rot90(RGB)]  # fmt: skip
    assert np.array_equal(to_rgb8(path), ways[orientation - 1])
    with Image.open(path) as opened:
        assert np.array_equal(to_rgb8(opened), ways[orientation - 1])


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "exif.jpg"
    Image.fromarray(RGB).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x01")
    assert to_rgb8(path).shape == RGB.shape


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "YCbCr", "HSV", "RGBX", "P"])
@pytest.mark.parametrize("strip", [5, 10, 14, 1 << 22])
def test_modes_that_pillow_converts(mode: str, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_STRIP", strip)
    image = Image.fromarray(RGB).convert(mode)
    assert np.array_equal(to_rgb8(image), np.array(image.convert("RGB")))


def test_lab_comes_back_near_what_it_was() -> None:
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    smooth = np.full((4, 4, 3), (180, 120, 60), np.uint8)
    image = ImageCms.profileToProfile(Image.fromarray(smooth), srgb, lab, outputMode="LAB")
    assert image is not None
    assert np.abs(to_rgb8(image).astype(int) - smooth).max() <= 4


def test_alpha_of_files(tmp_path: Path) -> None:
    Image.fromarray(RGBA).save(tmp_path / "rgba.png")
    assert np.array_equal(to_rgb8(tmp_path / "rgba.png"), _blend(RGBA))
    gray_alpha = Image.fromarray(RGBA[..., [0, 3]], "LA")
    expected = _blend(RGBA[..., [0, 0, 0, 3]])
    assert np.array_equal(to_rgb8(gray_alpha), expected)


def test_transparent_palette_and_colour(tmp_path: Path) -> None:
    indexes = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    indexes.putpalette([10, 20, 30, 200, 100, 50])
    indexes.save(tmp_path / "p.png", transparency=0)
    got = to_rgb8(tmp_path / "p.png")
    assert got[0].tolist() == [[255, 255, 255], [200, 100, 50]]
    gray = Image.fromarray(np.array([[7, 9]], np.uint8))
    gray.save(tmp_path / "l.png", transparency=9)
    assert to_rgb8(tmp_path / "l.png").tolist() == [[[7] * 3, [255] * 3]]


def test_16_bit_gray_files(tmp_path: Path) -> None:
    samples = np.array([[0, 128, 129], [257, 32768, 65535]], np.uint16)
    expected = np.round(samples / 257).astype(np.uint8)
    image = Image.fromarray(samples)
    for name in ("g.png", "g.tif"):
        image.save(tmp_path / name)
        assert np.array_equal(to_rgb8(tmp_path / name)[..., 0], expected)
    assert np.array_equal(to_rgb8(Image.fromarray(samples.astype(np.int32)))[..., 2], expected)
    big = Image.frombytes("I;16B", (3, 2), samples.astype(">u2").tobytes())
    assert np.array_equal(to_rgb8(big)[..., 0], expected)


def test_integer_and_float_pictures_without_a_range() -> None:
    with pytest.raises(ImageError, match=r"found -1\.\.70000"):
        to_rgb8(Image.fromarray(np.array([[-1, 70000]], np.int32)))
    with pytest.raises(ImageError, match="mode F"):
        to_rgb8(Image.fromarray(np.zeros((3, 3), np.float32)))


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4, 3), v, np.uint8)) for v in (10, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert to_rgb8(tmp_path / "a.webp").max() <= 12


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="missing"):
        to_rgb8(tmp_path / "no.png")
    with pytest.raises(ImageError, match="folder"):
        to_rgb8(tmp_path)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    for content in (b"", b"hello", postscript):
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(ImageError, match=r"x\.png"):
            to_rgb8(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"whole{suffix}"
    save_rgb8(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match="whole"):
        to_rgb8(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_flipped_bytes_give_a_picture_or_an_image_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flip{suffix}"
    save_rgb8(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8), path)
    data = path.read_bytes()
    for _ in range(150):
        changed = bytearray(data)
        changed[int(RNG.integers(len(data)))] = int(RNG.integers(256))
        path.write_bytes(bytes(changed))
        try:
            assert to_rgb8(path).dtype == np.uint8
        except ImageError:
            continue


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_rgb8(np.zeros((64, 64, 3), np.uint8), tmp_path / "b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 32 - 1)
    message = r"picture is too large: found .*b\.png, of which Pillow says: .*4096 pixels"
    with pytest.raises(ImageError, match=message):
        to_rgb8(tmp_path / "b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # Pillow's way to have no limit
    assert to_rgb8(tmp_path / "b.png").shape == (64, 64, 3)


LARGE = """
import sys
from PIL import Image
from latentsr.cli import main
Image.MAX_IMAGE_PIXELS = 64 * 48 - 1
sys.argv = ["latentsr", "encode", sys.argv[1], "-o", sys.argv[2]]
main()
"""


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_program_says_nothing_of_large_files(tmp_path: Path, suffix: str) -> None:
    save_rgb8(np.zeros((48, 64, 3), np.uint8), tmp_path / f"large{suffix}")
    with pytest.MonkeyPatch.context() as patch, pytest.warns(Image.DecompressionBombWarning):
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
        to_rgb8(tmp_path / f"large{suffix}")  # in a library the warning is the caller's
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LARGE, f"large{suffix}", "large.lss"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".bmp", ".tif", ".tiff", ".ppm"])
def test_saving_without_loss(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    save_rgb8(RGB[:, ::-1], path)
    assert np.array_equal(to_rgb8(path), RGB[:, ::-1])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_saving_jpeg_keeps_colour(tmp_path: Path) -> None:
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    save_rgb8(flat, tmp_path / "o.jpg")
    assert np.abs(to_rgb8(tmp_path / "o.jpg").astype(int) - flat).max() <= 3


def test_saving_errors(tmp_path: Path) -> None:
    for name in ("out", "out.xyz", "out.png.gz"):
        with pytest.raises(UsageError, match=r"\.png, \.jpg"):
            save_rgb8(RGB, tmp_path / name)
    with pytest.raises(UsageError, match="nowhere"):
        save_rgb8(RGB, tmp_path / "nowhere" / "out.png")
    for wrong in (RGB[..., 0], RGB.astype(np.float32), RGBA, RGB[:0]):
        with pytest.raises(ImageError, match="expected uint8"):
            save_rgb8(wrong, tmp_path / "out.png")
    with pytest.raises(ImageError, match="WEBP"):
        save_rgb8(np.zeros((1, 20000, 3), np.uint8), tmp_path / "out.webp")
    assert not list(tmp_path.iterdir())


def test_pillow_is_imported_late() -> None:
    code = "import sys, latentsr.image; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
