"""Profiles: every millisecond is in a stage, a node or an overhead, on both backends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest

import latentsr
from latentsr.backends.base import NodeTime
from latentsr.report.profile import OVERHEAD, MeasuredRun, Profile, conv_macs, profile_route
from latentsr.report.trace import MEAN, NODES, ROUTE, RUNS, STAGES, trace
from latentsr.timing import Stage
from profile_case import PACKAGES, low_picture, source_of

WARMUP, MEASURED = 2, 3


@dataclass
class Case:
    """A profile, its trace, and the backend that it was made with."""

    backend: str
    profile: Profile
    trace: dict[str, Any]


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
