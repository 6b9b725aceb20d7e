"""`upscale_many` and its like: the pictures of single calls, in order, and clean ends."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import latentsr
from latentsr.codec import Codec
from latentsr.errors import CorruptStream, ImageError, LatentSRError, StreamError, UsageError
from latentsr.pipeline.many import crew_of
from latentsr.pipeline.schedule import Crew, usable_cores

SIZES = [(40, 50), (64, 64), (1, 30), (101, 75), (33, 33), (64, 20), (90, 70)]


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    with latentsr.load("demo") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def streams(codec: Codec, picture: np.ndarray) -> list[bytes]:
    return [codec.encode(picture[:height, :width]) for height, width in SIZES]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("latentsr-picture")]


@pytest.mark.parametrize("route", ["latent_x4", "bicubic", None])
def test_pictures_and_their_order(codec: Codec, streams: list[bytes], route: str | None) -> None:
    expected = [codec.upscale(stream, route) for stream in streams]
    for given in (streams, iter(streams), (stream for stream in streams)):
        found = list(codec.upscale_many(given, route, jobs=3))
        assert len(found) == len(streams)
        assert all(map(np.array_equal, found, expected))


def test_engines_that_count_callers(codec: Codec, streams: list[bytes]) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    with latentsr.load("demo", backend="openvino", threads=1) as other:
        expected = [other.decode(stream) for stream in streams]
        for _ in range(3):
            assert all(map(np.array_equal, other.decode_many(streams, jobs=3), expected))


def test_decode_and_encode(codec: Codec, streams: list[bytes], picture: np.ndarray) -> None:
    found = list(codec.decode_many(streams, jobs=2))
    assert all(map(np.array_equal, found, map(codec.decode, streams)))
    parts = (picture[:height, :width] for height, width in SIZES)
    assert list(codec.encode_many(parts)) == streams


@pytest.mark.parametrize("count", [0, 1])
def test_empty_and_single(codec: Codec, streams: list[bytes], count: int) -> None:
    assert len(list(codec.upscale_many(streams[:count]))) == count


def test_records_go_with_the_pictures(codec: Codec, streams: list[bytes]) -> None:
    sizes = []
    for picture in codec.upscale_many(streams):
        stages = [stage.name for stage in codec.timeline.stages if stage.kind == "engine"]
        assert stages == ["entropy_parameters", "latent_sr"]
        sizes.append((picture.size, codec.timeline.macs))
    assert len(set(sizes)) > 4
    # Padded sizes, so MACs, grow with the pictures.
    assert [macs for _, macs in sorted(sizes)] == sorted(macs for _, macs in sizes)


def test_a_bad_stream_in_its_place(codec: Codec, streams: list[bytes]) -> None:
    bad = streams[2][:-3]
    mixed = [*streams[:2], bad, b"", *streams[3:]]
    found = list(codec.upscale_many(mixed, on_error="yield"))
    assert [type(one) for one in found[2:4]] == [CorruptStream, StreamError]
    pictures = [one for one in found if not isinstance(one, LatentSRError)]
    assert [p.shape[:2] for p in pictures] == [(4 * h, 4 * w) for h, w in SIZES if h != 1]
    iterator = codec.upscale_many(mixed)
    assert [next(iterator).shape[0] for _ in range(2)] == [160, 256]
    with pytest.raises(CorruptStream):
        next(iterator)
    assert list(iterator) == []
    found = list(codec.encode_many([np.zeros((4, 4, 2), np.uint8)], on_error="yield"))
    assert isinstance(found[0], ImageError)


def test_early_end_and_back_pressure(codec: Codec, streams: list[bytes]) -> None:
    pulled = []

    def endless() -> Iterator[bytes]:
        while True:
            pulled.append(streams[0])
            yield streams[0]

    iterator = codec.decode_many(endless(), jobs=2, ahead=1)
    assert not pulled
    for got in range(1, 6):
        next(iterator)
        assert len(pulled) <= got - 1 + 3
    iterator.close()
    assert len(pulled) == 7


def test_nothing_keeps_a_picture_that_was_handed_out(codec: Codec, streams: list[bytes]) -> None:
    iterator = codec.decode_many(streams[:2] * 4, jobs=1, ahead=0)
    for _ in range(5):
        picture = next(iterator)
        gone = weakref.ref(picture)
        del picture
        gc.collect()
        assert gone() is None
    iterator.close()


def test_an_error_of_the_iterable_comes_last(codec: Codec, streams: list[bytes]) -> None:
    def broken() -> Iterator[bytes]:
        yield from streams[:3]
        raise OSError("no more")

    iterator = codec.decode_many(broken(), on_error="yield")
    assert [next(iterator).shape[:2] for _ in range(3)] == SIZES[:3]
    with pytest.raises(OSError, match="no more"):
        next(iterator)


def test_wrong_arguments_are_refused_by_the_call(codec: Codec) -> None:
    for call in (
        lambda: codec.upscale_many([], "lr"),
        lambda: codec.decode_many([], "x9"),
        lambda: codec.encode_many([], "lr"),
        lambda: codec.upscale_many([], jobs=0),
        lambda: codec.with_options(profile=True).upscale_many([], jobs=0),
        lambda: codec.upscale_many([], ahead=-1),
        lambda: codec.upscale_many([], on_error="ignore"),
    ):
        with pytest.raises(UsageError, match="expected"):
            call()


def test_engines_go_with_the_jobs(codec: Codec) -> None:
    cores = usable_cores()
    if cores == 1:
        pytest.skip("one core is one job")
    assert crew_of(codec, 1, None) == (codec, Crew(1, cores))
    worker, crew = crew_of(codec, None, None)
    assert crew == Crew(cores, 1) and worker.options.threads == 1
    # Another number of jobs with as many threads shares the engines.
    assert crew_of(codec, 64, None)[0] is worker
    with latentsr.load("demo", threads=1) as single:
        assert crew_of(single, None, None)[0] is single
    pytest.importorskip("openvino", reason="openvino is not installed")
    with latentsr.load("demo", backend="openvino") as other:
        worker, crew = crew_of(other, 3, None)
        assert worker.options.callers == 3
