"""Whole encodes on a device: the processor's streams and errors, little that crosses the bus."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from device_routes import Load, coded_by, count_traffic

from latentsr.backends.base import EngineOptions
from latentsr.backends.device_pool import DeviceArray
from latentsr.backends.values import on_host
from latentsr.codec import Codec
from latentsr.errors import ImageError, StreamError
from latentsr.pipeline import device_coding

SIZES = [(1, 1), (64, 64), (75, 101), (129, 30), (130, 193)]


def photo(size: tuple[int, int], seed: int = 1) -> np.ndarray:
    """Width and height; smooth but for a little noise."""
    row, column = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float64)
    waves = [np.sin(row / (9 + seed) + k) * np.cos(column / (7 + k)) for k in range(3)]
    noise = np.random.default_rng(seed).normal(0, 4, (*row.shape, 3))
    return np.clip(np.stack(waves, -1) * 100 + 127 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_streams_are_those_of_the_processors_coder(
    load: Load, size: tuple[int, int], centred: bool
) -> None:
    with load("cpu") as plain, load("cuda") as codec:
        image = photo(size)
        expected = plain.encode(image, centred=centred)
        assert not any(coded_by(plain).values())
        assert codec.encode(image, centred=centred) == expected
        assert coded_by(codec) == {"z": True, "y": True}
        assert codec.decode(expected).shape == image.shape  # with the symbols' CRC-32


def test_values_on_the_way_are_the_same_and_stay_there(load: Load, picture: np.ndarray) -> None:
    with load("cpu") as plain, load("cuda") as codec:
        runs = [each.run_encode(picture, "encode", True) for each in (plain, codec)]
        for name, value in runs[0].values.items():
            found = runs[1].values[name]
            assert isinstance(found, DeviceArray) == (name != "picture")
            np.testing.assert_array_equal(on_host(found), on_host(value), name)
        assert runs[0].symbol_crc == runs[1].symbol_crc


@pytest.mark.parametrize("coder", ["cpu", "cuda"])
def test_planes_are_made_there_with_the_hosts_bits(load: Load, coder: str) -> None:
    """Whatever codes the latents, and also where the picture is no array in C order."""
    with load(coder) as codec, Codec(codec.bundle, "ort", EngineOptions()) as host:
        for size in SIZES:
            for image in (photo(size), photo(size)[::-1], np.repeat(photo(size), 2, 1)[:, ::2]):
                expected = host.run_encode(image, "encode", True, centred=True).values["x"]
                found = codec.run_encode(image, "encode", True, centred=True).values["x"]
                assert isinstance(expected, np.ndarray) and isinstance(found, DeviceArray)
                assert np.asarray(found).tobytes() == expected.tobytes()


def test_only_the_picture_goes_up_and_the_stream_down(
    load: Load, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(2).integers(0, 256, picture.shape).astype(np.uint8)
    with load("cuda") as codec:

        def sizes(image: np.ndarray) -> list[int]:
            return [len(chunk) for chunk in codec.open_stream(codec.encode(image)).chunks]

        def positions(image: np.ndarray) -> int:
            return (-image.shape[0] // 64) * (-image.shape[1] // 64)

        last, before = sizes(picture), positions(picture)  # tables and plans come once
        wide = np.tile(noise, (2, 3, 1))
        assert positions(wide) > 2 * before
        moved = count_traffic(monkeypatch)
        for image, enough in ((picture, True), (noise, False), (noise, True), (wide, True)):
            if image is wide:
                codec.encode(image)  # its plans, and the rate of its z
                codec.encode(noise)
            moved.update(upload=0, download=0)
            chunks = sizes(image)
            # Of another size than the last, its z has other rows of tables, a byte each.
            rows = 64 * positions(image) if image is wide else 0
            assert moved["upload"] == image.nbytes + len(chunks) * 56 + rows
            # With the findings comes a quarter more than the last stream had for as many symbols;
            # then what is lacking.
            ahead = [size * positions(image) * 5 // (4 * before) for size in last]
            assert (chunks[1] <= ahead[1]) == enough
            most = map(max, zip(chunks, ahead, strict=True))
            assert moved["download"] == sum(most) + len(chunks) * 52
            last, before = chunks, positions(image)


def test_auto_goes_by_the_number_of_symbols(
    load: Load, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load("auto") as codec:
        stream = codec.encode(picture)
        assert coded_by(codec) == {"z": False, "y": False}
    monkeypatch.setattr(device_coding, "LEAST_ENCODED", 1000)  # z has fewer, y more
    with load("auto") as codec:
        assert codec.encode(picture) == stream
        assert coded_by(codec) == {"z": False, "y": True}
        codec.decode(stream)
        assert coded_by(codec) == {"z": False, "y": False}


def test_compressais_form_stays_with_the_processor(load: Load, picture: np.ndarray) -> None:
    with load("cpu") as plain, load("cuda") as codec:
        assert codec.encode(picture, exact=False) == plain.encode(picture, exact=False)
        assert codec.run_encode(picture, "encode", False).form == "compressai"
        assert coded_by(codec) == {"z": False, "y": False}


def test_pictures_in_tiles(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes are made there of each tile's bytes, and latents are coded there."""
    picture = photo((450, 330))
    with load("cpu") as plain, load("cuda") as codec:
        moved = count_traffic(monkeypatch)
        for memory, most in (("8GiB", 1.0), ("48MiB", 1.3), ("16MiB", 1.8)):
            expected = plain.encode(picture, memory=memory)
            codec.encode(picture, memory=memory)
            moved.update(upload=0, download=0)
            assert codec.encode(picture, memory=memory) == expected
            assert most - 0.3 < (moved["upload"] - 2 * 56) / picture.nbytes <= most
            assert coded_by(codec) == {"z": True, "y": True}


def test_many_pictures(load: Load) -> None:
    pictures = [photo(size, seed) for seed, size in enumerate(SIZES * 2)]
    with load("cpu") as plain, load("cuda") as codec:
        expected = [plain.encode(each) for each in pictures]
        assert list(codec.encode_many(pictures)) == expected
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(codec.encode, pictures)) == expected
        empty = np.empty((0, 4, 3), np.uint8)
        found = list(codec.encode_many([pictures[0], empty, pictures[1]], on_error="yield"))
        assert [found[0], found[2]] == expected[:2] and isinstance(found[1], ImageError)


@pytest.mark.parametrize(
    ("graph", "kind", "where"),
    [("analysis", ImageError, "latent z .* element 0"),  # all of z comes from it
     ("hyper_analysis", ImageError, "latent z .* element 60"),
     ("entropy_parameters_exact", StreamError, "scales, element 60")],
)  # fmt: skip
def test_networks_that_overflow(
    load: Load, picture: np.ndarray, graph: str, kind: type[Exception], where: str
) -> None:
    """NaN in a latent or in scales, wherever the chunk is coded."""
    said = []
    for coder in ("cpu", "cuda"):
        with load(coder) as codec:
            engine = codec.engine(graph)

            def spoilt(inputs: Any, run: Any = engine.run) -> Any:
                made = {name: np.array(value) for name, value in run(inputs).items()}
                for value in made.values():
                    value.reshape(-1)[[77, 60]] = np.nan
                return made

            engine.run = spoilt  # type: ignore[method-assign]
            with pytest.raises(kind, match=where) as found:
                codec.encode(picture)
            said.append(str(found.value))
    assert said[0] == said[1]
