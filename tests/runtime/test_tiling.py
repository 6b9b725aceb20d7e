"""Pictures in tiles are those made at once: all routes, sizes, budgets, regions; and memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import latentsr
from latentsr.backends.base import Engine
from latentsr.codec import Codec
from latentsr.errors import BundleError, EngineMemoryError, UsageError
from latentsr.tiling import run as tiles
from tiling_cases import assert_same, demo_with, without_windows

ROUTES = ("lr", "bicubic", "latent_x4", "pixel_x4")
SIZES = ((1, 1), (33, 21), (101, 75))


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    with latentsr.load("demo", threads=1) as codec:
        yield codec


def _decode_small(codec: Codec, stream: bytes, route: str) -> np.ndarray:
    """Within the smallest budget that works, in MiB."""
    for budget in (1, 2, 3, 4, 6, 8, 12, 16, 24):
        try:
            return codec.decode(stream, route, memory=budget << 20)
        except UsageError as error:
            assert "memory budget is too small" in str(error)
    raise AssertionError(f"{route} fits into no budget")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("centred", [False, True])
def test_tiles_make_the_same_picture(
    codec: Codec, picture: np.ndarray, route: str, size: tuple[int, int], centred: bool
) -> None:
    stream = codec.encode(picture[: size[0], : size[1]], centred=centred)
    expected = codec.decode(stream, route)
    assert_same(_decode_small(codec, stream, route), expected)
    assert_same(codec.decode(stream, route, memory="8GiB"), expected)


@pytest.mark.parametrize("route", ROUTES)
def test_regions_are_crops(codec: Codec, picture: np.ndarray, route: str) -> None:
    stream = codec.encode(picture, centred=True)
    expected = codec.decode(stream, route)
    height, width = expected.shape[:2]
    boxes = [
        (0, 0, width, height), (0, 0, 1, 1), (width - 1, height - 1, 1, 1),
        (width // 3, 0, 5, height), (7, height // 2, width - 9, 3), (11, 13, width // 2, 17),
    ]  # fmt: skip
    for x, y, w, h in boxes:
        for memory in (None, "16MiB"):
            found = codec.decode(stream, route, memory=memory, region=(x, y, w, h))
            assert_same(found, expected[y : y + h, x : x + w])


def test_a_region_computes_little(codec: Codec, picture: np.ndarray) -> None:
    stream = codec.encode(np.tile(picture, (8, 8, 1)))
    codec.upscale(stream, "latent_x4")
    whole = codec.timeline.macs
    assert codec.upscale(stream, "latent_x4", region=(900, 1000, 64, 64)).shape == (64, 64, 3)
    assert codec.timeline.macs < whole / 10


def test_several_tiles_within_the_budget(codec: Codec, picture: np.ndarray) -> None:
    stream = codec.encode(np.tile(picture, (3, 3, 1)))
    expected = codec.upscale(stream)
    macs = codec.timeline.macs
    assert_same(codec.upscale(stream, memory="64MiB"), expected)
    stages = codec.timeline.stages
    names = [stage.name for stage in stages]
    assert [name for name in names if name.startswith("latent_sr#")]
    assert all(stage.ms > 0 for stage in stages if stage.kind == "engine")
    assert names.count("picture") == 1  # sums over all tiles
    assert macs < codec.timeline.macs < 3 * macs


def test_a_small_budget_takes_more_tiles_and_work(codec: Codec, picture: np.ndarray) -> None:
    stream = codec.encode(np.tile(picture, (2, 2, 1)))
    macs = []
    for memory in ("16MiB", "48MiB", "1GiB"):
        codec.upscale(stream, "pixel_x4", memory=memory)
        macs.append(codec.timeline.macs)
    assert macs[0] > macs[1] > macs[2]


def test_openvino_makes_the_same_tiles(picture: np.ndarray) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with latentsr.load("demo", backend="openvino", threads=1) as codec:
        stream = codec.encode(picture)
        for route in ROUTES:
            assert_same(_decode_small(codec, stream, route), codec.decode(stream, route))


class Short(Engine):
    """An engine that has no memory for inputs of more than some positions."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine, self._most = engine, most
        self.refused, self.sizes = 0, []

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        positions = max(value.shape[2] * value.shape[3] for value in inputs.values())
        if positions > self._most:
            self.refused += 1
            raise EngineMemoryError("no memory")
        self.sizes.append(positions)
        return self._engine.run(inputs)

    @property
    def runs_on(self) -> str:
        return self._engine.runs_on


