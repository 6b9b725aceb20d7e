"""Tuning one graph: rank the candidates, check the winner, compare it with what ran before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from latentsr.errors import BackendError
from latentsr.manifest import Graph
from latentsr.plans import measure
from latentsr.plans.candidates import (
    CLOSE,
    Candidate,
    baseline_library,
    candidates,
    deviation,
    load,
    with_threads,
)
from latentsr.plans.forms import Form, Sample
from latentsr.plans.plan import Choice

LEAST_GAIN = 1.03
LEAST_SAVED_MS = 0.2
"""A choice that is not faster by both is noise, or not worth a second library: the graph stays as
it was. Loading OpenVINO beside ONNX Runtime takes a tenth of a second and 30 MiB.
"""

Accept = Callable[[Candidate], bool]


@dataclass
class Subject:
    """A graph to tune: its file, name, manifest entry, samples of its inputs by size, forms.

    exact: its outputs decide scale indexes, so a candidate must give the same bits. before: what a
    candidate for a sample, for its shapes alone or for any, is compared with, None for the graph as
    shipped. accept: whether a candidate of lower precision is good enough; forms alone are
    candidates then.
    """

    data: bytes
    name: str
    entry: Graph
    samples: Sequence[Sample]
    forms: Sequence[Form] = ()
    exact: bool = False
    before: Callable[[Sample, bool], Candidate] | None = None
    accept: Accept | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def reference(self) -> Candidate:
        """The graph as shipped on the library that runs where nothing is chosen."""
        return load(Choice(baseline_library()), self.data, self.name)

    def macs(self, sample: Sample) -> float:
        """MACs of one run."""
        first = sample[self.entry.inputs[0]]
        return self.entry.macs_per_position * first.shape[-1] * first.shape[-2]


def tune(subject: Subject, fixed: bool, seconds: float) -> list[Candidate]:
    """The winner for any shapes, tuned on the first sample, then others for the samples' shapes.

    Every one carries its figures. fixed: look for winners by shape at all.
    """
    general = tune_for(subject, subject.samples[0], False, seconds)
    found = [general]
    for sample in subject.samples if fixed else ():
        special = tune_for(subject, sample, True, seconds)
        shapes = {name: array.shape for name, array in sample.items()}
        if special.choice.way != general.choice.way:
            found.append(replace(special, choice=replace(special.choice, shapes=shapes)))
    return found


def tune_for(subject: Subject, sample: Sample, fixed: bool, seconds: float) -> Candidate:
    """The fastest candidate on a sample that gives what the plain graph gives."""
    before = subject.reference if subject.before is None else subject.before(sample, fixed)
    expected = subject.reference.engine.run(sample)
    tried, notes = candidates(subject.data, subject.name, subject.forms, sample, fixed)
    subject.notes += notes
    if subject.accept is not None:
        tried = [candidate for candidate in tried if candidate.form is not None]

    def right(candidate: Candidate) -> bool:
        if subject.accept is not None:
            return subject.accept(candidate)
        limit = 0.0 if subject.exact else CLOSE
        return deviation(expected, candidate.engine.run(sample)) <= limit

    winner = _first_right(_ranked(tried, sample, seconds), right)
    if winner is not None:
        winner = _best_threads(winner, subject, sample, right, seconds)
        figures = measure.compare(before.run(sample), winner.run(sample), seconds / 2)
        if _pays(figures):
            return _with_figures(winner, subject, sample, figures, seconds)
    ms = measure.compare(before.run(sample), before.run(sample), seconds / 4)
    same = {**ms, "after_ms": ms["before_ms"], "ratio": 1.0, "ratio_low": 1.0}
    return _with_figures(before, subject, sample, same, seconds)


def _pays(figures: Mapping[str, float]) -> bool:
    """Whether it is faster in the middle of the measurements, and in most of them at all."""
    saved = figures["before_ms"] - figures["after_ms"]
    sure = figures["ratio_low"] >= min(1.0, LEAST_GAIN)
    return figures["ratio"] >= LEAST_GAIN and sure and saved >= LEAST_SAVED_MS


def _ranked(tried: Sequence[Candidate], sample: Sample, seconds: float) -> list[Candidate]:
    if not tried:
        return []
    runs = {str(i): candidate.run(sample) for i, candidate in enumerate(tried)}
    return [tried[int(name)] for name in measure.rank(runs, seconds)]


def _first_right(
    ranked: Sequence[Candidate], right: Callable[[Candidate], bool]
) -> Candidate | None:
    return next((candidate for candidate in ranked if right(candidate)), None)


def _best_threads(
    winner: Candidate, subject: Subject, sample: Sample, right: Callable[[Candidate], bool],
    seconds: float,
) -> Candidate:  # fmt: skip
    """The winner with the thread count that serves it best, its library's own included."""
    try:
        others = with_threads(winner, subject.data, subject.name)
    except BackendError:
        return winner
    ranked = _ranked([winner, *others], sample, seconds / 2)
    return _first_right(ranked, right) or winner


def _with_figures(
    winner: Candidate, subject: Subject, sample: Sample, figures: dict[str, float], seconds: float
) -> Candidate:
    rounds = min(max(3, int(5 * seconds)), 15)
    share = measure.share_of_sgemm(winner.run(sample), subject.macs(sample), rounds)
    kept = () if winner.form is None else winner.form.kept
    whole = {**figures, "sgemm_before": share / figures["ratio"], "sgemm_after": share,
             "shapes": {name: list(a.shape) for name, a in sample.items()},
             "gmacs": subject.macs(sample) / 1e9, "kept_fp32": list(kept)}  # fmt: skip
    return replace(winner, choice=replace(winner.choice, figures=whole))
