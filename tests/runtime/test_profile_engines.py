"""What the engines measure of their nodes: clocks, files of ONNX Runtime, means of OpenVINO."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import latentsr
from latentsr.backends.base import NodeTime
from latentsr.backends.openvino import ProfiledOpenVinoEngine
from latentsr.backends.ort_profile import origin_us, read_profile
from latentsr.errors import BackendError, UsageError
from latentsr.report.profile import profile_route
from profile_case import PACKAGES, low_picture


def test_origin_is_on_our_clock() -> None:
    for clock in (time.time_ns, time.perf_counter_ns):
        before = time.perf_counter()
        started = clock()
        after = time.perf_counter()
        assert before * 1e6 - 500 <= origin_us(started) <= after * 1e6 + 500


def test_profile_file_with_surprises(tmp_path: Path) -> None:
    good = {"cat": "Node", "name": "n_kernel_time", "ts": 5, "dur": 7,
            "args": {"op_name": "Conv", "provider": "P", "input_type_shape": [{"float": [1, 2]}],
                     "output_type_shape": "none"}}  # fmt: skip
    bad = [None, 3, {"cat": "Session"}, {**good, "name": "n_fence_before"}, {**good, "ts": "5"},
           {**good, "dur": -1}, {**good, "args": None}, {**good, "ts": True}]  # fmt: skip
    path = tmp_path / "p.json"
    path.write_text(json.dumps([*bad, good]))
    node = NodeTime("n", "Conv", "P", 105.0, 7, 1, ((1, 2),), ())
    assert read_profile(path, "g", 100.0) == [node]
    for text in ("[{", "{}", "", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(BackendError, match="profile of engine g cannot be read"):
            read_profile(path, "g", 0.0)


@pytest.mark.parametrize("backend", PACKAGES)
def test_engines_without_profiling_say_so(backend: str) -> None:
    pytest.importorskip(PACKAGES[backend])
    with latentsr.load("demo", backend=backend, threads=1) as codec:
        engine = codec.engine("hyper_analysis")
        for ask in (engine.begin_profile, engine.end_profile):
            with pytest.raises(BackendError, match="loaded without profiling"):
                ask()
        with pytest.raises(UsageError, match="number of runs"):
            profile_route(codec, "encode", low_picture(), 0, 0)


class Counters:
    """A compiled OpenVINO model with one node that ran and one that did not: `means` are its
    mean microseconds over all runs so far, one a question.
    """

    def __init__(self, means: list[int]) -> None:
        self.means, self.outputs = means, ()

    def create_infer_request(self) -> Counters:
        return self

    def infer(self, inputs: object, **options: bool) -> list[np.ndarray]:
        return []

    def get_profiling_info(self) -> list[SimpleNamespace]:
        time = timedelta(microseconds=self.means.pop(0))
        names = {"node_type": "Add", "exec_type": "jit", "EXECUTED": 1, "real_time": time}
        return [SimpleNamespace(node_name=n, status=s, **names) for s, n in enumerate("ab")]


def test_openvino_means_are_taken_apart() -> None:
    engine = ProfiledOpenVinoEngine(Counters([100, 40]), "g")
    assert engine.end_profile() == []
    for _ in range(2):
        engine.run({})
    engine.begin_profile()
    for _ in range(8):
        engine.run({})
    # Ten runs of 40 are 400 in all, 200 of them before: 25 for each of the eight.
    assert engine.end_profile() == [NodeTime("b", "Add", "jit", None, 25.0, 8)]


def test_ort_profile_is_told_once_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with latentsr.load("demo", threads=1, profile=True) as codec:
        engine = codec.engine("hyper_analysis")
        unasked = codec.engine("analysis")
        assert list(tmp_path.iterdir())
        engine.run({"y": np.zeros((1, 96, 4, 4), np.float32)})
        assert engine.end_profile()
        with pytest.raises(BackendError, match="ended already"):
            engine.end_profile()
    del engine, unasked
    assert not list(tmp_path.iterdir())
