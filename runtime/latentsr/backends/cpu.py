"""The CPU backend that follows plans: for each graph the library and form that won here.

`latentsr build --backend cpu` measures and writes the plans. A graph without one runs on ONNX
Runtime as shipped, and `runs_on` says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from latentsr.backends.base import INT8, Backend, Engine, EngineOptions, NodeTime
from latentsr.plans.cache import Cache
from latentsr.plans.plan import AS_SHIPPED, Choice, Plan, digest, find_plan

_log = logging.getLogger("latentsr")


class PlannedEngine(Engine):
    """The engines that a plan chose for one graph, by the shapes of the inputs."""

    def __init__(self, plan: Plan, graph: bytes, label: str, options: EngineOptions) -> None:
        self._plan = plan
        self._graph, self._label, self._options = graph, label, options
        self._engines: dict[int, tuple[Engine, Choice]] = {}
        self._lock = threading.Lock()
        self._last = self._engine(plan.choices[0])

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the engine for these shapes, loaded when they first come."""
        self._last = self._engine(self._plan.choose(inputs))
        return self._last[0].run(inputs)

    def run_lean(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As the engine for these shapes."""
        self._last = self._engine(self._plan.choose(inputs))
        return self._last[0].run_lean(inputs)

    @property
    def runs_on(self) -> str:
        """The last engine's own answer, and its form."""
        engine, choice = self._last
        return f"{engine.runs_on}, {choice.form} ({choice.precision} plan)"

    def begin_profile(self) -> None:
        """As the general choice's engine."""
        self._engine(self._plan.choices[0])[0].begin_profile()

    def end_profile(self) -> list[NodeTime]:
        """As the general choice's engine; those for special shapes are not in it."""
        return self._engine(self._plan.choices[0])[0].end_profile()

    def _engine(self, choice: Choice) -> tuple[Engine, Choice]:
        with self._lock:
            if id(choice) not in self._engines:
                self._engines[id(choice)] = load_choice(
                    choice, self._graph, self._label, self._options
                )
            return self._engines[id(choice)]


class Unplanned(Engine):
    """An engine as shipped, that says so."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As the engine."""
        return self._engine.run(inputs)

    def run_lean(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As the engine."""
        return self._engine.run_lean(inputs)

    @property
    def runs_on(self) -> str:
        """The engine's own answer."""
        return f"{self._engine.runs_on}, as shipped (no plan)"

    def begin_profile(self) -> None:
        """As the engine."""
        self._engine.begin_profile()

    def end_profile(self) -> list[NodeTime]:
        """As the engine."""
        return self._engine.end_profile()


class CpuBackend(Backend):
    """The engine libraries for CPUs, as plans say."""

    name = "cpu"
    package = "onnxruntime"
    counts_callers = True

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = Cache() if cache is None else cache

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Load a graph as its plan says; of a stale or damaged plan one line is logged."""
        options = replace(options, cache=self._cache)
        sha256 = digest(graph)
        # Graphs that INT8 is not for, exact ones among them, have plans in FP32 alone.
        wanted = (INT8, "fp32") if options.precision == INT8 else ("fp32",)
        for precision in wanted:
            plan, reason = find_plan(self._cache, sha256, precision)
            if reason is not None:
                _log.warning("graph %s runs without its plan: %s; run latentsr build again",
                             label, reason)  # fmt: skip
            if plan is not None:
                return PlannedEngine(plan, graph, label, options)
        return Unplanned(_library("ort").load(graph, label, options))


def load_choice(
    choice: Choice, graph: bytes, label: str, options: EngineOptions
) -> tuple[Engine, Choice]:
    """The engine of a choice; the graph as shipped where its derived one is gone or damaged.

    Threads that the caller asks for take the place of those that won.
    """
    if choice.graph is not None:
        cache = Cache() if options.cache is None else options.cache
        entry, reason = cache.find(form_name(choice.graph), form_facts(choice.graph))
        if entry is None or digest(entry.data) != choice.graph:
            _log.warning("graph %s runs as shipped: %s; run latentsr build again",
                         label, reason or "its rewritten form is gone")  # fmt: skip
            choice = replace(choice, form=AS_SHIPPED, graph=None)
        else:
            graph = entry.data
    threads = choice.threads if options.threads is None else options.threads
    fixed = choice.shapes if choice.fixed else None
    chosen = replace(options, threads=threads, fixed=fixed)
    return _library(choice.library).load(graph, label, chosen), choice


def form_name(sha256: str) -> str:
    """The cache entry of a derived graph."""
    return f"form-{sha256[:32]}"


def form_facts(sha256: str) -> dict[str, str]:
    """What a derived graph is: its own hash."""
    return {"sha256": sha256}


def _library(name: str) -> Backend:
    from latentsr.backends import get_backend

    return get_backend(name)
