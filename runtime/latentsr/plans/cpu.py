"""The builder for CPUs: measures every graph of a bundle here and writes a plan for each.

FP32: ONNX Runtime or OpenVINO, whichever are installed, the graph as shipped or rewritten, thread
counts, and for sizes that are named OpenVINO with the shapes compiled in. INT8: quantised forms of
the graphs behind entropy decoding, against what FP32 chose. Graphs that decide scale indexes run as
shipped: exact ones on the faster library, float ones where they always ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from latentsr.backends.base import INT8, Engine, EngineOptions
from latentsr.backends.cpu import PlannedEngine, form_facts, form_name, load_choice
from latentsr.bundle import DEMO, Bundle
from latentsr.codec import Codec
from latentsr.image import to_rgb8
from latentsr.plans import quality, samples
from latentsr.plans.builders import Builder, Report, Wanted
from latentsr.plans.cache import Cache, Entry
from latentsr.plans.candidates import Candidate, baseline_library, load
from latentsr.plans.forms import Form, Sample, Writer, writers
from latentsr.plans.plan import (
    Choice,
    Plan,
    digest,
    plan_facts,
    plan_name,
    read_plan,
    row,
)
from latentsr.plans.tune import Subject, tune

PICTURE = DEMO.parent / "coffee.png"
Say = Callable[[str], None]


@dataclass
class Work:
    """One call of the builder: codec and cases that graphs are tuned on, and what comes out."""

    codec: Codec
    names: list[str]
    cases: list[samples.Case]
    inputs: list[dict[str, Sample]]
    pictures: int
    writers: list[Writer]
    wanted: Wanted
    report: Report
    cache: Cache
    say: Say

    def samples(self, graph: str) -> list[Sample]:
        """Inputs of a graph to measure on: the first picture's in each size."""
        return [inputs[graph] for inputs in self.inputs[:: self.pictures] if graph in inputs]

    def calibration(self, graph: str) -> list[Sample]:
        """Inputs of a graph from all pictures in all sizes."""
        return [inputs[graph] for inputs in self.inputs if graph in inputs]

    def sizes(self) -> list[tuple[int, int]]:
        """Coded sizes that are measured, width and height."""
        given = (case.given for case in self.cases[:: self.pictures])
        return [(picture.shape[1], picture.shape[0]) for picture in given]


