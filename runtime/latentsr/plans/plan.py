"""The plan of one graph: which library runs it, in which form, with how many threads.

A plan is an entry of the cache (`latentsr.plans.cache`) whose payload is one JSON object::

    choices   [{shapes: {input: [n, c, h, w]} or null, library, form, graph, threads, fixed,
               figures}]; the first one is for any shapes, the others for theirs
    sizes     coded sizes [width, height] that it was measured on

`graph` is the SHA-256 of a derived graph in the cache, null for the graph as shipped. `fixed`: the
engine is compiled for these shapes only. The cache is untrusted, so every field is checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from latentsr.backends.base import INT8, Shape
from latentsr.bundle import Bundle
from latentsr.errors import UsageError
from latentsr.plans.cache import Cache, Entry
from latentsr.plans.facts import LIBRARIES, libraries, processor

FORMAT = 1
AS_SHIPPED = "as shipped"
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_CHOICES = 64
_MOST_FIGURE = 1e300


@dataclass(frozen=True)
class Choice:
    """How a graph is run: for inputs of these shapes, or of any where `shapes` is None.

    graph: SHA-256 of a derived graph, None for the one as shipped. figures: what was measured,
    ``before_ms``, ``after_ms``, ``ratio`` and more.
    """

    library: str
    form: str = AS_SHIPPED
    graph: str | None = None
    threads: int | None = None
    shapes: Mapping[str, Shape] | None = None
    fixed: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        """What the form computes in."""
        return INT8 if self.form.startswith(INT8) else "fp32"

    @property
    def way(self) -> tuple[object, ...]:
        """All that decides how the graph is run; equal ways need one engine."""
        return self.library, self.form, self.graph, self.threads, self.fixed

    def describe(self) -> str:
        """In a few words."""
        count = self.threads
        threads = "" if count is None else f", {count} thread{'s' if count > 1 else ''}"
        more = ", fixed shapes" if self.fixed else ""
        return f"{self.library}, {self.form}{threads}{more}"


@dataclass(frozen=True)
class Plan:
    """All choices for one graph; the first is for any shapes."""

    choices: tuple[Choice, ...]
    sizes: tuple[tuple[int, int], ...]

    def choose(self, inputs: Mapping[str, np.ndarray]) -> Choice:
        """The choice for these inputs."""
        for choice in self.choices[1:]:
            if choice.shapes == {name: array.shape for name, array in inputs.items()}:
                return choice
        return self.choices[0]

    def has(self, precision: str) -> bool:
        """Whether any choice computes in it; a plan for INT8 has none where INT8 does not pay."""
        return any(choice.precision == precision for choice in self.choices)

    def to_bytes(self) -> bytes:
        """The payload."""
        whole = {"choices": [asdict(choice) for choice in self.choices], "sizes": self.sizes}
        return json.dumps(whole, indent=1).encode()


def digest(graph: bytes) -> str:
    """SHA-256 of a graph's bytes."""
    return hashlib.sha256(graph).hexdigest()


def plan_name(graph_hash: str, precision: str) -> str:
    """The cache entry of a graph's plan."""
    return f"cpu-{graph_hash[:24]}-{precision}"


def plan_facts(graph_hash: str, precision: str) -> dict[str, Any]:
    """What a plan made here is valid for: graph, precision, processor, cores, library versions."""
    return {"plan": FORMAT, "graph": graph_hash, "precision": precision, **processor(),
            **{f"{name} version": version for name, version in libraries().items()}}  # fmt: skip


def find_plan(cache: Cache, graph_hash: str, precision: str) -> tuple[Plan | None, str | None]:
    """The plan of a graph, or None and why a plan that lies there cannot be used."""
    name = plan_name(graph_hash, precision)
    entry, reason = cache.find(name, plan_facts(graph_hash, precision))
    if entry is None:
        return None, reason
    try:
        return read_plan(entry), None
    except ValueError as error:
        return None, f"{name} is damaged: {error}"


def read_plan(entry: Entry) -> Plan:
    """The plan that an entry holds; ValueError where it is none."""
    try:
        return _plan(json.loads(entry.data))
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} {error}"[:200]) from None


