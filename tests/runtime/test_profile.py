"""Profiles: every millisecond is in a stage, a node or an overhead, on both backends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import latentsr
from latentsr.backends.base import NodeTime
from latentsr.backends.openvino import ProfiledOpenVinoEngine
from latentsr.backends.ort_profile import origin_us, read_profile
from latentsr.bundle import DEMO
from latentsr.errors import BackendError, UsageError
from latentsr.report.profile import OVERHEAD, MeasuredRun, Profile, conv_macs, profile_route
from latentsr.report.trace import MEAN, NODES, ROUTE, RUNS, STAGES, trace
from latentsr.timing import Stage

COMMAND = Path(sys.executable).with_name("latentsr")
PACKAGES = {"ort": "onnxruntime", "openvino": "openvino"}
WARMUP, MEASURED = 2, 3


@dataclass
class Case:
    """A profile, its trace, and the backend that it was made with."""

    backend: str
    profile: Profile
    trace: dict[str, Any]


def low_picture() -> np.ndarray:
    """The shipped picture, reduced to an odd size."""
    with Image.open(DEMO.parent / "coffee.png") as image:
        return np.asarray(image.resize((149, 101)))


def source_of(route: str) -> bytes | np.ndarray:
    with latentsr.load("demo", threads=1) as codec:
        return low_picture() if route == "encode" else codec.encode(low_picture())


@pytest.fixture(
    scope="module",
    params=[(b, r) for b in PACKAGES for r in ("latent_x4", "encode")],
    ids="-".join,
)
def case(request: pytest.FixtureRequest) -> Case:
    backend, route = request.param
    if find_spec(PACKAGES[backend]) is None:
        pytest.skip(f"{PACKAGES[backend]} is not installed")
    with latentsr.load("demo", backend=backend, threads=1, profile=True) as codec:
        profile = profile_route(codec, route, source_of(route), WARMUP, MEASURED)
    # Through text, as a reader gets it.
    return Case(backend, profile, json.loads(json.dumps(trace(profile), allow_nan=False)))


def events(case: Case, process: int, thread: int) -> list[dict[str, Any]]:
    found = [e for e in case.trace["traceEvents"] if e["ph"] == "X"]
    return [e for e in found if (e["pid"], e["tid"]) == (process, thread)]


def test_trace_obeys_the_format(case: Case) -> None:
    tracks = set()
    for event in case.trace["traceEvents"]:
        assert isinstance(event["name"], str) and event["name"]
        assert event["ph"] in ("X", "M")
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert isinstance(event["args"], dict)
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0
            tracks.add((event["pid"], event["tid"]))
    named = [e for e in case.trace["traceEvents"] if e["name"] == "thread_name"]
    assert tracks <= {(e["pid"], e["tid"]) for e in named}
    processes = [e["pid"] for e in case.trace["traceEvents"] if e["name"] == "process_name"]
    assert {process for process, _ in tracks} == set(processes)


def test_stages_lie_in_their_runs(case: Case) -> None:
    runs, stages = events(case, RUNS, ROUTE), events(case, RUNS, STAGES)
    assert len(runs) == MEASURED and runs[0]["ts"] == 0
    steps = len(case.profile.graphs)
    assert len(stages) == MEASURED * steps
    for number, stage in enumerate(stages):
        run = runs[number // steps]
        assert run["ts"] <= stage["ts"]
        assert stage["ts"] + stage["dur"] <= run["ts"] + run["dur"] + 0.01
    for before, after in pairwise(stages):
        assert before["ts"] + before["dur"] <= after["ts"] + 0.01


def test_nodes_lie_in_stages_of_their_graph(case: Case) -> None:
    process = RUNS if case.backend == "ort" else MEAN
    stages, nodes = events(case, process, STAGES), events(case, process, NODES)
    graphs = case.profile.graphs
    engines = [
        (s, graphs[i % len(graphs)]) for i, s in enumerate(stages) if graphs[i % len(graphs)]
    ]
    assert nodes and engines
    # Clocks are read in whole microseconds: each node may be one off, its stage's end with it.
    slack = len(nodes) if process == MEAN else 5
    for node in nodes:
        homes = [
            graph
            for stage, graph in engines
            if stage["ts"] - slack <= node["ts"]
            and node["ts"] + node["dur"] <= stage["ts"] + stage["dur"] + slack
        ]
        assert node["args"]["graph"] in homes
    for before, after in pairwise(nodes):
        if before["args"]["graph"] == after["args"]["graph"]:
            assert before["ts"] + before["dur"] <= after["ts"] + 2
    assert not events(case, RUNS if process == MEAN else MEAN, NODES)


def test_only_measured_runs_are_counted(case: Case) -> None:
    for graph, nodes in case.profile.nodes.items():
        assert graph in case.profile.graphs
        counted: dict[str, int] = {}
        for node in nodes:
            counted[node.name] = counted.get(node.name, 0) + node.runs
        assert counted and set(counted.values()) == {MEASURED}


def test_everything_adds_up(case: Case) -> None:
    facts = case.profile.as_dict()
    assert sum(s["ms"] for s in facts["stages"]) + facts["between_stages_ms"] == pytest.approx(
        facts["ms"]
    )
    engines = [s for s in facts["stages"] if "graph" in s]
    assert sum(s["ms"] for s in engines) == pytest.approx(facts["engine_ms"])
    for rows in (facts["nodes"], facts["op_types"]):
        assert sum(row["ms"] for row in rows) == pytest.approx(facts["engine_ms"])
        assert sum(row["share_of_engines"] for row in rows) == pytest.approx(1)
        assert [row["ms"] for row in rows] == sorted((row["ms"] for row in rows), reverse=True)
    assert 0.05 < facts["coverage"] <= 1.02
    assert all(0 < stage["coverage"] <= 1.02 for stage in engines)
    assert {row["graph"] for row in facts["nodes"] if row["node"] == OVERHEAD} == set(
        case.profile.nodes
    )
    assert facts["nodes"][:2] == case.profile.as_dict(top=2)["nodes"]


def test_graphs_are_those_that_ran(case: Case) -> None:
    graphs = [graph for graph in case.profile.graphs if graph]
    first = ["analysis", "hyper_analysis"] if case.profile.route == "encode" else []
    last = [] if case.profile.route == "encode" else ["latent_sr"]
    # The demo's streams are exact: its float graph must not be what is profiled.
    assert graphs == [*first, "entropy_parameters_exact", *last]
    stages = case.profile.as_dict()["stages"]
    assert all(stage["gmacs_per_second"] > 0 for stage in stages if stage["kind"] == "engine")


def test_conv_macs_agree_with_the_manifest() -> None:
    with latentsr.load("demo", threads=1, profile=True) as codec:
        profile = profile_route(codec, "encode", low_picture(), 0, 1)
    stages = profile.as_dict()["stages"]
    stated = {stage["graph"]: stage["macs"] for stage in stages if "graph" in stage}
    for graph in ("analysis", "hyper_analysis"):  # these have no other kind of layer with MACs
        assert sum(map(conv_macs, profile.nodes[graph])) == stated[graph]
    grouped = NodeTime("c", "Conv", "", None, 1.0, 1, ((1, 8, 5, 5), (8, 2, 3, 3)), ((1, 8, 5, 5),))
    assert conv_macs(grouped) == 8 * 25 * 2 * 9
    assert conv_macs(NodeTime("c", "Conv", "", None, 1.0)) == 0


def test_shares_of_a_made_up_profile() -> None:
    """A graph that runs twice a run, one of its nodes timed by run, the other by the mean."""
    stages = [Stage("g", "engine", 3.0, 4_000_000, 1.0), Stage("crop", "image", 1.0, 0, 1.003),
              Stage("g", "engine", 5.0, 8_000_000, 1.004)]  # fmt: skip
    runs = [MeasuredRun(1.0, 10.0, stages), MeasuredRun(2.0, 10.0, stages)]
    nodes = [NodeTime("a", "Conv", "k", 1e6, 1000.0), NodeTime("a", "Conv", "k", 2e6, 2000.0),
             NodeTime("b", "Add", "k", None, 500.0, 4)]  # fmt: skip
    profile = Profile("r", "engine", runs, ["g", None, "g"], {"g": nodes})
    facts = profile.as_dict()
    assert [(row["node"], row["ms"], row["calls"]) for row in facts["nodes"]] == [
        (OVERHEAD, 5.5, 0), ("a", 1.5, 2), ("b", 1.0, 4)
    ]  # fmt: skip
    assert facts["between_stages_ms"] == 1.0 and facts["coverage"] == 2.5 / 8
    assert facts["nodes"][1]["share_of_engines"] == 1.5 / 8
    assert facts["nodes"][1]["share_of_route"] == 0.15
    assert facts["stages"][2]["gmacs_per_second"] == pytest.approx(1.6)


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


def run_cli(
    folder: Path, *arguments: object, code: int = 0, **changes: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(COMMAND), "profile", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, **changes},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def files(folder: Path) -> set[Path]:
    """All below a folder, but a file that ONNX Runtime keeps among the temporary ones."""
    return {path for path in folder.rglob("*") if path.name != ".ses"}


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A folder with a picture, its stream, an empty place for temporary files."""
    Image.fromarray(low_picture()).save(tmp_path / "a.png")
    (tmp_path / "a.lss").write_bytes(source_of("lr"))  # type: ignore[arg-type] - a stream
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_command(folder: Path) -> None:
    few = ("--threads", 1, "--warmup", 1, "--runs", 2)
    done = run_cli(folder, "demo", "a.lss", *few, "--top", 4, "--trace", "t.json", "--json")
    facts = json.loads(done.stdout)
    assert set(facts) == {
        "route", "runs_on", "runs", "ms", "median_ms", "between_stages_ms", "engine_ms", "node_ms",
        "coverage", "stages", "op_types", "nodes", "bundle", "input", "threads", "warmup", "trace",
    }  # fmt: skip
    assert facts["route"] == "latent_x4" and facts["runs"] == 2 and facts["warmup"] == 1
    assert len(facts["nodes"]) == 4 and facts["trace"] == "t.json"
    assert set(facts["nodes"][0]) >= {
        "graph", "node", "op_type", "ran_by", "ms", "share_of_engines", "share_of_route", "calls",
        "macs", "gmacs_per_second",
    }  # fmt: skip
    assert len(json.loads((folder / "t.json").read_text())["traceEvents"]) > 100
    done = run_cli(folder, "demo", "a.png", *few, "--trace", "t.json", TMPDIR="temporary")
    assert OVERHEAD in done.stdout and "coverage" in done.stdout
    size = (folder / "t.json").stat().st_size
    assert done.stdout.splitlines()[-1] == f"t.json: {size} bytes"
    assert not files(folder / "temporary")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "a.lss", "--route", "x9"], "no such route: found 'x9', expected one of bicubic"),
        (["demo", "a.lss", "--route", "encode"], "not a picture"),
        (["demo", "text.lss"], "not a latentsr stream"),
        (["demo", "none.lss"], "No such file"),
        (["demo", "text.png"], "picture"),
        (["demo", "cut.lss"], "stream"),
        (["none.lsr", "a.lss"], "no bundle there"),
        (["demo", "a.lss", "--backend", "abacus"], "expected one of ort"),
        (["demo", "a.lss", "--runs", "0"], "number of runs"),
        (["demo", "a.lss", "--runs", "1001"], "number of runs"),
        (["demo", "a.lss", "--warmup", "-1"], "number of runs"),
        (["demo", "a.lss", "--top", "0"], "length of the list"),
        (["demo", "a.lss", "--runs", "1", "--trace", "none/t.json"], "cannot be written"),
    ],
)
def test_bad_input(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "text.png").write_text("hello")
    (folder / "text.lss").write_text("hello")
    (folder / "cut.lss").write_bytes((folder / "a.lss").read_bytes()[:-9])
    before = files(folder)
    extra = [] if "none/t.json" in arguments else ["--trace", "t.json"]
    done = run_cli(folder, *arguments, "--threads", "1", *extra, code=2, TMPDIR="temporary")
    assert message in " ".join(done.stderr.split())
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert not done.stdout
    assert files(folder) == before


@pytest.mark.parametrize("backend", PACKAGES)
def test_missing_engine_library(folder: Path, backend: str) -> None:
    # A package of that name that cannot be imported, before the installed one.
    (folder / f"{PACKAGES[backend]}.py").write_text("raise ImportError")
    arguments = ("demo", "a.lss", "--backend", backend, "--trace", "t.json")
    done = run_cli(folder, *arguments, code=2, PYTHONPATH=str(folder))
    assert f"found no {PACKAGES[backend]}" in done.stderr and "pip install" in done.stderr
    assert not (folder / "t.json").exists()