class CpuBuilder(Builder):
    """Plans for the backend ``cpu``."""

    precisions = ("fp32", INT8)

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = Cache() if cache is None else cache

    def build(self, bundle: Bundle, wanted: Wanted, say: Say) -> Report:
        """Tune all graphs of the routes in FP32, then those that may be in INT8."""
        for route in wanted.routes:
            bundle.route(route, "decode")
        with Codec(bundle, baseline_library(), EngineOptions()) as codec:
            work = self._prepare(codec, wanted, say)
            seen = [name for name in bundle.manifest.graphs if work.inputs and work.samples(name)]
            plans = {name: self._fp32(work, name) for name in seen if _tunable(bundle, name)}
            for name, plan in plans.items():
                if wanted.precision == "fp32":
                    self._note(work, name, plan)
            if wanted.precision == INT8:
                self._int8_all(work, plans)
            return work.report

    def _prepare(self, codec: Codec, wanted: Wanted, say: Say) -> Work:
        bundle = codec.bundle
        names = samples.decode_routes(bundle.manifest, wanted.routes)
        sizes, pictures = wanted.sizes or (None,), wanted.pictures or [to_rgb8(PICTURE)]
        say(f"running {', '.join(names)} to see what the graphs are given")
        cases = [samples.make_case(codec, picture, size, names)
                 for size in sizes for picture in pictures]  # fmt: skip
        found, missing = writers()
        report = Report("cpu", wanted.precision, notes=missing)
        inputs = [samples.record(codec, case, names) for case in cases]
        return Work(
            codec, names, cases, inputs, len(pictures), found, wanted, report, self._cache, say
        )

    def _fp32(self, work: Work, name: str) -> Plan:
        bundle = work.codec.bundle
        exact = name in bundle.manifest.exact.values()
        data = bundle.graph(name)

        def make() -> Plan:
            forms = [] if exact else _forms(work, data, name, "fp32")
            entry = bundle.manifest.graphs[name]
            subject = Subject(data, name, entry, work.samples(name), forms, exact)
            return self._tune(work, subject)

        return self._planned(work, data, name, "fp32", make)

    def _int8_all(self, work: Work, plans: Mapping[str, Plan]) -> None:
        wanted = [name for name in plans if _may_be_int8(work, name)]
        engines: dict[str, Engine] = {}
        for name in wanted:
            plan = self._int8(work, name, plans[name])
            self._note(work, name, plan)
            if plan.has(INT8):
                data = work.codec.bundle.graph(name)
                options = EngineOptions(precision=INT8, cache=self._cache)
                engines[name] = PlannedEngine(plan, data, name, options)
        if not engines:
            work.report.notes.append("INT8 does not pay here: no graph has an INT8 plan")
        work.report.quality += quality.lines(work.codec, work.cases, work.names, engines)

    def _int8(self, work: Work, name: str, fp32: Plan) -> Plan:
        bundle, data = work.codec.bundle, work.codec.bundle.graph(name)

        def before(sample: Sample, fixed: bool) -> Candidate:
            choice = fp32.choose(sample) if fixed else fp32.choices[0]
            engine, used = load_choice(choice, data, name, EngineOptions(cache=self._cache))
            return Candidate(used, engine, data)

        def make() -> Plan:
            forms = _forms(work, data, name, INT8)
            judge = quality.Judge(work.codec, work.cases, work.names, name, work.wanted.gate_db)

            def accept(candidate: Candidate) -> bool:
                # Quality is the form's and the library's, whatever shapes or threads.
                plain = Choice(candidate.choice.library, candidate.choice.form)
                key = candidate.choice.library, candidate.choice.form
                return judge(key, lambda: load(plain, data, name, candidate.form).engine)

            subject = Subject(data, name, bundle.manifest.graphs[name], work.samples(name), forms,
                              before=before, accept=accept)  # fmt: skip
            plan = self._tune(work, subject)
            work.report.notes += judge.refused
            return plan

        return self._planned(work, data, name, INT8, make)

    def _tune(self, work: Work, subject: Subject) -> Plan:
        found = tune(subject, bool(work.wanted.sizes), work.wanted.seconds)
        work.report.notes += subject.notes
        for winner in found:
            if winner.form is not None and winner.choice.graph is not None:
                facts = form_facts(winner.choice.graph)
                notes = {"form": winner.form.name, "of": digest(subject.data)}
                self._cache.store(form_name(winner.choice.graph), facts, winner.form.graph, notes)
        return Plan(tuple(winner.choice for winner in found), tuple(work.sizes()))

    def _planned(
        self, work: Work, data: bytes, name: str, precision: str, make: Callable[[], Plan]
    ) -> Plan:
        """A usable plan from the cache, or else a new one."""
        sha256, bundle = digest(data), work.codec.bundle.manifest.name

        def build() -> tuple[bytes, Mapping[str, str]]:
            work.say(f"{name}: tuning {precision}")
            return make().to_bytes(), {"graph": name, "bundle": bundle}

        entry = self._cache.fetch(
            plan_name(sha256, precision), plan_facts(sha256, precision), build, work.say,
            lambda found: self._refuse(found, work.wanted),
        )  # fmt: skip
        work.report.places.append(entry.path)
        return read_plan(entry)

    def _refuse(self, entry: Entry, wanted: Wanted) -> str | None:
        """Why a plan that is whole does not do."""
        if wanted.force:
            return f"{entry.path.stem} is there already"
        try:
            plan = read_plan(entry)
        except ValueError as error:
            return f"{entry.path.stem} is damaged: {error}"
        if not set(wanted.sizes) <= set(plan.sizes):
            return f"{entry.path.stem} was built for the sizes {list(plan.sizes)}"
        hashes = {choice.graph for choice in plan.choices if choice.graph is not None}
        gone = [h for h in hashes if self._cache.find(form_name(h), form_facts(h))[0] is None]
        return f"{entry.path.stem} lacks its rewritten graph {gone[0][:12]}" if gone else None

    def _note(self, work: Work, name: str, plan: Plan) -> None:
        for choice in plan.choices:
            work.report.rows.append(row(name, choice))


def _tunable(bundle: Bundle, name: str) -> bool:
    """Float graphs that decide scales stay where they always ran: other bits would lose streams."""
    manifest = bundle.manifest
    return name in manifest.exact.values() or name not in manifest.entropy_graphs


def _may_be_int8(work: Work, name: str) -> bool:
    """Graphs of the decode routes that no scale and no symbol depends on."""
    manifest = work.codec.bundle.manifest
    if name in manifest.entropy_graphs or name in manifest.exact.values():
        return False
    steps = [step for route in work.names for step in manifest.routes[route].steps]
    return any(step["op"] == "graph" and step["graph"] == name for step in steps)


def _forms(work: Work, data: bytes, name: str, precision: str) -> list[Form]:
    found: list[Form] = []
    for writer in work.writers:
        try:
            found += writer(data, work.calibration(name), precision)
        except Exception as error:
            # Foreign graphs hold what a rewriter never met; the graph as shipped still runs.
            work.report.notes.append(
                f"{name}: no forms of {writer.__module__}: {type(error).__name__} {error}"[:200]
            )
    return found
