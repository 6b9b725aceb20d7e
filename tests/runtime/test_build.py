"""`latentsr build`: only what is right may win, exact graphs stay as shipped, all is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from command_line import latentsr as run_command
from latentsr.backends.base import Engine
from latentsr.bundle import Bundle
from latentsr.errors import UsageError
from latentsr.manifest import Graph
from latentsr.plans import candidates, cpu, forms, tune
from latentsr.plans.builders import BUILDERS, Wanted, check_wanted, get_builder
from latentsr.plans.cache import FOLDER_VARIABLE, Cache
from latentsr.plans.cpu import CpuBuilder
from latentsr.plans.forms import Form
from latentsr.plans.measure import compare, interleaved, rank, share_of_sgemm
from latentsr.plans.plan import Choice, Plan, digest, plan_facts, plan_name, planned

FAST = 0.02  # seconds a graph: what wins does not matter here


@pytest.fixture()
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache, used by builder and backend."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return Cache()


@pytest.fixture()
def everything_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any right candidate win, whatever the clock says."""
    monkeypatch.setattr(tune, "LEAST_GAIN", 0.0)
    monkeypatch.setattr(tune, "LEAST_SAVED_MS", float("-inf"))


class StandInEngine(Engine):
    """An engine that is never run."""

    runs_on = "nowhere"

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        raise AssertionError("not to be run")


class StandIn:
    """A writer of forms that remembers what it was given, and returns what it was told to."""

    def __init__(self, *forms: Form) -> None:
        self.forms, self.given = list(forms), []

    def __call__(self, graph: bytes, samples: Sequence[Any], precision: str) -> list[Form]:
        self.given.append((graph, precision))
        return [form for form in self.forms if form.precision == precision]


def build(picture: np.ndarray, **wanted: Any) -> tuple[Any, list[str]]:
    """A report for route lr of the demo bundle, and what was said."""
    said: list[str] = []
    given = {"routes": ("lr",), "pictures": [picture], "seconds": FAST, **wanted}
    return CpuBuilder().build(Bundle("demo"), Wanted(**given), said.append), said


def test_a_plan_for_every_graph_of_the_route(cache: Cache, picture: np.ndarray) -> None:
    report, said = build(picture)
    names = {"analysis", "hyper_analysis", "entropy_parameters_exact", "synthesis"}
    assert {row["graph"] for row in report.rows} == names == set(planned(Bundle("demo"), "fp32"))
    for row in report.rows:
        assert row["before_ms"] > 0 and row["after_ms"] > 0 and row["sgemm_after"] > 0
        assert row["ratio"] == 1.0 or row["ratio"] >= tune.LEAST_GAIN
    exact = next(row for row in report.rows if row["graph"] == "entropy_parameters_exact")
    assert "as shipped" in exact["chosen"]
    with latentsr.load("demo", backend="cpu") as codec, latentsr.load("demo") as other:
        stream = other.encode(picture)
        made, plain = codec.decode(stream).astype(int), other.decode(stream)
        assert np.abs(made - plain).max() <= 1 and "(fp32 plan)" in codec.runs_on("lr")
    again, said = build(picture)
    assert [row["after_ms"] for row in again.rows] == [row["after_ms"] for row in report.rows]
    assert not any("tuning" in line for line in said)


def test_another_size_and_force_build_again(cache: Cache, picture: np.ndarray) -> None:
    build(picture)
    report, said = build(picture, sizes=[(64, 64)])
    assert any("was built for the sizes [(75, 101)]; building it again" in line for line in said)
    assert any(row["measured_on"] == {"y_hat": [1, 96, 4, 4]} for row in report.rows)
    assert not any("tuning" in line for line in build(picture, sizes=[(64, 64)])[1])
    assert any("is there already; building" in line for line in build(picture, force=True)[1])


