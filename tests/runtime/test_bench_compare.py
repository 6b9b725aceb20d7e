"""Comparing results: planted slowdowns are found and attributed, noise is not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latentsr.bench import schema
from latentsr.bench.compare import compare
from latentsr.bench.statistics import summary
from latentsr.errors import UsageError

LAUNCHES = ("machine", "sgemm", "launches")
STAGES = {"entropy_decode y": 2.0, "latent_sr": 17.0, "picture": 1.0}


def made(seed: int, slow: dict[str, float] | None = None, launches: int = 6) -> dict[str, Any]:
    """A result of one contender with the noise of a busy machine: drift, jitter, outliers."""
    random = np.random.default_rng(seed)
    rounds, medians = [], []
    for _ in range(launches):
        drift = random.normal(1, 0.01)
        calls = {
            name: (ms + (slow or {}).get(name, 0)) * drift * random.normal(1, 0.02, 12)
            for name, ms in STAGES.items()
        }
        whole = sum(calls.values()) + random.choice([0, 15], p=[0.9, 0.1], size=12)
        rounds.append(whole.tolist())
        medians.append({name: float(np.median(ms)) for name, ms in calls.items()})
    figures = summary(rounds)
    stages = [{"name": n, "kind": "engine", "ms": summary([m[n] for m in medians])} for n in STAGES]
    route = {
        "name": "latent_x4", "kind": "route", "about": "", "runs_on": "", "scale": 4,
        "samples": 72, "latency_ms": figures, "after_pause_ms": None,
        "stages": stages, "stage_share": 0.99,
        "launches": rounds, "launch_stages": medians, "pictures": [], "macs": 0.0,
        "throughput": [], "memory": {}, "cold_start": {}, "sizes": [],
    }  # fmt: skip
    return {
        "schema": schema.SCHEMA, "schema_version": 1, "bundle": {}, "settings": {},
        "machine": {"sgemm": {"gmacs_per_s": summary([100.0])}}, "pictures": [],
        "routes": [route], "ratios": [], "load": [], "warnings": [],
    }  # fmt: skip


def test_equal_results_are_not_flagged() -> None:
    for seed in range(200):
        assert not compare(made(seed), made(seed + 1000), 0.05).slower, seed


@pytest.mark.parametrize("stage", STAGES)
def test_a_planted_slowdown_is_found_in_its_stage(stage: str) -> None:
    for seed in range(50):
        found = compare(made(seed), made(seed + 1000, {stage: 2.0}), 0.05)
        assert [change.cause for change in found.slower] == [stage], seed


def test_a_slower_machine_is_no_slowdown() -> None:
    slow = {name: 0.15 * ms for name, ms in STAGES.items()}
    for seed in range(50):
        before, after = made(seed), made(seed + 1000, slow)
        assert compare(before, after, 0.05).slower
        random = np.random.default_rng(seed)
        for result, ms in ((before, 10.0), (after, 11.5)):
            launches = random.normal(ms, 0.1, (6, 18)).tolist()
            result["machine"]["sgemm"]["launches"] = launches
        assert not compare(before, after, 0.05).slower, seed
        after["machine"]["sgemm"]["launches"] = before["machine"]["sgemm"]["launches"]
        assert compare(before, after, 0.05).slower, seed


def test_products_that_one_result_lacks_are_left_out() -> None:
    for number in (0, 1):
        pair = [made(1), made(2, {"picture": 3.0})]
        pair[number]["machine"]["sgemm"]["launches"] = [[10.0] * 12] * 6
        change = compare(*pair, 0.05).changes[0]
        assert change.net is None and change.slower


def test_a_stage_that_some_launches_lack() -> None:
    """One that loads an engine, say."""
    before, after = made(1), made(2)
    for launch in before["routes"][0]["launch_stages"][1:]:
        del launch["picture"]
    del after["routes"][0]["launch_stages"][0]["latent_sr"]
    stages = {stage.name: stage for stage in compare(before, after, 0.05).changes[0].stages}
    assert set(stages) == set(STAGES)
    assert stages["picture"].before_ms == before["routes"][0]["launch_stages"][0]["picture"]
    assert stages["latent_sr"].after_ms == pytest.approx(17, rel=0.1)


@pytest.mark.parametrize(("rounds", "count"), [(12, 6), (4, 4), (1, 1)])
def test_a_single_launch_is_cut_into_batches(rounds: int, count: int) -> None:
    before, after = made(1, launches=1), made(2, {"latent_sr": 9.0}, launches=1)
    for result in (before, after):
        (launch,) = result["routes"][0]["launches"]
        result["routes"][0]["launches"] = [launch[:rounds]]
    change = compare(before, after, 0.05).changes[0]
    assert change.lower.count == change.median.count == count
    assert 1.2 < change.lower.value < 2


def test_an_improvement_is_no_slowdown() -> None:
    found = compare(made(1, {"picture": 3.0}), made(2), 0.05)
    assert not found.slower and found.changes[0].faster and found.changes[0].cause is None
    assert found.changes[0].stages[0].name == "picture"


def test_cautions() -> None:
    other = made(2)
    other["machine"]["sgemm"]["gmacs_per_s"]["p90"] = 80.0
    other["machine"]["cpu"] = "another"
    cautions = " ".join(compare(made(1), other, 0.05).cautions)
    assert "sgemm" in cautions and "cpu" in cautions
    other["routes"][0]["name"] = "something_else"
    with pytest.raises(UsageError, match="in common"):
        compare(made(1), other, 0.05)


def test_a_contender_that_one_result_lacks_is_named() -> None:
    both = made(1)
    both["routes"].append({**both["routes"][0], "name": "gone"})
    said = "only in the {} result, so not compared: gone"
    assert said.format("first") in compare(both, made(2), 0.05).cautions
    assert said.format("second") in compare(made(2), both, 0.05).cautions
    assert not any("only in" in caution for caution in compare(both, both, 0.05).cautions)


def test_pictures_of_one_name_and_other_sizes_are_others() -> None:
    small, large = made(1), made(2)
    for result, side in ((small, 16), (large, 32)):
        result["pictures"] = [{"name": "a.png", "coded_width": side, "coded_height": side}]
    assert "other pictures" in compare(small, large, 0.05).cautions
    assert "other pictures" not in compare(small, small, 0.05).cautions


@pytest.mark.parametrize(("launches", "doubt"), [(1, True), (2, True), (3, False), (6, False)])
def test_a_verdict_from_few_launches_is_doubted(launches: int, doubt: bool) -> None:
    before, after = made(1, launches=launches), made(2, {"picture": 20.0}, launches=launches)
    if launches == 1:
        for result in (before, after):
            result["routes"][0]["launches"] = [result["routes"][0]["launches"][0][:1]]
    found = compare(before, after, 0.05)
    assert found.slower
    assert any("noise may be all" in caution for caution in found.cautions) == doubt
    alone = any("a single launch of latent_x4" in caution for caution in found.cautions)
    assert alone == (launches == 1)


@pytest.mark.parametrize("order", [1, -1])
def test_a_machine_whose_speed_is_not_known(order: int) -> None:
    still = made(1)
    still["machine"]["sgemm"]["gmacs_per_s"] = summary([0.0])
    cautions = compare(*(made(2), still)[::order], 0.05).cautions
    assert any("own speed changed" in caution for caution in cautions)


@pytest.mark.parametrize("ms", [5e-324, 1e-10, 1e13, 1.7e308, 10**30, True])
@pytest.mark.parametrize("which", [("machine", "sgemm"), ("routes", 0)])
def test_times_that_no_clock_measures_are_refused(
    tmp_path: Path, which: tuple[Any, ...], ms: float
) -> None:
    result = made(1)
    place: Any = result
    for key in which:
        place = place[key]
    place["launches"] = [[ms]]
    with pytest.raises(UsageError, match="launches"):
        schema.read_result(Path(write(tmp_path / "r.json", result)))


def write(path: Path, value: object) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def run(*arguments: str) -> Any:
    import typer

    from latentsr.cli.compare import compare as command

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_the_command_fails_where_asked_to(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.json", made(1)), write(tmp_path / "b.json", made(2, {"picture": 2}))
    assert run(a, b).exit_code == 0
    failed = run(a, b, "--fail-if-slower", "5%")
    assert failed.exit_code == 1 and "in picture" in failed.stdout
    assert run(a, b, "--fail-if-slower", "0.25").exit_code == 0
    listed = json.loads(run(a, b, "--json").stdout)
    assert listed["changes"][0]["cause"] == "picture"


def test_the_command_says_the_level_and_steers_no_terminal(tmp_path: Path) -> None:
    before, after = made(1, launches=3), made(2, {"picture": 20.0}, launches=3)
    for result in (before, after):
        result["routes"][0]["name"] = "a\x1b[31mb"
        result["routes"][0]["stages"][0]["name"] = "c\x1b[2Jd"
    after["machine"]["cpu"] = "\x1b]0;title\x07"
    said = run(write(tmp_path / "a.json", before), write(tmp_path / "b.json", after)).stdout
    assert " 90 % " in said.split("\n")[1]
    assert "\x1b" not in said and "\x07" not in said and "a\ufffd[31mb" in said


@pytest.mark.parametrize("threshold", ["", "x", "-1%", "nan"])
def test_bad_thresholds(tmp_path: Path, threshold: str) -> None:
    a = write(tmp_path / "a.json", made(1))
    result = run(a, a, "--fail-if-slower", threshold)
    assert isinstance(result.exception, UsageError)


def damaged() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("no object", []), ("no result", {"schema": "x"})]
    for path in (
        ("routes",), ("machine", "sgemm"), LAUNCHES, ("routes", 0), ("routes", 0, "launches"),
        ("routes", 0, "launch_stages"), ("routes", 0, "latency_ms", "p50"), ("schema_version",),
        ("routes", 0, "stages", 0, "ms"), ("pictures",), ("routes", 0, "launches", 0),
    ):  # fmt: skip
        for wrong in (None, "x", [], -1, [["x"]], {"a": float("nan")}, [[10**400]]):
            value: Any = copy.deepcopy(made(1))
            place = value
            for key in path[:-1]:
                place = place[key]
            if wrong == [] and path in {("pictures",), ("routes", 0, "launch_stages"), LAUNCHES}:
                continue  # nothing there is no damage
            place[path[-1]] = wrong
            if path == ("routes", 0, "launches", 0) and wrong == []:
                continue
            found.append((f"{path} {wrong!r}", value))
    return found


@pytest.mark.parametrize("value", [v for _, v in damaged()], ids=[n for n, _ in damaged()])
def test_damaged_results_are_refused(tmp_path: Path, value: object) -> None:
    path = Path(write(tmp_path / "r.json", value))
    with pytest.raises(UsageError):
        schema.read_result(path)


def test_missing_and_torn_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        schema.read_result(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text('{"schema": ')
    with pytest.raises(UsageError):
        schema.read_result(tmp_path / "torn.json")
