"""A bundle and its engines: prepared when first needed, given back at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from latentsr.backends import device_picture, get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.backends.precision import load_engine
from latentsr.bundle import Bundle
from latentsr.manifest import Route
from latentsr.pipeline import device_coding, routes

MAX_OWN_THREADS = 8
"""Threads for entropy coding and image steps where the caller names no number."""


class LoadedBundle:
    """Engines, entropy models and the same bundle with other options, for any number of threads.

    `threads`: for entropy coding and image steps. Raises BundleError where a route cannot run.
    """

    def __init__(self, bundle: Bundle, backend: str, options: EngineOptions) -> None:
        self.bundle = bundle
        self.backend, self.options = get_backend(backend), options
        self._engines: dict[str, Engine] = {}
        self._siblings: dict[EngineOptions, Self] = {}
        self._lock = threading.Lock()
        self.threads = options.threads or min(os.cpu_count() or 1, MAX_OWN_THREADS)
        entropy = routes.entropy_models(bundle, self.threads)
        device_coding.attach(entropy.values(), options)
        planes = device_picture.planes_on(options.device)
        self.machine = routes.Machine(bundle, entropy, self.engine, planes)
        for name, route in bundle.manifest.routes.items():
            routes.check(name, route, bundle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the engines' memory back; a later call loads them again."""
        with self._lock:
            self._engines.clear()
            siblings, self._siblings = self._siblings, {}
        for sibling in siblings.values():
            sibling.close()

    def with_options(self, **changes: Any) -> Self:
        """This bundle with some `EngineOptions` changed: made once, and closed with this codec."""
        options = replace(self.options, **changes)
        if options == self.options:
            return self
        with self._lock:
            if options not in self._siblings:
                self._siblings[options] = type(self)(self.bundle, self.backend.name, options)
            return self._siblings[options]

    def engine(self, name: str) -> Engine:
        """The engine of one graph, loaded on first use."""
        with self._lock:
            if name not in self._engines:
                self._engines[name] = load_engine(self.bundle, name, self.backend, self.options)
            return self._engines[name]

    def runs_on(self, route: str | None = None) -> str:
        """Device and library of a route's last graph, or of the bundle's first."""
        graphs = list(self.bundle.manifest.graphs)[:1]
        if route is not None:
            steps = self.bundle.manifest.routes[route].steps
            graphs = [step["graph"] for step in steps if step["op"] == "graph"][-1:]
        return self.engine(graphs[0]).runs_on if graphs else "no engine"

    def load_engines(self, names: Iterable[str], run: routes.Run) -> None:
        """Load those of the engines that are not there yet."""
        missing = [name for name in names if name not in self._engines]
        if missing:
            with run.timeline.stage("load engines", "start"):
                for name in missing:
                    self.engine(name)

    def engines_of(self, route: Route, exact: bool) -> list[str]:
        """Names of the graphs that a route runs; exact: for streams with exact scales."""
        twins = self.bundle.manifest.exact if exact else {}
        graphs = [step["graph"] for step in route.steps if step["op"] == "graph"]
        return [twins.get(graph, graph) for graph in graphs]
