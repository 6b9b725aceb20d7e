"""The benchmark on the demo bundle with a small picture: result, order, failures."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

from latentsr.bench import extras, inputs, schema
from latentsr.bench.contender import Contender, Plan, Sample
from latentsr.bench.rounds import Schedule, run_rounds
from latentsr.bench.run import Bench, Settings, run_bench
from latentsr.bench.subject import Setup
from latentsr.bundle import DEMO
from latentsr.errors import UsageError
from latentsr.image import save_rgb8, to_rgb8
from latentsr.report.publish import as_csv


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bench") / "small.png"
    save_rgb8(to_rgb8(DEMO.parent / "coffee.png")[:190, :254], path)
    return str(path)


@pytest.fixture(scope="module")
def bench(picture: str) -> Bench:
    return run_bench(
        Settings(
            "demo", (picture,), ("latent_x4", "bicubic", "lr"), threads=1, launches=2,
            schedule=Schedule(1, 2, 2), in_flight=(1, 2), sizes=((64, 64), (128, 96)),
        )
    )  # fmt: skip


def test_the_result_is_as_specified(bench: Bench) -> None:
    result = json.loads(json.dumps(bench.result))
    schema.check(result, "result")
    assert [route["name"] for route in result["routes"]] == ["latent_x4", "bicubic", "lr"]
    assert result["pictures"][0]["width"] == 252 and result["pictures"][0]["coded_width"] == 63
    assert result["settings"]["launches"] == 2 and result["settings"]["rounds"] == 4


def test_stages_add_up_to_the_call(bench: Bench) -> None:
    for route in bench.result["routes"]:
        assert 0.8 < route["stage_share"] <= 1.0
        assert route["samples"] == 8 and len(route["launches"]) == 2
        kinds = {stage["kind"] for stage in route["stages"]}
        assert {"read", "entropy", "parameters", "engine", "image"} <= kinds
    names = [stage["name"] for stage in bench.result["routes"][0]["stages"]]
    assert names[0] == "read file" and "latent_sr" in names


def test_macs_are_those_of_the_manifest(bench: Bench) -> None:
    latent = bench.result["routes"][0]
    engine = next(stage for stage in latent["stages"] if stage["name"] == "latent_sr")
    manifest = json.loads((DEMO / "manifest.json").read_text())
    # 63x47 is padded to 64x64: 4x4 positions of the latent.
    assert engine["macs"] == pytest.approx(
        manifest["graphs"]["latent_sr"]["macs_per_position"] * 16
    )
    assert engine["sgemm_share"] > 0 and engine["gmacs_per_s"] > 0


def test_quality_is_that_of_the_pictures(bench: Bench, picture: str) -> None:
    from latentsr.report.metrics import psnr

    original = inputs.crop_to_scale(to_rgb8(picture), 4)
    assert np.array_equal(bench.pictures["original"], original)
    for name in ("latent_x4", "bicubic"):
        route = next(r for r in bench.result["routes"] if r["name"] == name)
        assert route["quality"]["psnr"] == pytest.approx(psnr(bench.pictures[name], original))
    small = next(r for r in bench.result["routes"] if r["name"] == "lr")
    assert small["quality"]["psnr"] > 20 and "lr" not in bench.pictures


def test_all_else_is_there(bench: Bench) -> None:
    for route in bench.result["routes"]:
        assert [t["in_flight"] for t in route["throughput"]] == [1, 2]
        assert route["memory"]["peak_bytes"] > 10 << 20
        assert route["cold_start"]["load_ms"]["p50"] > 0
        assert [size["width"] for size in route["sizes"]] == [64, 128]
    ratio = bench.result["ratios"][0]
    assert {ratio["slow"], ratio["fast"]} == {"latent_x4", "bicubic"}
    assert ratio["low"] <= ratio["ratio"] <= ratio["high"]
    # `lr` makes another size: nothing to be compared with.
    assert len(bench.result["ratios"]) == 1
    assert any("launches" in text for text in bench.result["warnings"])


def test_csv_has_a_row_for_every_stage(bench: Bench) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(bench.result))))
    assert len(rows) == sum(1 + len(route["stages"]) for route in bench.result["routes"])
    assert {row["contender"] for row in rows} == {"latent_x4", "bicubic", "lr"}
    assert all(float(row["p50_ms"]) >= 0 for row in rows)


def test_streams_have_times_but_no_quality(tmp_path: Path, picture: str) -> None:
    import latentsr

    with latentsr.load("demo") as codec:
        (tmp_path / "a.lss").write_bytes(codec.encode(to_rgb8(picture)[:48, :64]))
    settings = Settings(
        "demo", (str(tmp_path / "a.lss"),), ("bicubic",), launches=1, in_flight=(),
        schedule=Schedule(1, 3),
    )  # fmt: skip
    found = run_bench(settings)
    assert found.result["routes"][0]["quality"] is None and not found.pictures
    with pytest.raises(UsageError, match="sizes need a picture"):
        run_bench(dataclasses.replace(settings, sizes=((64, 64),)))


class Counting:
    """Stands in for a contender's process and writes down who ran when."""

    def __init__(self, name: str, ms: float, log: list[str]) -> None:
        self.name, self.ms, self.log = name, ms, log

    def run(self, index: int) -> Sample:
        self.log.append(f"{self.name}{index}")
        return Sample(self.ms, ())


