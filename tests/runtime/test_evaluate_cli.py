"""`latentsr evaluate` as a user runs it: tables, files, exit codes, nothing half written."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

from latentsr.bundle import DEMO
from latentsr.evaluate.schema import read_result
from latentsr.image import save_rgb8, to_rgb8


def latentsr(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; the exit code must be as said, and no traceback may show."""
    done = subprocess.run(
        [sys.executable, "-c", "from latentsr.cli import main; main()", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A folder with two small HR pictures in `hr`."""
    (tmp_path / "hr").mkdir()
    picture = to_rgb8(DEMO.parent / "coffee.png")
    for number in range(2):
        save_rgb8(picture[90 * number :][:172, :180], tmp_path / "hr" / f"{number}.png")
    return tmp_path


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_tables_and_files(folder: Path) -> None:
    done = latentsr("evaluate", "demo", "hr", "--json", "r.json", "--csv", "r.csv", "--plot",
                    "r.svg", "--routes", "latent_x4,bicubic", cwd=folder)  # fmt: skip
    result = read_result(folder / "r.json")
    assert result["command"][:4] == ["latentsr", "evaluate", "demo", "hr"]
    mean = result["summary"][0]["figures"]["psnr"]["mean"]
    assert "latent_x4" in done.stdout and f"{mean:.2f} ±" in done.stdout
    assert "border 0" in done.stdout and "random" not in done.stdout
    with (folder / "r.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(result["rows"]) == 6
    assert ElementTree.parse(folder / "r.svg").getroot().tag.endswith("svg")
    last = done.stdout.splitlines()[-3:]
    assert last == [f"r.{e}: {(folder / f'r.{e}').stat().st_size} bytes"
                    for e in ("json", "csv", "svg")]  # fmt: skip


def test_reduced_as_the_bundle_does(folder: Path) -> None:
    shutil.copytree(DEMO, folder / "own.lsr")
    path = folder / "own.lsr" / "manifest.json"
    manifest = json.loads(path.read_text())
    encode = manifest["routes"]["encode"]
    own = {"op": "reduce", "in": "picture", "out": "picture", "scale": 4, "filter": "bicubic"}
    manifest["routes"]["encode_hr"] = {**encode, "steps": [own, *encode["steps"]]}
    path.write_text(json.dumps(manifest))
    done = latentsr("evaluate", "own.lsr", "hr", "--reduction", "bundle", "--routes", "bicubic",
                    "--plot", "r.svg", cwd=folder)  # fmt: skip
    assert "reduced as the bundle's encode_hr does" in done.stdout


def test_earlier_results_are_plotted_as_well(folder: Path) -> None:
    shutil.copytree(DEMO, folder / "second.lsr")
    common = ("hr", "--routes", "bicubic")
    latentsr("evaluate", "demo", *common, "--json", "first.json", cwd=folder)
    latentsr("evaluate", "second.lsr", *common, "--with", "first.json", "--plot", "r.svg",
             cwd=folder)  # fmt: skip
    text = (folder / "r.svg").read_text()
    assert "second, demo" in text and "anchor, second:" in text and "anchor, demo:" in text
    done = latentsr("evaluate", "second.lsr", *common, "--border", "3", "--with", "first.json",
                    "--plot", "s.svg", cwd=folder, code=2)  # fmt: skip
    assert "differ in border" in done.stderr and not (folder / "s.svg").exists()


def test_random_weights_are_said_everywhere(folder: Path) -> None:
    shutil.copytree(DEMO, folder / "random.lsr")
    manifest = folder / "random.lsr" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"random_weights": True}))
    done = latentsr("evaluate", "random.lsr", "hr/0.png", "--routes", "latent_x4", "--json",
                    "r.json", "--csv", "r.csv", "--plot", "r.svg", cwd=folder)  # fmt: skip
    assert "random weights" in done.stdout and "mean nothing" in done.stdout
    assert "±" not in done.stdout  # one picture has no deviation
    assert read_result(folder / "r.json")["bundles"][0]["random_weights"] is True
    with (folder / "r.csv").open() as file:
        assert [line["random_weights"] for line in csv.DictReader(file)] == ["True"]
    assert "random has random weights" in (folder / "r.svg").read_text()


def test_a_bad_picture_makes_the_exit_code_2_and_nothing_else(folder: Path) -> None:
    (folder / "hr" / "bad.png").write_bytes(b"\x89PNG no")
    shutil.copytree(DEMO, folder / "second.lsr")
    done = latentsr("evaluate", "demo", "second.lsr", "hr", "--routes", "bicubic", "--json",
                    "r.json", cwd=folder, code=2)  # fmt: skip
    assert done.stderr.count("error: bad.png: ") == 1
    assert "1 picture of 3 failed" in done.stdout
    result = read_result(folder / "r.json")
    assert [failure["bundle"] for failure in result["failures"]] == ["demo", "second"]
    assert len(result["rows"]) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.lsr", "hr", "--json", "r.json"], "no bundle there"),
        (["hr/0.png", "hr"], "no bundle there"),
        (["demo", "demo", "hr"], "bundles repeat"),
        (["demo", "empty"], "folder has no input"),
        (["demo", "none.png"], "nothing could be evaluated"),
        (["demo", "hr", "--routes", "no"], "no such decode route"),
        (["demo", "hr", "--scale", "3"], "another scale"),
        (["demo", "hr", "--reduction", "no"], "no such reduction"),
        (["demo", "hr", "--metric", "no"], "no such metric"),
        (["demo", "hr", "--border", "90"], "border leaves nothing"),
        (["demo", "hr", "--threads", "0"], "thread"),
        (["demo", "hr", "--plot", "r.png"], "expected .svg"),
        (["demo", "hr", "--csv", "no/r.csv"], "found no folder no"),
        (["demo", "hr", "--csv", "empty"], "found a folder"),
        (["demo", "hr", "--csv", "r.x", "--json", "r.x"], "outputs collide"),
        (["demo", "hr", "--with", "hr/0.png"], "evaluation cannot be read"),
    ],
)
def test_bad_input(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "empty").mkdir()
    before = files(folder)
    done = latentsr("evaluate", *arguments, cwd=folder, code=2)
    assert message in " ".join(done.stderr.split()) and len(done.stderr.splitlines()) == 1
    assert files(folder) == before
