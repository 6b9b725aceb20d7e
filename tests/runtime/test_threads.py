"""One codec, eight threads at a time: every result and every record as in one thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from context_bundle import context_bundle
from latentsr.codec import Codec
from latentsr.errors import CorruptStream
from latentsr.files import write_bytes

THREADS, ROUNDS = 8, 2
SIZES = [(40, 50), (64, 64), (1, 30), (33, 75), (101, 75)]
Task = Callable[[Codec], Any]
ENGINES = {
    "lr": ["entropy_parameters", "synthesis"],
    "latent_x4": ["entropy_parameters", "latent_sr"],
    "pixel_x4": ["entropy_parameters", "synthesis", "pixel_sr"],
    "bicubic": ["entropy_parameters", "synthesis"],
    "encode": ["analysis", "hyper_analysis", "entropy_parameters"],
}


def tasks(codec: Codec, picture: np.ndarray, routes: list[str]) -> dict[str, Task]:
    """Calls of every kind, whose results are bytes."""
    found: dict[str, Task] = {}
    for size in SIZES:
        part = picture[: size[0], : size[1]]
        found[f"encode {size}"] = lambda c, part=part: c.encode(part)
        for exact in (True, False):
            data = codec.encode(part, exact=exact)
            for route in routes:
                name = f"{route} {size} {exact}"
                found[name] = lambda c, data=data, route=route: c.decode(data, route).tobytes()
    return found


def at_once(codec: Codec, todo: dict[str, Task]) -> list[tuple[str, Any, list[str]]]:
    """Every task from all threads at a time: its result and the engines of the thread's record."""
    start = threading.Barrier(THREADS)

    def run(number: int) -> list[tuple[str, Any, list[str]]]:
        names = list(todo) * ROUNDS
        np.random.default_rng(number).shuffle(names)
        start.wait()
        found = []
        for name in names:
            result = todo[name](codec)
            stages = [stage.name for stage in codec.timeline.stages if stage.kind == "engine"]
            found.append((name, result, stages))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        return [one for each in pool.map(run, range(THREADS)) for one in each]


@pytest.mark.parametrize(("backend", "threads"), [("ort", 1), ("ort", None), ("openvino", 1)])
def test_mixed_calls_give_what_they_give_in_one_thread(
    backend: str, threads: int | None, picture: np.ndarray
) -> None:
    pytest.importorskip({"ort": "onnxruntime"}.get(backend, backend), reason="no such engine")
    with latentsr.load("demo", backend=backend, threads=threads) as codec:
        todo = tasks(codec, picture, ["lr", "latent_x4", "bicubic"])
        small = codec.encode(picture[:20, :20])
        todo["pixel_x4"] = lambda c: c.upscale(small, "pixel_x4").tobytes()
        expected = {name: task(codec) for name, task in todo.items()}
    # A fresh codec: the threads find nothing loaded.
    with latentsr.load("demo", backend=backend, threads=threads) as codec:
        for name, result, engines in at_once(codec, todo):
            assert result == expected[name], name
            assert engines == ENGINES[name.split()[0]], name


def test_context_models_from_many_threads(tmp_path: Path, picture: np.ndarray) -> None:
    path = context_bundle(tmp_path / "context.lsr")
    # Two threads for one latent: the kernels' own workers have many callers, too.
    with latentsr.load(path, threads=2) as codec:
        todo = tasks(codec, picture, ["lr"])
        expected = {name: task(codec) for name, task in todo.items()}
    with latentsr.load(path, threads=2) as codec:
        assert all(result == expected[name] for name, result, _ in at_once(codec, todo))


def test_a_damaged_stream_disturbs_no_other_thread(picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        whole = codec.encode(picture[:40, :50])
        expected = codec.decode(whole).tobytes()

        def fail(c: Codec) -> str:
            with pytest.raises(CorruptStream):
                c.decode(whole[:-9] + b"\0" * 9)
            return "refused"

        todo = {"bad": fail, "good": lambda c: c.decode(whole).tobytes()}
        for name, result, _ in at_once(codec, todo):
            assert result == {"bad": "refused", "good": expected}[name]


def test_records_belong_to_the_asking_thread(picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        assert codec.timeline.stages == [] and codec.repairs == ()
        data = codec.encode(picture[:40, :50], exact=False)
        mine = codec.timeline
        with ThreadPoolExecutor(1) as pool:
            # No call of its own yet, so it is told of the last one anywhere.
            assert pool.submit(lambda: codec.timeline).result() is mine
            pool.submit(codec.decode, data).result()
            theirs = pool.submit(lambda: (codec.timeline, codec.repairs)).result()
        assert codec.timeline is mine and not codec.repairs
        assert theirs[0] is not mine and [repair.chunk for repair in theirs[1]] == ["y"]


def test_closing_while_others_work_only_costs_time(picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        data = codec.encode(picture[:40, :50])
        expected = codec.decode(data).tobytes()
        ended = threading.Event()

        def close() -> None:
            while not ended.wait(0.01):
                codec.close()

        closer = threading.Thread(target=close)
        closer.start()
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: codec.decode(data).tobytes(), range(24)))
        ended.set()
        closer.join()
        assert set(results) == {expected}


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_files_written_at_once_have_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda n: write_bytes(tmp_path / f"{n}.lss", b"x"), range(400)))
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        after = os.umask(before)
    assert modes == {0o640} and after == 0o027