def test_contenders_take_turns() -> None:
    log: list[str] = []
    racing: Any = [Counting("a", 1, log), Counting("b", 1, log), Counting("c", 1, log)]
    found = run_rounds(racing, [0], Schedule(warmup=1, rounds=3, burst=2))
    turns = ["a0", "b0", "c0", "b0", "c0", "a0", "c0", "a0", "b0"]
    assert log[3:] == [call for call in turns for _ in range(3)]
    assert found[0].ms([0]).shape == (6, 1) and np.isfinite(found[0].ms([0])).all()
    assert found[0].rested == [1, 1, 1]


def test_slow_contenders_run_less_often() -> None:
    log: list[str] = []
    racing: Any = [Counting("a", 1, log), Counting("s", 9000, log)]
    found = run_rounds(racing, [0, 1, 2], Schedule(1, 6, burst=1, slow_rounds=2, slow_items=1))
    assert not found[0].slow and found[1].slow
    table = found[1].ms([0, 1, 2])
    assert np.isfinite(table).sum() == 2 and np.isfinite(table[[0, 3], 0]).all()
    assert np.isfinite(found[0].ms([0, 1, 2])).all()


def test_a_baseline_that_is_named_twice_is_measured_once(picture: str) -> None:
    from latentsr.bench.run import make_plans

    settings = Settings("demo", (picture,), baselines=("jpeg", "webp", "jpeg"))
    assert [plan.name for plan in make_plans(["lr"], settings)] == ["lr", "jpeg", "webp", "sgemm"]
    with pytest.raises(UsageError, match="contenders have one name: found jpeg"):
        make_plans(["jpeg"], settings)


def test_files_in_the_current_folder_are_no_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "PIL", "queue", "latentsr"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not asked for')")
    monkeypatch.chdir(tmp_path)
    contender = Contender(Plan("lr", "route", Setup("demo", options={"route": "lr"})))
    try:
        assert contender.start().scale == 1
    finally:
        contender.close()


def latentsr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from latentsr.cli import main; main()", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.lsr"], "none.lsr"),
        (["demo", "--routes", "nothing"], "nothing"),
        (["demo", "--baseline", "nothing"], "no such baseline"),
        (["demo", "--batch", "0"], "batch is out of range"),
        (["demo", "--sizes", "12"], "not a size"),
        (["demo", "nothing.png"], "nothing.png"),
        (["demo", "--threads", "0"], "thread"),
        (["demo", "--threads", "100000"], "threads: found 100000"),
        (["demo", "--precision", "fp16"], "no graphs in fp16"),
        (["demo", "--duration", "nan"], "duration is out of range"),
    ],
)
def test_bad_arguments(arguments: list[str], words: str) -> None:
    done = latentsr("bench", *arguments)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


def test_the_command_writes_its_files(tmp_path: Path, picture: str) -> None:
    target = tmp_path / "r.json"
    done = latentsr(
        "bench", "demo", picture, "--routes", "bicubic", "--launches", "1", "--iterations", "3",
        "--batch", "1", "--json", str(target), "--csv", str(tmp_path / "r.csv"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = schema.read_result(target)
    assert result["command"][:2] == ["latentsr", "bench"]
    assert str(target) in done.stdout.splitlines()[-2]


def test_equal_pictures_leave_no_infinity_in_json() -> None:
    picture = np.zeros((180, 200, 3), np.uint8)
    found = extras.compare(picture, picture)
    assert found["psnr"] is None and found["psnr_y"] is None
    assert found["ssim"] == pytest.approx(1)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
