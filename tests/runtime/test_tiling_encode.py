"""Pictures encoded in tiles give the streams that they give at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_tiling import Short

import latentsr
from command_line import latentsr as command
from latentsr.backends.base import Engine
from latentsr.bundle import DEMO
from latentsr.codec import Codec
from latentsr.errors import EngineMemoryError, UsageError
from tiling_cases import demo_with, without_windows

SIZES = ((1, 1), (33, 21), (101, 75), (64, 128))


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    with latentsr.load("demo", threads=1) as codec:
        yield codec


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A photograph, uint8 (333, 401, 3)."""
    with Image.open(DEMO.parent / "coffee.png") as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:333, 20:421])


def _encode_small(codec: Codec, picture: np.ndarray, **options: object) -> bytes:
    """Within the smallest budget that works, in MiB."""
    for budget in (1, 2, 3, 4, 6, 8, 12, 16):
        try:
            return codec.encode(picture, memory=budget << 20, **options)
        except UsageError as error:
            assert "memory budget is too small: found" in str(error)
    raise AssertionError("the picture fits into no budget")


def _same_but_for_rounding(codec: Codec, found: bytes, expected: bytes) -> bool:
    """Whether two streams are the same bytes; others must be valid, as long and as good."""
    if found == expected:
        return True
    pictures = [codec.decode(stream).astype(np.int16) for stream in (found, expected)]
    assert abs(len(found) - len(expected)) <= 0.005 * len(expected) + 8
    errors = np.abs(pictures[0] - pictures[1])
    assert errors.mean() < 0.5
    return False


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_tiles_make_the_same_stream(
    codec: Codec, photo: np.ndarray, size: tuple[int, int], centred: bool, exact: bool
) -> None:
    picture = photo[: size[0], : size[1]]
    expected = codec.encode(picture, exact=exact, centred=centred)
    assert codec.encode(picture, exact=exact, centred=centred, memory="8GiB") == expected
    found = _encode_small(codec, picture, exact=exact, centred=centred)
    _same_but_for_rounding(codec, found, expected)


def test_many_tiles_of_a_photograph(codec: Codec, photo: np.ndarray) -> None:
    same = 0
    for turn in range(4):
        picture = np.ascontiguousarray(np.rot90(photo, turn))
        expected = codec.encode(picture)
        macs = codec.timeline.macs
        same += _same_but_for_rounding(codec, codec.encode(picture, memory="4MiB"), expected)
        assert codec.timeline.macs > 2 * macs  # of the margins of many tiles
    assert same >= 2
    names = [stage.name for stage in codec.timeline.stages]
    assert names.count("analysis") == 1  # a sum, and made once for both latents


