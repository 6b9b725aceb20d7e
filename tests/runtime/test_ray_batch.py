"""Streams over Ray workers, one of which is killed on the way: all pictures, once, the same."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import latentsr as package
from command_line import latentsr, started
from latentsr.bundle import Bundle
from latentsr.deploy.bundle_copy import bundle_files
from latentsr.deploy.ray_batch import RayWorkers, StreamWorker, Task
from latentsr.errors import BackendError, UsageError

COUNT = 12


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> Path:
    """A folder of streams; the fifth is damaged."""
    folder = tmp_path_factory.mktemp("streams")
    with package.load("demo", threads=1) as codec:
        for number in range(COUNT):
            data = codec.encode(np.roll(picture, 9 * number, 0)[: 101 - number])
            (folder / f"{number:02}.lss").write_bytes(data if number != 4 else data[:-9])
    return folder


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_worker_costs_nothing_but_time(streams: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    latentsr("upscale", streams, "-o", "here", "--threads", "1", cwd=tmp_path, code=2)
    command = ["batch", streams, "-o", "there", "--ray", "local", "--workers", "2", "--jsonl"]
    with started(*command, cwd=tmp_path) as begun:
        first = json.loads(begun.line())
        os.kill(int(first["worker"].split(":")[1]), signal.SIGKILL)
        rest, words = begun.finish()
    assert begun.process.returncode == 2, words
    lines = [first, *map(json.loads, rest)]
    assert [Path(line["input"]).stem for line in lines] == [f"{n:02}" for n in range(COUNT)]
    assert [n for n, line in enumerate(lines) if "error" in line] == [4], words
    assert len({line["worker"] for n, line in enumerate(lines) if n != 4}) >= 2
    assert pictures(tmp_path / "there") == pictures(tmp_path / "here")


def test_a_worker_takes_streams_and_refuses_damage(streams: Path) -> None:
    files = bundle_files(Bundle("demo"))
    worker = StreamWorker(files, Task("bicubic", ".ppm"), package.__version__)
    content, facts = worker.run((streams / "00.lss").read_bytes())
    assert content[:2] == b"P6" and (facts["width"], facts["height"]) == (300, 404)
    content, facts = worker.run((streams / "04.lss").read_bytes())
    assert content == b"" and facts["error"] == "CorruptStream" and "expected" in facts["message"]
    other = StreamWorker(files, Task("bicubic"), "0.0.0")
    assert "expected 0.0.0" in other.run(b"")[1]["message"]


def test_without_ray_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendError, match=r"pip install 'latentsr\[ray\]'"):
        RayWorkers(Bundle("demo"), Task("lr"), "local", 1)


class Cluster(ModuleType):
    """Ray's module as far as workers are made: what is there, and what they were asked to have."""

    def __init__(self, **resources: float) -> None:
        super().__init__("ray")
        self.resources, self.asked = resources, list[dict[str, Any]]()
        self.exceptions = ModuleType("ray.exceptions")
        self.remote = lambda **options: (
            lambda kind: SimpleNamespace(
                remote=lambda *given: self.asked.append({**options, "task": given[1]})
            )
        )
        for name in ("init", "put", "kill", "shutdown"):
            setattr(self, name, lambda *given, **options: None)

    def cluster_resources(self) -> dict[str, float]:
        return self.resources


@pytest.fixture()
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cluster]:
    def put_in(**resources: float) -> Cluster:
        found = Cluster(**resources)
        monkeypatch.setitem(sys.modules, "ray", found)
        monkeypatch.setitem(sys.modules, "ray.exceptions", found.exceptions)
        return found

    return put_in


def test_workers_on_gpus_have_one_each(cluster: Callable[..., Cluster]) -> None:
    """They never run on the CPU in silence, and never wait for a GPU that is not there."""
    bundle, task = Bundle("demo"), Task("lr", device="cuda")
    there = cluster(CPU=8.0, GPU=2.0)
    assert RayWorkers(bundle, task, "local", None).count == 2
    assert [(one["num_gpus"], one["task"].device) for one in there.asked] == [(1, "cuda")] * 2
    with pytest.raises(UsageError, match="room for 2 workers of 1 threads and a GPU"):
        RayWorkers(bundle, task, "local", 3)
    there = cluster(CPU=8.0)
    with pytest.raises(UsageError, match="room for 0 workers"):
        RayWorkers(bundle, task, "local", None)
    assert RayWorkers(bundle, Task("lr", threads=4), "local", None).count == 2
    assert {one["num_gpus"] for one in there.asked} == {0}
    with pytest.raises(UsageError, match="Ray hands GPUs out"):
        RayWorkers(bundle, Task("lr", device="cuda:1"), "local", None)


def test_a_worker_loads_for_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*given: Any, **options: Any) -> None:
        raise UsageError(f"asked for {given[1:]} {options}")

    monkeypatch.setattr(package, "load", load, raising=False)
    worker = StreamWorker({}, Task("lr", threads=3, device="cuda"), package.__version__)
    assert "('ort', 'cuda', 3) {'precision': 'fp32'}" in worker.run(b"")[1]["message"]


def test_the_command_tells_workers_the_device(
    monkeypatch: pytest.MonkeyPatch, streams: Path, tmp_path: Path
) -> None:
    from latentsr.cli.cluster import batch
    from latentsr.deploy import ray_batch

    def seen(bundle: Bundle, task: Task, *given: object) -> None:
        raise UsageError(f"{task.backend} on {task.device}")

    monkeypatch.setattr(ray_batch, "RayWorkers", seen)
    for backend, words in (("ort", "ort on cpu"), ("ort:cuda", "ort on cuda")):
        with pytest.raises(UsageError, match=words):
            batch([str(streams)], output=tmp_path / "out", backend=backend)
