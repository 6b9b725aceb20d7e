"""Decodes within a budget: what comes before entropy decoding runs in tiles, to the same bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from test_tiling import Short

import latentsr
from latentsr.codec import Codec
from latentsr.errors import UsageError
from latentsr.tiling.head import start
from latentsr.tiling.job import Work
from latentsr.tiling.tail import Engines
from tiling_cases import assert_same

GRAPH = "entropy_parameters_exact"
ANY = 1 << 30


@pytest.fixture
def codec() -> Iterator[Codec]:
    with latentsr.load("demo", threads=1) as codec:
        yield codec


@pytest.fixture(scope="module")
def large(picture: np.ndarray) -> np.ndarray:
    """uint8 (1010, 750, 3): z of 16x12."""
    return np.tile(picture, (10, 10, 1))


def _latents(codec: Codec, stream: bytes, memory: int | None) -> dict[str, np.ndarray]:
    """What the entropy steps leave to a route's tail."""
    _, run = codec.begin_decode(stream)
    route = codec.bundle.route("latent_x4", "decode")
    work = Work(route, run, codec.machine, codec.load_engines, memory)
    return start(work, Engines(codec.load_engines, memory is not None, "fp32")).values


def test_scales_in_tiles_are_the_same_bits(codec: Codec, large: np.ndarray) -> None:
    stream = codec.encode(large)
    expected = _latents(codec, stream, None)
    assert list(expected) == ["y_hat"]
    seen = codec._engines[GRAPH] = Short(codec.engine(GRAPH), ANY)
    for memory, tiles in ((1 << 30, 1), (8 << 20, 4), (5 << 20, 12)):
        seen.sizes = []
        found = _latents(codec, stream, memory)
        assert list(found) == ["y_hat"]
        assert np.array_equal(found["y_hat"], expected["y_hat"])
        assert len(seen.sizes) >= tiles
        # By the window, a position takes 31 kB, and engines some more than that.
        assert max(seen.sizes) * 31_000 * 2 < memory


def test_tiles_are_halved_where_memory_runs_out(codec: Codec, large: np.ndarray) -> None:
    stream = codec.encode(large)
    expected = codec.upscale(stream, region=(100, 200, 300, 64))
    codec._engines[GRAPH] = Short(codec.engine(GRAPH), 60)
    found = codec.upscale(stream, memory="1GiB", region=(100, 200, 300, 64))
    assert_same(found, expected)


def test_float_scales_stay_whole(codec: Codec, large: np.ndarray) -> None:
    stream = codec.encode(large, exact=False)
    seen = codec._engines["entropy_parameters"] = Short(codec.engine("entropy_parameters"), ANY)
    codec.decode(stream, memory="32MiB")
    assert seen.sizes == [16 * 12]
    with pytest.raises(UsageError, match="as graph entropy_parameters runs whole, as tiles may"):
        codec.decode(stream, memory="8MiB")


def test_latents_that_exceed_the_budget(codec: Codec, large: np.ndarray) -> None:
    stream = codec.encode(large)
    with pytest.raises(UsageError, match="memory budget is too small: found 1 MiB, expected"):
        codec.decode(stream, memory="1MiB")


@pytest.mark.parametrize("exact", [True, False])
def test_no_engine_keeps_memory_within_a_budget(
    codec: Codec, picture: np.ndarray, exact: bool
) -> None:
    """Nor do graphs that run whole, as those of scales in floating point do."""
    stream = codec.encode(picture, exact=exact)
    expected = codec.upscale(stream)

    def keeps(inputs: object) -> dict[str, np.ndarray]:
        raise AssertionError("an engine was run that keeps its memory")

    for name in codec.bundle.manifest.graphs:
        codec.engine(name).run = keeps  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="keeps its memory"):
        codec.upscale(stream)
    assert_same(codec.upscale(stream, memory="1GiB"), expected)