@pytest.mark.usefixtures("everything_pays")
def test_wrong_forms_never_win(
    cache: Cache, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(Bundle("demo").graph("hyper_analysis"))
    bias = onnx.numpy_helper.to_array(model.graph.initializer[-1])
    wrong = onnx.numpy_helper.from_array(bias + np.float32(0.5), model.graph.initializer[-1].name)
    model.graph.initializer[-1].CopyFrom(wrong)
    writer = StandIn(Form("wrong", "fp32", model.SerializeToString()),
                   Form("broken", "fp32", b"no graph"))  # fmt: skip
    monkeypatch.setattr(cpu, "writers", lambda: ([writer], ["no pruned forms: found nothing"]))
    report, _ = build(picture)
    assert not any("wrong" in row["chosen"] for row in report.rows)
    assert "no pruned forms: found nothing" in report.notes
    assert any("broken" in note and "left out" in note for note in report.notes)
    given = {graph for graph, _ in writer.given}
    bundle = Bundle("demo")
    assert bundle.graph("synthesis") in given
    for name in ("entropy_parameters", "entropy_parameters_exact"):
        assert bundle.graph(name) not in given


def test_all_pictures_calibrate_and_the_first_is_measured(
    cache: Cache, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def writer(graph: bytes, samples: Sequence[Any], precision: str) -> list[Form]:
        given.append(len(samples))
        return []

    monkeypatch.setattr(cpu, "writers", lambda: ([writer], []))
    report, _ = build(picture, pictures=[picture, picture[:64, :64], picture[::-1]])
    assert given == [3] * 3  # analysis, hyper-analysis, synthesis
    synthesis = next(row for row in report.rows if row["graph"] == "synthesis")
    assert synthesis["measured_on"] == {"y_hat": [1, 96, 8, 8]}


@pytest.mark.usefixtures("everything_pays")
def test_exact_graphs_must_agree_bit_by_bit() -> None:
    data = Bundle("demo").graph("entropy_parameters_exact")
    entry = Bundle("demo").manifest.graphs["entropy_parameters_exact"]
    sample = {"z_hat": np.round(np.random.default_rng(1).normal(0, 2, (1, 64, 2, 3))).astype("f4")}
    subject = tune.Subject(data, "entropy_parameters_exact", entry, [sample], (), exact=True)
    found = tune.tune(subject, fixed=False, seconds=FAST)[0]
    plain = subject.reference.engine.run(sample)
    assert candidates.deviation(plain, found.engine.run(sample)) == 0.0
    nearly = {"scales": plain["scales"] + np.float32(1e-6)}
    assert 0 < candidates.deviation(plain, nearly) < candidates.CLOSE


def test_deviation_sees_shapes_and_nan() -> None:
    plain = {"y": np.array([1.0, -4.0], np.float32)}
    assert candidates.deviation(plain, {"y": np.array([1.0, -3.0], np.float32)}) == 0.25
    for wrong in ({}, {"y": np.zeros(3, np.float32)}, {"y": np.array([np.nan, 1], np.float32)}):
        assert candidates.deviation(plain, wrong) == float("inf")


@pytest.mark.usefixtures("everything_pays")
def test_int8_within_the_gate(cache: Cache, picture: np.ndarray) -> None:
    pytest.importorskip("latentsr_export.forms.int8")
    report, _ = build(picture, precision="int8", gate_db=20.0)
    assert [row["graph"] for row in report.rows] == ["synthesis"]
    assert "int8" in report.rows[0]["chosen"]
    line = report.quality[0]
    assert line["route"] == "lr" and line["pictures"] == 1
    assert line["loss_db"] == pytest.approx(line["psnr_fp32"] - line["psnr_int8"])
    assert 20 < line["against_fp32_db"] < 99
    with latentsr.load("demo", backend="cpu", precision="int8") as codec:
        codec.decode(codec.encode(picture))
        assert "int8" in codec.runs_on("lr")


@pytest.mark.usefixtures("everything_pays")
def test_int8_that_costs_too_much_is_refused(cache: Cache, picture: np.ndarray) -> None:
    pytest.importorskip("latentsr_export.forms.int8")
    report, _ = build(picture, precision="int8", gate_db=-20.0)
    assert any("is refused: route lr loses" in note for note in report.notes)
    assert "INT8 does not pay here: no graph has an INT8 plan" in report.notes
    assert report.quality[0]["against_fp32_db"] == 99.0
    with pytest.raises(UsageError, match="no graphs in int8 here"):
        latentsr.load("demo", backend="cpu", precision="int8")


def test_int8_beside_a_plan_by_shape(cache: Cache, picture: np.ndarray) -> None:
    pytest.importorskip("openvino")
    shapes = {"y_hat": (1, 96, 4, 4)}
    bundle = Bundle("demo")
    build(picture, sizes=[(64, 64)])
    sha256 = digest(bundle.graph("synthesis"))
    choices = Choice("ort"), Choice("openvino", shapes=shapes, fixed=True)
    data = Plan(choices, ((64, 64),)).to_bytes()
    cache.store(plan_name(sha256, "fp32"), plan_facts(sha256, "fp32"), data, {})
    build(picture, sizes=[(64, 64)], precision="int8", gate_db=-20.0)
    plan = planned(bundle, "int8")["synthesis"]
    assert [choice.way for choice in plan.choices] == [choice.way for choice in choices]
    assert not plan.has("int8")


def test_builders_are_known_by_name() -> None:
    assert all(get_builder(name).precisions for name in BUILDERS)
    with pytest.raises(UsageError, match="no such builder: found backend 'npu', expected one of"):
        get_builder("npu")
    with pytest.raises(UsageError, match="precision cannot be built: found 'fp64'"):
        check_wanted(get_builder("cpu"), Wanted("fp64"))
    with pytest.raises(UsageError, match="no such decode route"):
        CpuBuilder().build(Bundle("demo"), Wanted(routes=("x9",)), print)


def test_measuring() -> None:
    calls: list[str] = []
    runs = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    times = interleaved(runs, 3)
    assert calls == list("abcbcacab") and {len(found) for found in times.values()} == {3}
    assert sorted(rank({str(i): lambda: None for i in range(7)}, 0.01)) == list("0123456")
    figures = compare(lambda: None, lambda: None, 0.001)
    assert (
        set(figures) == {"before_ms", "after_ms", "ratio", "ratio_low", "rounds"}
        and figures["rounds"] >= 5
    )
    assert share_of_sgemm(lambda: sum(range(1000)), 1e6, 3) > 0


def test_a_subject_knows_its_macs() -> None:
    entry = Graph("f", ("x",), ("y",), 12.5, "fp32", {})
    subject = tune.Subject(b"", "net", entry, [])
    assert subject.macs({"x": np.zeros((1, 3, 4, 6), np.float32)}) == 12.5 * 24
    assert Choice("ort").precision == "fp32" and Choice("ort", "int8-2").precision == "int8"


def test_command_line(cache: Cache, picture: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture).save(tmp_path / "a.png")
    given = ["build", "demo", "--route", "lr", "--picture", tmp_path / "a.png",
             "--seconds", FAST]  # fmt: skip
    done = run_command(*given, cwd=tmp_path)
    assert "times faster" in done.stdout and "synthesis: tuning fp32" in done.stderr
    assert done.stdout.strip().splitlines()[-1].endswith(" bytes")
    facts = json.loads(run_command(*given, "--json", cwd=tmp_path).stdout)
    assert {row["graph"] for row in facts["rows"]} >= {"synthesis", "analysis"}
    shown = run_command("inspect", "demo", cwd=tmp_path).stdout
    assert "plans of this machine" in shown and "times faster" in shown
    for wrong in (["--size", "12"], ["--size", "0x4"], ["--backend", "npu"], ["--route", "no"]):
        failed = run_command("build", "demo", *wrong, cwd=tmp_path, code=2)
        assert failed.stderr.startswith("error: ")


def test_winners_by_shape_only_where_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [{"x": np.zeros((1, 3, side, side), np.float32)} for side in (4, 8)]
    plain = candidates.Candidate(Choice("ort"), StandInEngine(), b"")

    def winner(subject: Any, sample: Any, fixed: bool, seconds: float) -> candidates.Candidate:
        wide = fixed and sample["x"].shape[-1] == 8
        return replace(plain, choice=Choice("ort", threads=1)) if wide else plain

    monkeypatch.setattr(tune, "tune_for", winner)
    subject = tune.Subject(b"", "net", Graph("f", ("x",), ("y",), 1.0, "fp32", {}), samples)
    assert [found.choice for found in tune.tune(subject, True, 0.0)] == [
        Choice("ort"), Choice("ort", threads=1, shapes={"x": (1, 3, 8, 8)}),
    ]  # fmt: skip
    assert len(tune.tune(subject, False, 0.0)) == 1


def test_what_pays() -> None:
    figures = {"before_ms": 10.0, "after_ms": 8.0, "ratio": 1.25, "ratio_low": 1.1}
    assert tune._pays(figures)
    for change in ({"ratio": 1.02}, {"ratio_low": 0.97}, {"after_ms": 9.9}):
        assert not tune._pays({**figures, **change})


def test_writers_that_cannot_be_imported_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def __init__(self, name: str, found: object) -> None:
            self.name, self.found = name, found

        def load(self) -> object:
            if self.found is None:
                raise ImportError("No module named 'onnx'")
            return self.found

    entries = [Entry("subpixel", None), Entry("own", print)]
    monkeypatch.setattr(forms, "entry_points", lambda group: entries)
    found, missing = forms.writers()
    assert found == [print] and len(missing) == 1
    assert "no subpixel forms: found No module named 'onnx'" in missing[0]
    assert "pip install 'latentsr[forms]'" in missing[0]
