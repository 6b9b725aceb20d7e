"""Reading pictures as people expect them and writing them so that nothing stays half-written.

`to_rgb8` turns a file, a PIL picture or an array into uint8 RGB (H, W, 3), by these conventions:

- EXIF orientation is applied, to files and to PIL pictures; an unreadable EXIF block is ignored.
- Grey is repeated into three channels, palettes are expanded, CMYK, YCbCr, HSV and LAB converted.
- Transparency (alpha channel or transparent colour) is blended over white.
- 16-bit samples v become round(v / 257); Pillow itself reads 16-bit *colour* files at 8 bits.
- Of an animation the first frame counts. Embedded colour profiles are not applied.
- Sides are 1..65535 samples, what a stream can say; of files Pillow refuses those above
  178,956,970 pixels, as their few bytes could claim any size.

`save_rgb8` writes PNG, WebP (lossless), BMP, TIFF, PPM, or JPEG at quality 95 without chroma
subsampling, by the suffix of the path.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentsr.errors import ImageError, UsageError
from latentsr.files import is_folder, write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = NDArray[np.uint8]

MAX_SIDE = 65535
_STRIP = 1 << 22  # samples of a strip, more than those of any one row
_ORIENTATION = 0x0112
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
# Pillow hands this format to Ghostscript, a program too large to let strangers' files reach it.
_REFUSED_FORMATS = ("EPS",)
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".ppm": ("PPM", {}),
}


def to_rgb8(source: str | os.PathLike[str] | Image | np.ndarray) -> Picture:
    """Picture as uint8 RGB (H, W, 3), by the conventions of this module.

    source: path, PIL picture, or array uint8 or uint16 of shape (H, W), (H, W, 1), (H, W, 3) or
    (H, W, 4) with alpha last. The result may share memory with an array that has this form
    already. Raises ImageError for what is missing, damaged, too large or of another kind.
    """
    if isinstance(source, np.ndarray):
        # Of subclasses the samples alone: np.matrix has no third axis, and says so by crashing.
        return _from_array(np.asarray(source))
    if isinstance(source, str | os.PathLike):
        return _from_file(Path(source))
    from PIL import Image as Pillow

    if isinstance(source, Pillow.Image):
        return _from_pillow(source, "the PIL picture")
    raise ImageError(
        f"not a picture: found {type(source).__name__}, expected a path, a PIL picture or a numpy "
        "array; convert it first"
    )


def save_rgb8(array: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write uint8 (H, W, 3) to `path` in the format of its suffix, all of it or nothing.

    Raises UsageError for an unknown suffix or a folder that cannot be written, ImageError for an
    array of another kind or a size that the format does not have.
    """
    path = Path(path)
    write_bytes(path, file_of_rgb8(array, path.suffix))


def file_of_rgb8(array: np.ndarray, suffix: str) -> bytes:
    """Content of a picture file; suffix, with its dot, names the format; errors as `save_rgb8`."""
    if suffix.lower() not in _FORMATS:
        raise UsageError(
            f"picture format is not known: found suffix {suffix!r}, expected one of "
            f"{', '.join(_FORMATS)}; rename the output"
        )
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"picture cannot be saved: found {array.dtype} {array.shape}, expected uint8 (H, W, 3)"
        )
    from PIL import Image as Pillow

    kind, options = _FORMATS[suffix.lower()]
    encoded = io.BytesIO()
    try:
        Pillow.fromarray(np.ascontiguousarray(array)).save(encoded, kind, **options)
    except (OSError, ValueError) as error:
        height, width = array.shape[:2]
        raise ImageError(
            f"picture cannot be saved as {kind}: found {error} at {width}x{height}; choose another "
            "format, such as .png"
        ) from None
    return encoded.getvalue()


