"""Files that measuring commands write: looked at before anything is measured, never over inputs."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

import report_case
from command_line import latentsr
from latentsr.bundle import DEMO
from latentsr.errors import UsageError
from latentsr.files import check_outputs, write_bytes
from latentsr.image import save_rgb8, to_rgb8

PICTURE = DEMO.parent / "coffee.png"
# Of a run that measures something: these would say so before they end.
LONG = ("--launches", "9", "--iterations", "999")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bench", "demo", PICTURE, *LONG, "--json", "none/r.json"), "no folder none"),
        (("bench", "demo", PICTURE, *LONG, "--report", "."), "found a folder"),
        (("bench", "demo", PICTURE, *LONG, "--csv", "r", "--markdown", "./r"), "collide"),
        (("report", "r.json", "--html", "none/r.html"), "no folder none"),
        (("report", "r.json", "--html", "r.html", "--markdown", "r.html"), "collide"),
        (("report", "r.json", "--markdown", "r.json"), "replace its input"),
        (("report", "r.json", "r.json", "--html", "link.json"), "replace its input"),
        (("verify", "demo", PICTURE, "--save", "none/v"), "no folder none"),
        (("verify", "demo", PICTURE, "--save", "here/"), "found a folder"),
        (("verify", "demo", PICTURE, "--with", "r.json", "--save", "r.json"), "replace its input"),
        (("evaluate", "demo", ".", "--with", "r.json", "--json", "r.json"), "replace its input"),
        (("profile", "demo", PICTURE, "--runs", "1000", "--trace", "."), "found a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused_at_once(
    tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    (tmp_path / "r.json").write_text(json.dumps(report_case.result()))
    (tmp_path / "link.json").symlink_to("r.json")
    (tmp_path / "here").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = latentsr(*arguments, cwd=tmp_path, code=2)
    assert words in done.stderr and done.stdout == ""
    after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_the_output_that_is_there_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"r\.json twice"):
        check_outputs([tmp_path / "r.json", tmp_path / "r.json", tmp_path / "r.svg"])


@pytest.mark.parametrize("name", [".", "/"])
def test_folders_without_a_name_are_no_files(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be written: found Is a directory"):
        write_bytes(Path(name), b"")


def test_a_result_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(report_case.result()))
    (tmp_path / "bad.json").write_text(json.dumps(report_case.result(created=None)))
    done = latentsr("report", "good.json", "bad.json", cwd=tmp_path, code=2)
    assert "bad.json.created" in done.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_pictures_whose_names_are_not_utf8(tmp_path: Path) -> None:
    save_rgb8(to_rgb8(PICTURE)[:32, :32], tmp_path / "a.png")
    odd = tmp_path / os.fsdecode(b"\xff.png")
    (tmp_path / "a.png").rename(odd)
    latentsr("evaluate", "demo", ".", "--routes", "bicubic", "--json", "r.json", "--csv", "r.csv",
             "--plot", "r.svg", cwd=tmp_path)  # fmt: skip
    with (tmp_path / "r.csv").open(encoding="utf-8") as file:
        assert {row["picture"] for row in csv.DictReader(file)} == {"\\udcff.png"}
