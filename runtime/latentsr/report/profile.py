"""Profile of a route: what its stages take, and what the nodes inside each engine take.

Everything adds up: a run is its stages and what lies between them, an engine stage is its nodes
and the engine's own overhead. Times are means over the measured runs, because not every engine
library tells the times of a single run (see `NodeTime`).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentsr.backends.base import Engine, NodeTime
from latentsr.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from latentsr.codec import Codec
    from latentsr.timing import Stage

OVERHEAD = "(engine overhead)"
MAX_RUNS = 1000  # ONNX Runtime drops events beyond a million; a large graph has a thousand nodes


@dataclass(frozen=True)
class MeasuredRun:
    """One run: start in seconds of `time.perf_counter`, wall-clock milliseconds, its stages."""

    start: float
    ms: float
    stages: list[Stage]


@dataclass(frozen=True)
class Profile:
    """Runs of one route with the node times of its engines.

    graphs: of each stage in order, the graph that it ran, or None. nodes: by graph.
    """

    route: str
    runs_on: str
    runs: list[MeasuredRun]
    graphs: list[str | None]
    nodes: dict[str, list[NodeTime]]

    @property
    def ms(self) -> float:
        """Milliseconds of a run."""
        return statistics.fmean(run.ms for run in self.runs)

    def stage_ms(self, number: int) -> float:
        """Milliseconds of one stage."""
        return statistics.fmean(run.stages[number].ms for run in self.runs)

    def graph_ms(self, graph: str) -> float:
        """Milliseconds of all stages of a run that ran this graph."""
        return sum(self.stage_ms(i) for i, name in enumerate(self.graphs) if name == graph)

    def node_ms(self, graph: str) -> float:
        """Milliseconds that the nodes of a graph take together in a run."""
        return sum(node.us * node.runs for node in self.nodes[graph]) / 1e3 / len(self.runs)

    @property
    def engine_ms(self) -> float:
        """Milliseconds of all engine stages of a run."""
        return sum(map(self.graph_ms, self.nodes))

    def as_dict(self, top: int | None = None) -> dict[str, Any]:
        """Figures for JSON: stages, op types, and the `top` nodes that take longest."""
        covered = sum(map(self.node_ms, self.nodes))
        return {
            "route": self.route,
            "runs_on": self.runs_on,
            "runs": len(self.runs),
            "ms": self.ms,
            "median_ms": statistics.median(run.ms for run in self.runs),
            "between_stages_ms": self.ms - sum(map(self.stage_ms, range(len(self.graphs)))),
            "engine_ms": self.engine_ms,
            "node_ms": covered,
            "coverage": _share(covered, self.engine_ms),
            "stages": [self._stage(number) for number in range(len(self.graphs))],
            "op_types": self.by_op_type(),
            "nodes": self.by_node()[:top],
        }

    def _stage(self, number: int) -> dict[str, Any]:
        stage, ms, graph = self.runs[-1].stages[number], self.stage_ms(number), self.graphs[number]
        facts = {"name": stage.name, "kind": stage.kind, "ms": ms,
                 "share_of_route": _share(ms, self.ms), "macs": stage.macs,
                 "gmacs_per_second": _rate(stage.macs, ms)}  # fmt: skip
        if graph is not None:
            coverage = _share(self.node_ms(graph), self.graph_ms(graph))
            facts |= {"graph": graph, "coverage": coverage}
        return facts

    def by_node(self) -> list[dict[str, Any]]:
        """The nodes of all graphs, longest first, and each graph's overhead as one of them."""
        found = []
        for graph, nodes in self.nodes.items():
            same: dict[str, list[NodeTime]] = {}
            for node in nodes:
                same.setdefault(node.name, []).append(node)
            for name, times in same.items():
                found.append({"graph": graph, "node": name, **self._total(times)})
            left = self.graph_ms(graph) - self.node_ms(graph)
            found.append({"graph": graph, "node": OVERHEAD, "op_type": OVERHEAD, "ran_by": "",
                          **self._shares(left), "calls": 0, "macs": 0,
                          "gmacs_per_second": None})  # fmt: skip
        return sorted(found, key=lambda entry: -entry["ms"])

    def by_op_type(self) -> list[dict[str, Any]]:
        """Op types over all graphs, longest first, and the engines' overhead as one of them."""
        found: dict[str, dict[str, Any]] = {}
        for node in self.by_node():
            entry = found.setdefault(node["op_type"], {"ms": 0.0, "calls": 0, "nodes": 0})
            entry["ms"] += node["ms"]
            entry["calls"] += node["calls"]
            entry["nodes"] += node["node"] != OVERHEAD
        rows = [{"op_type": name, **entry, **self._shares(entry["ms"])}
                for name, entry in found.items()]  # fmt: skip
        return sorted(rows, key=lambda entry: -entry["ms"])

    def _total(self, times: list[NodeTime]) -> dict[str, Any]:
        """One node's figures, from all its times."""
        ms = sum(node.us * node.runs for node in times) / 1e3 / len(self.runs)
        calls = sum(node.runs for node in times)
        macs = round(sum(conv_macs(node) * node.runs for node in times) / len(self.runs))
        last = times[-1]
        return {"op_type": last.op_type, "ran_by": last.ran_by, **self._shares(ms),
                "calls": calls, "macs": macs, "gmacs_per_second": _rate(macs, ms),
                "inputs": last.inputs, "outputs": last.outputs}  # fmt: skip

    def _shares(self, ms: float) -> dict[str, float]:
        return {"ms": ms, "share_of_engines": _share(ms, self.engine_ms),
                "share_of_route": _share(ms, self.ms)}  # fmt: skip


