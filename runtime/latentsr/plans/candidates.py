"""Candidates for one graph on one size: libraries × forms, each checked against the plain graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.errors import BackendError
from latentsr.plans.facts import cores, libraries
from latentsr.plans.forms import Form, Sample
from latentsr.plans.plan import Choice, digest

CLOSE = 1e-4
"""Largest difference of an FP32 form from the plain graph, as a share of the largest magnitude."""


@dataclass(frozen=True)
class Candidate:
    """A choice and its engine, loaded. graph: the ONNX bytes that it runs, form: if derived."""

    choice: Choice
    engine: Engine
    graph: bytes
    form: Form | None = None

    def run(self, sample: Sample) -> Callable[[], object]:
        """The engine's run on a sample, for the clock."""
        return lambda: self.engine.run(sample)


def baseline_library() -> str:
    """The library that runs graphs where nothing is chosen; BackendError where there is none."""
    found = libraries()
    for name in ("ort", "openvino"):
        if name in found:
            return name
    raise BackendError(
        "engine library is missing: found neither onnxruntime nor openvino, expected one; run: "
        "pip install 'latentsr[cpu]'"
    )


def load(choice: Choice, graph: bytes, label: str, form: Form | None = None) -> Candidate:
    """Load a candidate. Raises BackendError where the library refuses it."""
    fixed = choice.shapes if choice.fixed else None
    data = graph if form is None else form.graph
    options = EngineOptions(threads=choice.threads, fixed=fixed)
    return Candidate(choice, get_backend(choice.library).load(data, label, options), data, form)


def candidates(
    graph: bytes, label: str, forms: Sequence[Form], sample: Sample, fixed: bool
) -> tuple[list[Candidate], list[str]]:
    """All that load and run: every library with every form; and a line for each that does not.

    fixed: also with shapes compiled in, for libraries that gain by it.
    """
    found, notes = [], []
    shapes = {name: array.shape for name, array in sample.items()}
    for library in libraries():
        for form in (None, *forms):
            name = Choice.form if form is None else form.name
            plain = Choice(library, name, None if form is None else digest(form.graph))
            ways = [plain]
            if fixed and library == "openvino":
                ways.append(replace(plain, shapes=shapes, fixed=True))
            for choice in ways:
                try:
                    candidate = load(choice, graph, label, form)
                    candidate.engine.run(sample)
                except BackendError as error:
                    notes.append(f"{label}: {choice.describe()} is left out: {error}")
                    continue
                found.append(candidate)
    return found, notes


def thread_counts() -> list[int]:
    """Thread counts to try: powers of two, and all cores."""
    powers = [1 << k for k in range(cores().bit_length()) if 1 << k <= cores()]
    return sorted({*powers, cores()})


def with_threads(winner: Candidate, graph: bytes, label: str) -> list[Candidate]:
    """The winner with other thread counts."""
    return [
        load(replace(winner.choice, threads=count), graph, label, winner.form)
        for count in thread_counts()
    ]


def deviation(reference: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
    """Largest difference over all outputs, each as a share of its largest magnitude."""
    worst = 0.0
    for name, values in reference.items():
        made = found.get(name)
        if made is None or made.shape != values.shape or not np.isfinite(made).all():
            return float("inf")
        peak = max(float(np.abs(values).max(initial=0.0)), 1e-30)
        worst = max(worst, float(np.abs(made - values).max(initial=0.0)) / peak)
    return worst
