"""A profile as a trace for Perfetto and chrome://tracing (JSON of the Trace Event Format).

The runs are one process with a track each for runs, stages and nodes. Where the engine library
tells no starts, its nodes are in a second process, the mean run: stages and nodes at their mean
length, one after another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentsr.backends.base import NodeTime
from latentsr.files import write_bytes
from latentsr.report.profile import Profile, conv_macs

Event = dict[str, Any]
RUNS, MEAN = 1, 2  # processes
ROUTE, STAGES, NODES = 1, 2, 3  # threads of each


def write_trace(profile: Profile, path: Path) -> None:
    """Write the trace, atomically; UsageError where `path` cannot be written."""
    write_bytes(path, json.dumps(trace(profile)).encode())


def trace(profile: Profile) -> dict[str, Any]:
    """The whole trace; times are microseconds since the first measured run began."""
    origin = profile.runs[0].start * 1e6
    timed = [*_runs(profile, origin), *_timed_nodes(profile, origin)]
    title = f"{profile.route} on {profile.runs_on}"
    events = [*_names(RUNS, title), *timed]
    if any(node.start_us is None for nodes in profile.nodes.values() for node in nodes):
        about = f"mean of {len(profile.runs)} runs, laid out one after another: {title}"
        events += [*_names(MEAN, about), *_mean_run(profile)]
    return {"traceEvents": events, "displayTimeUnit": "ms",
            "otherData": profile.as_dict(top=0)}  # fmt: skip


def _runs(profile: Profile, origin: float) -> Iterator[Event]:
    for number, run in enumerate(profile.runs, 1):
        start = run.start * 1e6 - origin
        yield _event(f"run {number}", "route", start, run.ms * 1e3, (RUNS, ROUTE))
        for stage, graph in zip(run.stages, profile.graphs, strict=True):
            begin = stage.start * 1e6 - origin
            args = {"macs": stage.macs, "graph": graph} if graph else {}
            yield _event(stage.name, stage.kind, begin, stage.ms * 1e3, (RUNS, STAGES), args)


def _timed_nodes(profile: Profile, origin: float) -> Iterator[Event]:
    for graph, nodes in profile.nodes.items():
        for node in nodes:
            if node.start_us is not None:
                yield _node(node, graph, node.start_us - origin, (RUNS, NODES))


def _mean_run(profile: Profile) -> Iterator[Event]:
    """Stages without the time between them, so that the parts lie edge to edge."""
    lengths = [profile.stage_ms(number) * 1e3 for number in range(len(profile.graphs))]
    yield _event("mean run", "route", 0.0, sum(lengths), (MEAN, ROUTE))
    start = 0.0
    for stage, graph, length in zip(profile.runs[-1].stages, profile.graphs, lengths, strict=True):
        yield _event(stage.name, stage.kind, start, length, (MEAN, STAGES))
        begin = start
        for node in profile.nodes.get(graph or "", ()):
            if node.start_us is None:
                yield _node(node, graph or "", begin, (MEAN, NODES))
                begin += node.us
        start += length


def _node(node: NodeTime, graph: str, start: float, track: tuple[int, int]) -> Event:
    args = {"op_type": node.op_type, "ran_by": node.ran_by, "graph": graph,
            "inputs": node.inputs, "outputs": node.outputs, "mean_of_runs": node.runs,
            "macs": conv_macs(node)}  # fmt: skip
    return _event(
        node.name, node.op_type, start, node.us, track, {k: v for k, v in args.items() if v}
    )


def _event(
    name: str, kind: str, start: float, us: float, track: tuple[int, int],
    args: dict[str, Any] | None = None,
) -> Event:  # fmt: skip
    """A complete event: it has a start and a duration, both in microseconds."""
    return {"name": name, "cat": kind, "ph": "X", "ts": round(start, 3), "dur": round(us, 3),
            "pid": track[0], "tid": track[1], "args": args or {}}  # fmt: skip


def _names(process: int, title: str) -> Iterator[Event]:
    yield {"name": "process_name", "ph": "M", "ts": 0, "pid": process, "tid": 0,
           "args": {"name": title}}  # fmt: skip
    for thread, label in ((ROUTE, "runs"), (STAGES, "stages"), (NODES, "engine nodes")):
        yield {"name": "thread_name", "ph": "M", "ts": 0, "pid": process, "tid": thread,
               "args": {"name": label}}  # fmt: skip
        yield {"name": "thread_sort_index", "ph": "M", "ts": 0, "pid": process, "tid": thread,
               "args": {"sort_index": thread}}  # fmt: skip