def profile_route(
    codec: Codec,
    route: str,
    source: bytes | np.ndarray,
    warmup: int = 3,
    runs: int = 10,
) -> Profile:
    """Run a route `warmup` times unmeasured and `runs` times measured.

    codec: loaded with ``profile=True``; can be profiled once. source: a stream for a decode
    route, a uint8 picture (H, W, 3) for an encode route. Raises UsageError for counts out of
    range or an unknown route, BackendError, and what `Codec.decode` and `Codec.encode` raise.
    """
    if warmup < 0 or not 1 <= runs <= MAX_RUNS:
        raise UsageError(
            f"number of runs is out of range: found {runs} after {warmup} of warm-up, expected "
            f"1..{MAX_RUNS} after 0 or more; choose others"
        )
    steps, call = _prepare(codec, route, source)
    engines = {graph: codec.engine(graph) for graph in steps.values()}
    for _ in range(warmup):
        call()
    for engine in engines.values():
        engine.begin_profile()
    measured = [_measure(codec, call) for _ in range(runs)]
    nodes = {graph: engine.end_profile() for graph, engine in engines.items()}
    # What the codec does before and after the steps, as opening the stream, runs no graph.
    graphs = [steps.get(stage.name) for stage in measured[0].stages]
    return Profile(route, _runs_on(engines), measured, graphs, nodes)


def _prepare(
    codec: Codec, route: str, source: bytes | np.ndarray
) -> tuple[dict[str, str], Callable[[], object]]:
    """The graphs of the route's steps by the name of their stage, and the call to measure."""
    call: Callable[[], object]
    if isinstance(source, bytes):
        steps = codec.bundle.route(route, "decode").steps
        exact, call = codec.open_stream(source).exact, lambda: codec.decode(source, route)
    else:
        steps = codec.bundle.route(route, "encode").steps
        exact, call = True, lambda: codec.encode(source, route)
    twins = codec.bundle.manifest.exact if exact else {}
    graphs = [step["graph"] for step in steps if step["op"] == "graph"]
    return {name: twins.get(name, name) for name in graphs}, call


def _measure(codec: Codec, call: Callable[[], object]) -> MeasuredRun:
    start = time.perf_counter()
    call()
    return MeasuredRun(start, (time.perf_counter() - start) * 1e3, codec.timeline.stages)


def _runs_on(engines: dict[str, Engine]) -> str:
    return ", ".join(sorted({engine.runs_on for engine in engines.values()})) or "no engine"


def conv_macs(node: NodeTime) -> int:
    """Multiply-accumulate operations of a convolution whose shapes are known, otherwise 0.

    Counted as the library runs it: ONNX Runtime pads outputs to a multiple of its block, so that
    3 channels count as 16. Transposed convolutions are left out: it does not tell their weights'
    shape.
    """
    if node.op_type not in ("Conv", "FusedConv") or len(node.inputs) < 2 or not node.outputs:
        return 0
    # Weights are (out, in / groups, kernel height, kernel width).
    return math.prod(node.outputs[0]) * math.prod(node.inputs[1][1:])


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _rate(macs: int, ms: float) -> float | None:
    """10⁹ MACs a second."""
    return macs / ms / 1e6 if macs and ms else None
