"""PNG and TIFF files written strip by strip, read back by Pillow; and nothing half-written."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentsr
from latentsr.bundle import DEMO
from latentsr.errors import ImageError, LatentSRError, UsageError
from latentsr.image import to_rgb8
from latentsr.tiling import tiff
from latentsr.tiling.png import PngWriter
from latentsr.tiling.tiff import TiffWriter
from tiling_cases import assert_same

WRITERS = {"PNG": PngWriter, "TIFF": TiffWriter}


def _pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    row, column = np.mgrid[0:131, 0:77]
    smooth = np.stack([row * 2, column * 3, row + column], -1).astype(np.uint8)
    return {
        "smooth": smooth, "noise": rng.integers(0, 256, (70, 33, 3)).astype(np.uint8),
        "one": np.full((1, 1, 3), 200, np.uint8), "column": smooth[:, :1].copy(),
        "row": smooth[:1].copy(), "flat": np.zeros((300, 5, 3), np.uint8),
    }  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
@pytest.mark.parametrize("name", _pictures())
def test_read_back(kind: str, rows: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_STRIP", 5000)
    picture = _pictures()[name]
    file = io.BytesIO()
    writer = WRITERS[kind](file, picture.shape[1], picture.shape[0])
    for first in range(0, len(picture), rows):
        writer.write(picture[first : first + rows])
    writer.close()
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert image.format == kind
        assert image.mode == "RGB"
        image.verify()
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert np.array_equal(np.asarray(image), picture)


def test_filters_make_files_small() -> None:
    picture = to_rgb8(DEMO.parent / "coffee.png")
    file, plain = io.BytesIO(), io.BytesIO()
    writer = PngWriter(file, picture.shape[1], picture.shape[0])
    writer.write(picture)
    writer.close()
    Image.fromarray(picture).save(plain, "PNG")
    assert len(file.getvalue()) < 1.1 * len(plain.getvalue())


@pytest.mark.parametrize("kind", WRITERS.values())
def test_rows_must_be_all_there(kind: type[PngWriter]) -> None:
    writer = kind(io.BytesIO(), 5, 4)
    writer.write(np.zeros((3, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="missing"):
        writer.close()
    with pytest.raises(ValueError, match="more"):
        writer.write(np.zeros((2, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="strip"):
        writer.write(np.zeros((1, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="strip"):
        writer.write(np.zeros((1, 5, 3), np.float32))  # type: ignore[arg-type]


def test_tiff_ends_before_its_offsets_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_LARGEST", 1000)
    writer = TiffWriter(io.BytesIO(), 50, 50)
    noise = np.random.default_rng(1).integers(0, 256, (50, 50, 3)).astype(np.uint8)
    with pytest.raises(ImageError, match="too large for TIFF"):
        writer.write(noise)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_pictures_into_files(tmp_path: Path, picture: np.ndarray, name: str) -> None:
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(picture)
        expected = codec.upscale(stream)
        assert codec.upscale_to(stream, tmp_path / name, memory="32MiB") == (300, 404)
        assert "write" in [stage.kind for stage in codec.timeline.stages]
        with Image.open(tmp_path / name) as image:
            assert_same(np.asarray(image), expected)
        region = (20, 30, 100, 50)
        assert codec.upscale_to(stream, tmp_path / name, "latent_x4", region=region) == (100, 50)
        with Image.open(tmp_path / name) as image:
            assert_same(np.asarray(image), expected[30:80, 20:120])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_formats_hold_the_picture(tmp_path: Path, picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(picture)
        with pytest.raises(UsageError, match=r"not written in strips: found '.webp'"):
            codec.upscale_to(stream, tmp_path / "a.webp", memory="1GiB")
        assert codec.upscale_to(stream, tmp_path / "a.webp") == (300, 404)
        with Image.open(tmp_path / "a.webp") as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), codec.upscale(stream))


def test_errors_leave_nothing_behind(tmp_path: Path, picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(picture)
        (tmp_path / "a.png").write_bytes(b"before")

        def fail(inputs: object) -> dict[str, np.ndarray]:
            raise LatentSRError("no")

        engine = codec.engine("pixel_sr")
        engine.run_lean = engine.run = fail  # type: ignore[method-assign]
        with pytest.raises(LatentSRError, match="no"):
            codec.upscale_to(stream, tmp_path / "a.png", "pixel_x4", memory="1GiB")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"before"


def test_routes_that_do_not_enlarge(tmp_path: Path, picture: np.ndarray) -> None:
    with (
        latentsr.load("demo", threads=1) as codec,
        pytest.raises(UsageError, match="does not enlarge"),
    ):
        codec.upscale_to(codec.encode(picture), tmp_path / "a.png", "lr")