def _from_file(path: Path) -> Picture:
    from PIL import Image as Pillow

    if is_folder(path):
        raise ImageError(f"not a picture: found the folder {path}, expected a file")
    try:
        with Pillow.open(path) as image:
            return _from_pillow(image, str(path))
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"picture is missing: found no file {path}; check the name") from None
    except Pillow.DecompressionBombError as error:
        raise ImageError(
            f"picture is too large: found {path}, of which Pillow says: {error} Expected one that "
            "it opens; pass this one as an array"
        ) from None
    except Pillow.UnidentifiedImageError:
        raise ImageError(
            f"not a picture: found no known format in {path}, expected PNG, JPEG, WebP, TIFF, BMP "
            "or another that Pillow reads"
        ) from None
    except Exception as error:  # a damaged file makes Pillow's readers raise nearly anything
        raise _unreadable(str(path), error) from None


def _from_pillow(image: Image, name: str) -> Picture:
    _check_sides(*image.size, name)
    if image.format in _REFUSED_FORMATS:
        raise ImageError(
            f"picture format is refused: found {image.format} in {name}, expected a raster format; "
            "convert it to PNG"
        )
    try:
        image.load()
        image = _upright(image)
        if image.mode == "I" or image.mode.startswith("I;16"):
            return _from_array(_gray16(image, name))
        if image.mode in _ALPHA_MODES or "transparency" in image.info:
            return _over_white(np.array(image.convert("RGBA")))
        if image.mode == "LAB":
            return np.array(_lab_to_rgb(image))
        if image.mode != "F":
            return _samples(image)
    except ImageError:
        raise
    except Exception as error:  # see _from_file
        raise _unreadable(name, error) from None
    raise ImageError(
        f"floating-point pictures have no known range: found mode F in {name}, expected integer "
        "samples; scale it to uint8"
    )


def _samples(image: Image) -> Picture:
    """A picture as RGB, in strips where it is large: at once, Pillow holds four copies of it."""
    width, height = image.size
    rows = _STRIP // width
    if height <= rows:
        return np.array(image.convert("RGB"))
    found = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        below = min(top + rows, height)
        found[top:below] = image.crop((0, top, width, below)).convert("RGB")
    return found


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    try:
        if image.getexif().get(_ORIENTATION, 1) not in range(2, 9):
            return image  # Pillow would copy it
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is a side note: a broken one must not cost the picture
        return image


def _gray16(image: Image, name: str) -> NDArray[np.uint16]:
    samples = np.array(image)
    if samples.min() < 0 or samples.max() > 65535:
        raise ImageError(
            f"grey samples are out of range: found {samples.min()}..{samples.max()} in {name}, "
            "expected 0..65535; scale it to uint8"
        )
    return samples.astype(np.uint16)


def _lab_to_rgb(image: Image) -> Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise ValueError("LAB was not converted")
    return converted


def _from_array(array: np.ndarray) -> Picture:
    if array.dtype.kind != "u" or array.dtype.itemsize not in (1, 2):
        hint = "scale it to uint8" if array.dtype.kind == "f" else "convert it to uint8"
        raise ImageError(
            f"picture array has a wrong type: found {array.dtype}, expected uint8 or uint16; {hint}"
        )
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(
            f"picture array has a wrong shape: found {array.shape}, expected (H, W), (H, W, 1), "
            "(H, W, 3) or (H, W, 4)"
        )
    _check_sides(array.shape[1], array.shape[0], "the array")
    if array.dtype.itemsize == 2:
        array = ((array.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if array.shape[2] == 4:
        return _over_white(array)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def _over_white(rgba: np.ndarray) -> Picture:
    """Blend uint8 (H, W, 4) over white, rounded to nearest."""
    colour, alpha = rgba[:, :, :3].astype(np.uint32), rgba[:, :, 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _check_sides(width: int, height: int, name: str) -> None:
    for side, size in (("width", width), ("height", height)):
        if not 1 <= size <= MAX_SIDE:
            raise ImageError(
                f"picture {side} is out of range: found {size} in {name}, expected 1..{MAX_SIDE}"
            )


def _unreadable(name: str, error: Exception) -> ImageError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return ImageError(
        f"picture cannot be read: found {first} in {name}, expected an undamaged picture file"
    )