def _plan(raw: Mapping[str, Any]) -> Plan:
    choices, sizes = raw["choices"], raw["sizes"]
    if not isinstance(choices, list) or not 1 <= len(choices) <= _MOST_CHOICES:
        raise ValueError("no list of choices")
    found = tuple(_choice(item) for item in choices)
    if found[0].shapes is not None or any(choice.shapes is None for choice in found[1:]):
        raise ValueError("choices in the wrong order")
    return Plan(found, tuple((int(width), int(height)) for width, height in sizes))


def row(name: str, choice: Choice) -> dict[str, Any]:
    """One line of the report: graph, shapes, milliseconds, ratio, share of the sgemm rate."""
    figures = choice.figures
    return {
        "graph": name, "precision": choice.precision, "for": choice.shapes and dict(choice.shapes),
        "measured_on": figures.get("shapes"), "gmacs": figures.get("gmacs"),
        "before_ms": figures.get("before_ms"), "after_ms": figures.get("after_ms"),
        "ratio": figures.get("ratio"), "sgemm_before": figures.get("sgemm_before"),
        "sgemm_after": figures.get("sgemm_after"), "chosen": choice.describe(),
        "kept_fp32": figures.get("kept_fp32", []),
    }  # fmt: skip


def planned(bundle: Bundle, precision: str, cache: Cache | None = None) -> dict[str, Plan]:
    """Usable plans of a bundle's graphs in this precision, by graph name."""
    known = Cache() if cache is None else cache
    found = {}
    for name, graph in bundle.manifest.graphs.items():
        plan, _ = find_plan(known, bundle.manifest.files[graph.file].sha256, precision)
        if plan is not None:
            found[name] = plan
    return found


def require_int8(bundle: Bundle, backend: str) -> None:
    """Raise UsageError where INT8 was not built here: no graph falls back to FP32 in silence."""
    if backend != "cpu":
        raise UsageError(
            f"backend {backend} has no int8: found precision int8 asked for, expected backend cpu; "
            "choose backend cpu, or fp32"
        )
    if not any(plan.has(INT8) for plan in planned(bundle, INT8).values()):
        raise UsageError(
            f"bundle {bundle.manifest.name} has no graphs in int8 here: found no plan for this "
            "machine, expected one; run: latentsr build BUNDLE --backend cpu --int8"
        )


def _choice(item: Mapping[str, Any]) -> Choice:
    library, form, graph, threads = (item[k] for k in ("library", "form", "graph", "threads"))
    if library not in LIBRARIES or not isinstance(form, str):
        raise ValueError(f"library {library!r}, form {form!r}")
    if graph is not None and not (isinstance(graph, str) and _HASH.fullmatch(graph)):
        raise ValueError(f"graph {graph!r}")
    if threads is not None and not (type(threads) is int and 1 <= threads <= 4096):
        raise ValueError(f"threads {threads!r}")
    shapes = item["shapes"]
    if shapes is not None:
        shapes = {str(name): _shape(shape) for name, shape in shapes.items()}
    fixed = item["fixed"] is True and shapes is not None
    return Choice(library, form[:80], graph, threads, shapes, fixed, _figures(item["figures"]))


def _figures(found: Any) -> dict[str, Any]:
    """What was measured, as far as it is what `tune` writes: numbers, shapes, names of layers."""
    good: dict[str, Any] = {}
    for key, value in found.items() if isinstance(found, dict) else ():
        if key == "shapes" and isinstance(value, dict):
            good[key] = {str(name): list(_shape(shape)) for name, shape in value.items()}
        elif key == "kept_fp32" and isinstance(value, list):
            good[key] = [str(name) for name in value]
        elif type(value) in (int, float) and abs(value) < _MOST_FIGURE:  # NaN is not, either
            good[key] = value
    return good


def _shape(shape: Sequence[Any]) -> Shape:
    if not all(type(side) is int and 0 < side < 1 << 31 for side in shape):
        raise ValueError(f"shape {shape!r}")
    return tuple(shape)