class Noisy(Engine):
    """An engine whose outputs are off by far more than another order of sums makes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._noise = engine, np.random.default_rng(1)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        made = self._engine.run(inputs)
        return {
            name: value + self._noise.uniform(-1e-3, 1e-3, value.shape).astype(np.float32)
            for name, value in made.items()
        }

    @property
    def runs_on(self) -> str:
        return self._engine.runs_on


def test_symbols_that_fell_the_other_way_make_a_valid_stream(photo: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        expected = codec.encode(photo)
        codec._engines["analysis"] = Noisy(codec.engine("analysis"))
        found = codec.encode(photo, memory="4MiB")
        assert found != expected
        assert not _same_but_for_rounding(codec, found, expected)


def test_float_scales_are_those_that_the_decoder_computes(codec: Codec, photo: np.ndarray) -> None:
    stream = codec.encode(photo, exact=False, memory="8MiB")
    codec.decode(stream)
    assert not any(repair.changed for repair in codec.repairs)
    with pytest.raises(UsageError, match="graph entropy_parameters runs whole, as the decoder"):
        codec.encode(photo, exact=False, memory="3MiB")


def test_a_budget_that_is_too_small(codec: Codec, photo: np.ndarray) -> None:
    with pytest.raises(UsageError, match="too small: found 1 MiB, expected at least 3 MiB for"):
        codec.encode(photo, memory="1MiB")
    with pytest.raises(UsageError, match="memory budget is not known: found 'lots'"):
        codec.encode(photo, memory="lots")
    with pytest.raises(UsageError, match="memory budget is not known: found 'lots'"):
        codec.encode_many([photo], memory="lots")


def test_many_pictures(codec: Codec, photo: np.ndarray) -> None:
    pictures = [photo[:60], photo[:, :90]]
    found = list(codec.encode_many(pictures, memory="16MiB"))
    assert found == [codec.encode(picture, memory="16MiB") for picture in pictures]


def test_tiles_are_halved_where_memory_runs_out(photo: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        expected = codec.encode(photo)
        codec._engines["analysis"] = Short(codec.engine("analysis"), 160 * 160)
        with pytest.raises(EngineMemoryError):
            codec.encode(photo)
        _same_but_for_rounding(codec, codec.encode(photo, memory="1GiB"), expected)


def test_openvino(photo: np.ndarray) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with latentsr.load("demo", backend="openvino", threads=1) as codec:
        _same_but_for_rounding(codec, _encode_small(codec, photo), codec.encode(photo))


def test_bundles_without_windows(tmp_path: Path, photo: np.ndarray) -> None:
    path = demo_with(tmp_path / "old.lsr", without_windows)
    with (
        latentsr.load(path, threads=1) as codec,
        pytest.raises(UsageError, match="export it again"),
    ):
        codec.encode(photo, memory="1GiB")


def test_graphs_that_see_the_whole_picture(codec: Codec, tmp_path: Path, photo: np.ndarray) -> None:
    def change(raw: dict) -> None:
        graph = raw["graphs"]["analysis"]
        graph["window"] = {"whole": "MaxPool /esa: it says so", "bytes": graph["window"]["bytes"]}

    expected = codec.encode(photo)
    with latentsr.load(demo_with(tmp_path / "whole.lsr", change), threads=1) as other:
        assert other.encode(photo, memory="1GiB") == expected
        with pytest.raises(UsageError, match="analysis has no window: MaxPool /esa: it says so"):
            other.encode(photo, memory="32MiB")


LIMITED = """
import resource, sys
import numpy as np
import latentsr
from latentsr.errors import EngineMemoryError
def limit(size):
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
with latentsr.load("demo", threads=1) as codec:
    codec.encode(np.zeros((64, 64, 3), np.uint8))
    picture = np.zeros((1600, 2000, 3), np.uint8)
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit(held + (300 << 20))
    try:
        codec.encode(picture)
    except EngineMemoryError as error:
        print(error)
    # What the engine got before it failed stays with it.
    limit(held + (500 << 20))
    open(sys.argv[1], "wb").write(codec.encode(picture, memory="128MiB"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does it")
def test_the_error_without_tiles_names_them(codec: Codec, tmp_path: Path) -> None:
    path = tmp_path / "a.lss"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "such as memory='1GiB' or --memory 1GiB" in done.stdout
    assert codec.decode(path.read_bytes()).shape == (1600, 2000, 3)


def test_command(tmp_path: Path, photo: np.ndarray, codec: Codec) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    done = command("encode", "a.png", "-o", "a.lss", "--memory", "8MiB", cwd=tmp_path)
    assert "width 401, height 333" in done.stdout
    _same_but_for_rounding(codec, (tmp_path / "a.lss").read_bytes(), codec.encode(photo))
    failed = command("encode", "a.png", "-o", "b.lss", "--memory", "1MiB", cwd=tmp_path, code=2)
    assert "memory budget is too small: found 1 MiB, expected at least 3 MiB" in failed.stderr
    failed = command("encode", "a.png", "--memory", "lots", cwd=tmp_path, code=2)
    assert "memory budget is not known: found 'lots'" in failed.stderr
    assert not (tmp_path / "b.lss").exists()
