"""Whole decodes on a device: the processor's pictures and errors, little that crosses the bus."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from device_routes import Load, coded_by, count_traffic

from latentsr import stream as container
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.errors import LatentSRError
from latentsr.pipeline import device_coding


@pytest.fixture
def stream(picture: np.ndarray) -> bytes:
    with Codec(Bundle("demo"), "ort", EngineOptions(threads=1)) as codec:
        return codec.encode(picture)


def test_pictures_are_those_of_the_processors_coder(load: Load, stream: bytes) -> None:
    with load("cpu") as plain, load("cuda") as codec:
        for name, route in codec.bundle.manifest.routes.items():
            if route.kind == "decode":
                expected = plain.decode(stream, name)
                assert not any(coded_by(plain).values())
                np.testing.assert_array_equal(codec.decode(stream, name), expected, name)
                assert coded_by(codec) == {"z": True, "y": True}
        region = (3, 5, 40, 30)
        np.testing.assert_array_equal(
            codec.decode(stream, region=region), plain.decode(stream, region=region)
        )


def test_auto_goes_by_the_number_of_symbols(
    load: Load, stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load("auto") as codec:
        codec.decode(stream)
        assert coded_by(codec) == {"z": False, "y": False}
    monkeypatch.setattr(device_coding, "LEAST_SYMBOLS", 1000)  # z has fewer, y more
    with load("auto") as codec, load("cpu") as plain:
        np.testing.assert_array_equal(codec.decode(stream), plain.decode(stream))
        assert coded_by(codec) == {"z": False, "y": True}


@pytest.mark.parametrize("route", ["lr", "latent_x4", "pixel_x4"])
def test_only_the_stream_goes_up_and_the_picture_down(
    load: Load, stream: bytes, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load("cuda") as codec:
        codec.decode(stream, route)  # tables and plans come once
        moved = count_traffic(monkeypatch)
        picture = codec.decode(stream, route)
        chunks = codec.open_stream(stream).chunks
    assert moved["upload"] == sum(len(chunk) + 24 for chunk in chunks)
    assert moved["download"] == picture.nbytes + 8 + len(chunks) * 36


def test_damaged_streams_end_as_with_the_processors_coder(load: Load, stream: bytes) -> None:
    rng = np.random.default_rng(5)
    found: set[str] = set()
    with load("cpu") as plain, load("cuda") as codec:
        parts = codec.open_stream(stream)
        for _ in range(60):
            chunks = [bytearray(chunk) for chunk in parts.chunks]
            one = chunks[int(rng.integers(0, len(chunks)))]
            at = int(rng.integers(0, len(one)))
            if rng.random() < 0.3:
                del one[at:]
            else:
                one[at] ^= 1 << int(rng.integers(0, 8))
            data = container.pack(replace(parts, chunks=tuple(map(bytes, chunks))))
            expected, made = outcome(plain, data), outcome(codec, data)
            assert made == expected
            found.add(re.sub(r"[0-9a-fx]*\d[0-9a-fx]*", "", str(expected))[:200])
    assert len(found) > 3


def outcome(codec: Codec, data: bytes) -> object:
    """The picture's bytes, or the error."""
    try:
        return codec.decode(data).tobytes()
    except LatentSRError as error:
        return type(error), str(error)


def test_threads_share_a_codec(load: Load, stream: bytes) -> None:
    with load("cuda") as codec, ThreadPoolExecutor(4) as pool:
        expected = codec.decode(stream)
        for made in pool.map(codec.decode, [stream] * 12):
            np.testing.assert_array_equal(made, expected)
