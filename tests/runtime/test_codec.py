"""The codec's public interface on the shipped bundle: any size, any kind of picture, any damage."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import latentsr
from latentsr.bundle import DEMO
from latentsr.codec import Codec
from latentsr.errors import (
    BackendError,
    CorruptStream,
    DesyncError,
    ImageError,
    LatentSRError,
    StreamError,
    UsageError,
)
from latentsr.report.metrics import psnr
from latentsr.stream import Padding, Stream, pack, unpack

SIZES = [(1, 1), (1, 200), (63, 65), (64, 64), (101, 75)]


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    """The shipped bundle on one thread."""
    with latentsr.load("demo", threads=1) as loaded:
        yield loaded


def photo(height: int = 100, width: int = 150) -> np.ndarray:
    """The shipped picture, reduced."""
    with Image.open(DEMO.parent / "coffee.png") as image:
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", SIZES)
def test_any_size_round_trip(codec: Codec, picture: np.ndarray, size: tuple[int, int]) -> None:
    tiled = np.tile(picture, (1, 3, 1))[: size[0], : size[1]]
    stream = codec.encode(tiled)
    assert codec.decode(stream).shape == (*size, 3)
    for name, route in codec.bundle.manifest.routes.items():
        if route.kind == "decode" and route.scale > 1:
            enlarged = codec.upscale(stream, name)
            assert enlarged.shape == (size[0] * route.scale, size[1] * route.scale, 3)
            assert enlarged.dtype == np.uint8


def test_picture_survives(codec: Codec) -> None:
    low = photo()
    stream = codec.encode(low)
    assert len(stream) < low.size / 8
    assert psnr(codec.decode(stream), low) > 27
    high = photo(400, 600)
    assert psnr(codec.upscale(stream), high) > psnr(codec.upscale(stream, "bicubic"), high)


def test_encoding_is_repeatable_over_codecs_and_threads(codec: Codec) -> None:
    stream = codec.encode(photo())
    with latentsr.load("demo", threads=2) as other:
        assert other.encode(photo()) == stream
        assert np.array_equal(other.decode(stream), codec.decode(stream))


def test_timeline_names_the_steps(codec: Codec) -> None:
    codec.upscale(codec.encode(photo()))
    stages = codec.timeline.stages
    assert [s.name for s in stages if s.kind == "engine"] == ["entropy_parameters", "latent_sr"]
    assert all(s.ms > 0 for s in stages) and codec.timeline.macs > 1e8
    assert codec.timeline.ms == pytest.approx(sum(s.ms for s in stages))


def test_loading_engines_is_a_stage_of_the_first_call_only() -> None:
    with latentsr.load("demo", threads=1) as fresh:
        stream = fresh.encode(photo(16, 16))
        assert fresh.timeline.stages[0].kind == "start"
        fresh.warmup("latent_x4")
        fresh.upscale(stream)
        assert "start" not in [stage.kind for stage in fresh.timeline.stages]


def test_sources_of_every_kind(codec: Codec, tmp_path: Path) -> None:
    low = photo()
    expected = codec.encode(low)
    Image.fromarray(low).save(tmp_path / "low.png")
    for source in (Image.fromarray(low), tmp_path / "low.png", str(tmp_path / "low.png")):
        assert codec.encode(source) == expected
    assert codec.encode(low.astype(np.uint16) * 257) == expected


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (1, 65536, 3), (5, 5, 2), (5,)])
def test_pictures_that_cannot_be_coded(codec: Codec, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError):
        codec.encode(np.zeros(shape, np.uint8))


def test_stream_of_another_bundle(codec: Codec) -> None:
    stream = replace(unpack(codec.encode(photo())), fingerprint=b"another!")
    with pytest.raises(StreamError, match="written by another bundle"):
        codec.decode(pack(stream))
    short = replace(unpack(codec.encode(photo())), chunks=(b"",))
    with pytest.raises(StreamError, match="wrong chunks"):
        codec.decode(pack(short))


def test_damage_under_a_right_crc(codec: Codec) -> None:
    whole = unpack(codec.encode(photo()))
    z, y = whole.chunks
    flipped = bytes([y[0] ^ 1]) + y[1:]
    for chunks in ((z, y[:-4]), (z, y + b"\0\0\0\0"), (z, b""), (z[:-4], y), (z, flipped)):
        with pytest.raises(CorruptStream):
            codec.decode(pack(replace(whole, chunks=chunks)))
    with pytest.raises(DesyncError, match="decoded symbols differ"):
        codec.decode(pack(replace(whole, symbol_crc=zlib.crc32(b"other"))))


def test_a_few_bytes_cannot_ask_for_a_huge_picture(codec: Codec) -> None:
    padding = Padding(right=-65535 % 64, bottom=-65535 % 64)
    bomb = Stream(65535, 65535, padding, codec.bundle.fingerprint, (b"12345678", b"12345678"))
    with pytest.raises(CorruptStream, match="too short for the picture"):
        codec.decode(pack(bomb))
    uneven = replace(bomb, width=65, height=65, padding=Padding())
    with pytest.raises(CorruptStream, match="multiples of 64"):
        codec.decode(pack(uneven))


def test_mutated_streams_never_give_a_wrong_picture_in_silence(codec: Codec) -> None:
    whole = codec.encode(photo(40, 40))
    expected = codec.decode(whole)
    random = np.random.default_rng(7)
    for _ in range(200):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        try:
            assert np.array_equal(codec.decode(bytes(data)), expected)
            assert bytes(data) == whole
        except LatentSRError:
            pass


def test_wrong_arguments(codec: Codec) -> None:
    stream = codec.encode(photo(16, 16))
    with pytest.raises(UsageError, match="does not enlarge"):
        codec.upscale(stream, "lr")
    with pytest.raises(UsageError, match="no such decode route"):
        codec.upscale(stream, "encode")
    with pytest.raises(UsageError, match="threads: found"):
        latentsr.load("demo", threads=0)
    with latentsr.load("demo", device="tpu") as elsewhere, pytest.raises(BackendError):
        elsewhere.encode(photo(16, 16))


@pytest.mark.parametrize("given", ["photo.lss", Path("photo.lss"), None, 5, [76, 83, 82]])
def test_what_is_no_stream(codec: Codec, given: object) -> None:
    """A number or a path has bytes of its own, by Python's rules: zeros, and its name."""
    with pytest.raises(StreamError, match=f"not a stream: found {type(given).__name__}, expected"):
        codec.decode(given)  # type: ignore[arg-type]
    with pytest.raises(StreamError, match="not a stream"):
        list(codec.upscale_many([given]))  # type: ignore[list-item]


def test_streams_of_every_kind(codec: Codec) -> None:
    stream = codec.encode(photo(16, 16))
    expected = codec.decode(stream)
    for kind in (bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)):
        assert np.array_equal(codec.decode(kind(stream)), expected)


@pytest.mark.parametrize("options", [{}, {"region": (3, 5, 40, 30)}, {"memory": "8MiB"}])
def test_pictures_are_the_caller_s_to_change(codec: Codec, options: dict[str, Any]) -> None:
    stream = codec.encode(photo(64, 48))
    for name, route in codec.bundle.manifest.routes.items():
        if route.kind == "decode":
            made = codec.decode(stream, name, **options)
            assert made.flags.writeable and made.flags.c_contiguous, name


def test_names_are_shown_before_they_are_used() -> None:
    """To who asks an interpreter to complete ``latentsr.``."""
    assert set(latentsr.__all__) <= set(dir(latentsr))


def test_close_and_warmup(codec: Codec) -> None:
    with latentsr.load("demo", threads=1) as other:
        other.warmup("latent_x4")
        stream = other.encode(photo(16, 16))
        other.close()
        assert np.array_equal(other.decode(stream), codec.decode(stream))
