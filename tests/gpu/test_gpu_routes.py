"""Whole decodes on a device: the processor's pictures and errors, little that crosses the bus."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from engines.host_device import AddressedDevice
from engines.require import missing
from engines.tensorrt_stand_in import make
from engines.tensorrt_versions import VERSIONS
from latentsr import stream as container
from latentsr.backends import tensorrt_api, tensorrt_plans
from latentsr.backends.base import EngineOptions
from latentsr.backends.device import Device, Stream
from latentsr.backends.ort_gpu import CUDA
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.errors import LatentSRError
from latentsr.pipeline import device_coding

Load = Callable[[str], Codec]


@pytest.fixture
def load(device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Makes a codec on the device, with a coder."""
    backend = "ort"
    if isinstance(device, AddressedDevice):
        backend = "tensorrt"
        monkeypatch.setitem(sys.modules, "tensorrt", make(VERSIONS[-1], device))
        monkeypatch.setenv("LATENTSR_CACHE", str(tmp_path))
        tensorrt_api.library.cache_clear()
        tensorrt_api.logger.cache_clear()
        monkeypatch.setattr(tensorrt_plans, "_kept", [])
    elif CUDA not in ort.get_available_providers():
        missing(f"onnxruntime has no {CUDA}")
    return lambda coder: Codec(Bundle("demo"), backend, EngineOptions("cuda", coder=coder))


@pytest.fixture
def stream(picture: np.ndarray) -> bytes:
    with Codec(Bundle("demo"), "ort", EngineOptions(threads=1)) as codec:
        return codec.encode(picture)


def decoded_by(codec: Codec) -> dict[str, bool]:
    """Each chunk's stage: whether the device did it."""
    names = [s.name for s in codec.timeline.stages if s.kind == "entropy"]
    return {name.split()[1]: name.endswith(" on cuda") for name in names}


def test_pictures_are_those_of_the_processors_coder(load: Load, stream: bytes) -> None:
    with load("cpu") as plain, load("cuda") as codec:
        for name, route in codec.bundle.manifest.routes.items():
            if route.kind == "decode":
                expected = plain.decode(stream, name)
                assert not any(decoded_by(plain).values())
                np.testing.assert_array_equal(codec.decode(stream, name), expected, name)
                assert decoded_by(codec) == {"z": True, "y": True}
        region = (3, 5, 40, 30)
        np.testing.assert_array_equal(
            codec.decode(stream, region=region), plain.decode(stream, region=region)
        )


def test_auto_goes_by_the_number_of_symbols(
    load: Load, stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load("auto") as codec:
        codec.decode(stream)
        assert decoded_by(codec) == {"z": False, "y": False}
    monkeypatch.setattr(device_coding, "LEAST_SYMBOLS", 1000)  # z has fewer, y more
    with load("auto") as codec, load("cpu") as plain:
        np.testing.assert_array_equal(codec.decode(stream), plain.decode(stream))
        assert decoded_by(codec) == {"z": False, "y": True}


@pytest.mark.parametrize("route", ["lr", "latent_x4", "pixel_x4"])
def test_only_the_stream_goes_up_and_the_picture_down(
    load: Load, stream: bytes, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = {"upload": 0, "download": 0}

    def counted(name: str) -> Callable[..., None]:
        copy = getattr(Stream, name)

        def call(self: Stream, first: object, second: object, offset: int = 0) -> None:
            array = first if isinstance(first, np.ndarray) else second
            assert isinstance(array, np.ndarray)
            moved[name] += array.nbytes
            copy(self, first, second, offset)

        return call

    with load("cuda") as codec:
        codec.decode(stream, route)  # tables and plans come once
        for name in moved:
            monkeypatch.setattr(Stream, name, counted(name))
        picture = codec.decode(stream, route)
        chunks = codec.open_stream(stream).chunks
    assert moved["upload"] == sum(len(chunk) + 24 + 28 for chunk in chunks)
    assert moved["download"] == picture.nbytes + 8 + len(chunks) * (32 + 4)


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