def test_tiles_are_halved_where_memory_runs_out(picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(np.tile(picture, (2, 2, 1)))
        expected = codec.upscale(stream, "pixel_x4")
        short = codec._engines["pixel_sr"] = Short(codec.engine("pixel_sr"), 80 * 80)
        assert_same(codec.upscale(stream, "pixel_x4", memory="1GiB"), expected)
        # Once for each size that is too large, not once for each tile.
        assert 1 <= short.refused <= 6
        assert len(short.sizes) > short.refused
        codec._engines["pixel_sr"] = Short(codec.engine("pixel_sr"), 0)
        with pytest.raises(EngineMemoryError, match="memory ran out"):
            codec.upscale(stream, "pixel_x4", memory="1GiB")


LIMITED = """
import resource, sys
import numpy as np
import latentsr
from latentsr.errors import EngineMemoryError
with latentsr.load("demo", threads=1) as codec:
    stream = open(sys.argv[1], "rb").read()
    codec.warmup("latent_x4")
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (300 << 20), resource.RLIM_INFINITY))
    try:
        codec.upscale(stream, "latent_x4")
        print("fits")
    except EngineMemoryError as error:
        print("refused")
    np.save(sys.argv[2], codec.upscale(stream, "latent_x4", memory="4GiB"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does it")
def test_a_budget_above_what_the_system_gives(
    codec: Codec, picture: np.ndarray, tmp_path: Path
) -> None:
    stream = codec.encode(np.tile(picture, (6, 8, 1)))
    (tmp_path / "a.lss").write_bytes(stream)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a.lss"), str(tmp_path / "a.npy")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"]
    assert_same(np.load(tmp_path / "a.npy"), codec.upscale(stream, "latent_x4"))


def test_halving_gives_up_after_some_depth(monkeypatch: pytest.MonkeyPatch, codec: Codec,
                                           picture: np.ndarray) -> None:  # fmt: skip
    monkeypatch.setattr(tiles, "MOST_HALVINGS", 1)
    stream = codec.encode(picture)
    monkeypatch.setitem(codec._engines, "pixel_sr", Short(codec.engine("pixel_sr"), 40 * 40))
    with pytest.raises(EngineMemoryError, match="memory ran out: found none for"):
        codec.upscale(stream, "pixel_x4", memory="1GiB")


def test_bundles_without_windows(tmp_path: Path, picture: np.ndarray) -> None:
    path = demo_with(tmp_path / "old.lsr", without_windows)
    with latentsr.load(path, threads=1) as codec:
        stream = codec.encode(picture)
        expected = codec.upscale(stream)
        with pytest.raises(UsageError, match="export it again"):
            codec.upscale(stream, memory="1GiB")
        found = codec.upscale(stream, region=(10, 20, 30, 40))
        assert_same(found, expected[20:60, 10:40])


def test_graphs_that_see_the_whole_picture(tmp_path: Path, picture: np.ndarray) -> None:
    def change(raw: dict) -> None:
        graph = raw["graphs"]["pixel_sr"]
        graph["window"] = {"whole": "MaxPool /esa: it says so", "bytes": graph["window"]["bytes"]}

    path = demo_with(tmp_path / "whole.lsr", change)
    with latentsr.load(path, threads=1) as codec:
        stream = codec.encode(picture)
        expected = codec.upscale(stream, "pixel_x4")
        assert_same(codec.upscale(stream, "pixel_x4", memory="1GiB"), expected)
        with pytest.raises(UsageError, match=r"pixel_sr has no window: MaxPool /esa: it says so"):
            codec.upscale(stream, "pixel_x4", memory="32MiB")
        found = codec.upscale(stream, "pixel_x4", region=(11, 12, 13, 14))
        assert_same(found, expected[12:26, 11:24])


def test_windows_that_lie_are_bundle_errors(tmp_path: Path, picture: np.ndarray) -> None:
    def change(raw: dict) -> None:
        window = raw["graphs"]["latent_sr"]["window"]
        window["outputs"], window["pieces"] = [[63, 64]], []

    path = demo_with(tmp_path / "lies.lsr", change)
    with latentsr.load(path, threads=1) as codec:
        stream = codec.encode(picture)
        with pytest.raises(BundleError):
            codec.upscale(stream, memory="1GiB")


@pytest.mark.parametrize("region", [
    (0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 301, 5), (299, 0, 2, 1), (0, 400, 1, 5), (1, 2, 3),
    (0.5, 0, 5, 5), (True, 0, 5, 5), ("a", 0, 1, 1),
])  # fmt: skip
def test_regions_outside_the_picture(codec: Codec, picture: np.ndarray, region: tuple) -> None:
    stream = codec.encode(picture)
    with pytest.raises(UsageError, match="region does not lie in the picture"):
        codec.upscale(stream, region=region)


def test_damaged_symbols_are_found_before_tiles_are_made(codec: Codec, picture: np.ndarray) -> None:
    from latentsr.errors import StreamError

    stream = bytearray(codec.encode(picture))
    stream[len(stream) // 2] ^= 4
    with pytest.raises(StreamError):
        codec.upscale(bytes(stream), memory="64MiB")


def test_a_variant_runs_in_tiles_as_a_whole(tmp_path: Path, picture: np.ndarray) -> None:
    """Pieces are cut out of the float32 graph, so they must not stand in for another precision."""

    def change(raw: dict) -> None:
        graph = raw["graphs"]["latent_sr"]
        graph["variants"] = {"fp16": {"file": graph["file"], "ports": "fp32"}}

    path = demo_with(tmp_path / "half.lsr", change)
    with latentsr.load(path, threads=1, precision="fp16") as codec:
        stream = codec.encode(np.tile(picture, (2, 2, 1)))
        expected = codec.upscale(stream)
        assert_same(codec.upscale(stream, region=(30, 40, 50, 60)), expected[40:100, 30:80])
        assert "latent_sr" in [stage.name for stage in codec.timeline.stages]
