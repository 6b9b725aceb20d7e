"""Engines of a wanted precision: which variant of a graph is loaded, and its inputs' type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from latentsr.backends.base import INT8, Backend, Engine, EngineOptions, NodeTime
from latentsr.backends.values import Resident
from latentsr.bundle import Bundle
from latentsr.errors import UsageError
from latentsr.manifest import PRECISIONS


class HalfPorts(Engine):
    """An engine whose graph takes and gives FP16, called with float32 as all engines are.

    What lies on a device is rounded and widened there, where the kernels for it are. Values that
    FP16 cannot hold become infinite, and the picture step refuses them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the engine once on rounded inputs."""
        return _all_as(np.float32, self._engine.run(_all_as(np.float16, inputs)))

    def run_lean(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the engine, on rounded inputs."""
        return _all_as(np.float32, self._engine.run_lean(_all_as(np.float16, inputs)))

    @property
    def runs_on(self) -> str:
        """The engine's own answer."""
        return self._engine.runs_on

    def begin_profile(self) -> None:
        """As the engine."""
        self._engine.begin_profile()

    def end_profile(self) -> list[NodeTime]:
        """As the engine."""
        return self._engine.end_profile()


def _all_as(dtype: type[np.floating[Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as(dtype, value) for name, value in values.items()}


def _as(dtype: type[np.floating[Any]], value: Any) -> Any:
    if isinstance(value, Resident):
        made = value.converted(dtype)
        if made is not None:
            return made
        value = value.to_host()
    with np.errstate(over="ignore"):
        return value.astype(dtype)


def load_engine(bundle: Bundle, name: str, backend: Backend, options: EngineOptions) -> Engine:
    """Load one graph in the precision of the options, or as it is where it has no such variant.

    name: of a graph, or ``graph#k`` for piece k of its window. Raises BundleError, BackendError.
    """
    whole, _, piece = name.partition("#")
    if piece and name not in bundle.manifest.graphs:
        own = _for_graph(bundle, whole, replace(options, precision="fp32"))
        return backend.load(bundle.piece(whole, int(piece)), name, own)
    graph, own = graph_for(bundle, name, options)
    engine = backend.load(graph, name, own)
    variant = bundle.manifest.graphs[name].variants.get(options.precision)
    return HalfPorts(engine) if variant is not None and variant.ports == "fp16" else engine


def graph_for(bundle: Bundle, name: str, options: EngineOptions) -> tuple[bytes, EngineOptions]:
    """A graph's bytes in the precision of the options or as it is, and the options for it alone.

    These have the precision that the bytes really are in, and for graphs that decide scales TF32
    off and `EngineOptions.decides` on.
    """
    manifest = bundle.manifest
    graph = bundle.graph(name, options.precision)
    if options.precision == "fp16" and "fp16" not in manifest.graphs[name].variants:
        options = replace(options, precision="fp32")
    return graph, _for_graph(bundle, name, options)


def _for_graph(bundle: Bundle, name: str, options: EngineOptions) -> EngineOptions:
    if name in (*bundle.manifest.entropy_graphs, *bundle.manifest.exact.values()):
        return replace(options, tf32=False, decides=True)
    return options


def check_precision(bundle: Bundle, precision: str, backend: str = "ort") -> None:
    """Raise UsageError for precisions that are unknown, or in which no graph can run here.

    INT8 is of plans (`latentsr.plans`), not of the bundle.
    """
    known = (*PRECISIONS, INT8)
    if precision not in known:
        raise UsageError(
            f"no such precision: found {precision!r}, expected one of {', '.join(known)}"
        )
    graphs = bundle.manifest.graphs.values()
    if precision == INT8:
        from latentsr.plans.plan import require_int8

        require_int8(bundle, backend)
    elif precision != "fp32" and not any(precision in graph.variants for graph in graphs):
        raise UsageError(
            f"bundle {bundle.manifest.name} has no graphs in {precision}: found fp32 only, "
            f"expected some; export it with --{precision}, or choose fp32"
        )
