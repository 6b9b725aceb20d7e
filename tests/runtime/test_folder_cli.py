"""Folders on the command line: several files at a time, lines of JSON, interrupted and resumed."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import latentsr as package
from command_line import latentsr, started
from latentsr.cli.progress import tracked

COUNT = 14


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> Path:
    """A folder of streams of mixed sizes; the seventh is damaged."""
    folder = tmp_path_factory.mktemp("streams")
    with package.load("demo", threads=1) as codec:
        for number in range(COUNT):
            part = np.roll(picture, 9 * number, 0)[: 101 - 5 * (number % 4), : 75 - number]
            (folder / f"{number:02}.lss").write_bytes(codec.encode(part))
    whole = (folder / "06.lss").read_bytes()
    (folder / "06.lss").write_bytes(whole[:-20] + bytes(20))
    return folder


def pictures(folder: Path) -> dict[str, bytes]:
    """All files that are no journal."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".jsonl"}


@pytest.fixture(scope="module")
def expected(streams: Path) -> dict[str, bytes]:
    """What one job after the other makes of the folder."""
    out = streams.parent / f"{streams.name}-expected"
    latentsr("decode", streams, "-o", out, "--jobs", "1", cwd=streams, code=2)
    return pictures(out)


@pytest.mark.parametrize("jobs", [2, 5])
def test_jobs_change_nothing_but_the_time(
    streams: Path, expected: dict[str, bytes], tmp_path: Path, jobs: int
) -> None:
    done = latentsr("decode", streams, "-o", "out", "--jobs", jobs, "--jsonl", cwd=tmp_path, code=2)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["input"]).stem for line in lines] == [f"{n:02}" for n in range(COUNT)]
    assert [n for n, line in enumerate(lines) if "error" in line] == [6]
    assert done.stderr.count("error: ") == 1
    assert all({"output", "width", "height", "ms", "stages"} <= set(lines[n]) for n in (0, 13))
    assert pictures(tmp_path / "out") == expected and len(expected) == COUNT - 1
    # A run that came to its end leaves no journal.
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("how", ["folder", "file", "glob"])
def test_a_folder_of_one_file_goes_into_a_folder(
    streams: Path, expected: dict[str, bytes], tmp_path: Path, how: str
) -> None:
    """What kind of thing the output is follows from the command, not from how many files are in."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "00.lss").write_bytes((streams / "00.lss").read_bytes())
    given = {"folder": "in", "file": "in/00.lss", "glob": "in/*.lss"}[how]
    out = "out" if how == "folder" else "out.png"
    latentsr("decode", given, "-o", out, cwd=tmp_path)
    made = tmp_path / out / "00.png" if how == "folder" else tmp_path / out
    assert made.read_bytes() == expected["00.png"]
    if how == "folder":
        latentsr("encode", "out", "-o", "again", cwd=tmp_path)
        latentsr("upscale", "again", "-o", "large", "--route", "bicubic", cwd=tmp_path)
        assert [path.name for path in (tmp_path / "large").iterdir()] == ["00_bicubic.png"]
        (tmp_path / "taken").touch()
        done = latentsr("decode", "in", "-o", "taken", cwd=tmp_path, code=2)
        assert "File exists" in done.stderr and not (tmp_path / "taken").stat().st_size


def test_encode_at_a_time(expected: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in expected.items():
        (tmp_path / "in" / name).write_bytes(data)
    latentsr("encode", "in", "-o", "one", "--jobs", "1", cwd=tmp_path)
    latentsr("encode", "in", "-o", "many", "--jobs", "4", "--threads", "1", cwd=tmp_path)
    assert pictures(tmp_path / "one") == pictures(tmp_path / "many")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_goes_on(streams: Path, tmp_path: Path, how: signal.Signals) -> None:
    command = ["upscale", str(streams), "--route", "pixel_x4", "-o", "out", "--jobs", "2"]
    latentsr(*command[:-4], "-o", "whole", "--jobs", "2", cwd=tmp_path, code=2)
    with started(*command, "--jsonl", cwd=tmp_path) as begun:
        seen = [json.loads(begun.line()) for _ in range(3)]  # flushed line by line
        begun.process.send_signal(how)
        rest, words = begun.finish()
    code = begun.process.returncode
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130), words
    if how != signal.SIGKILL:
        assert "--resume" in words and "Traceback" not in words
    assert len(seen) + len(rest) < COUNT
    journals = list((tmp_path / "out").glob(".latentsr-*.jsonl"))
    assert len(journals) == 1
    if how != signal.SIGKILL:
        assert list((tmp_path / "out").glob(".*")) == journals
    # What a crash in the middle of a write leaves, and a picture that someone cut.
    with journals[0].open("ab") as file:
        file.write(b'{"output": "13')
    cut = Path(seen[1]["output"])
    (tmp_path / cut).write_bytes((tmp_path / cut).read_bytes()[:-5])
    done = latentsr(*command, "--resume", "--jsonl", cwd=tmp_path, code=2)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(r["input"]).stem for r in results] == [f"{n:02}" for n in range(COUNT)]
    resumed = [n for n, result in enumerate(results) if result.get("resumed")]
    assert {0, 2} <= set(resumed) and 1 not in resumed and len(resumed) < COUNT - 1
    assert results[0]["width"] == seen[0]["width"]
    whole = pictures(tmp_path / "whole")
    # A killed process may leave a hidden file that it was writing; it is never taken for a picture.
    assert {n: d for n, d in pictures(tmp_path / "out").items() if n[0] != "."} == whole
    # With --resume the journal stays, so that the next run has nothing to do.
    done = latentsr(*command, "--resume", "--json", cwd=tmp_path, code=2)
    assert sum(r.get("resumed", False) for r in json.loads(done.stdout)) == COUNT - 1
    shown = latentsr(*command, "--resume", cwd=tmp_path, code=2).stdout
    assert shown.count("done before") == COUNT - 1


def test_resume_knows_input_bundle_and_route(streams: Path, tmp_path: Path) -> None:
    names = [tmp_path / f"{n}.lss" for n in range(3)]
    for number, path in enumerate(names):
        path.write_bytes((streams / f"{number:02}.lss").read_bytes())

    def resumed(*more: str) -> list[bool]:
        done = latentsr("decode", *names, "-o", "out", "--resume", "--json", *more, cwd=tmp_path)
        return ["resumed" in result for result in json.loads(done.stdout)]

    assert resumed() == [False] * 3
    assert resumed() == [True] * 3
    assert resumed("--route", "latent_x4") == [False] * 3
    assert resumed() == [False] * 3  # the other route's pictures lie there now
    names[1].write_bytes((streams / "04.lss").read_bytes())
    assert resumed() == [True, False, True]


def test_two_forms_at_once_are_refused(streams: Path) -> None:
    done = latentsr("decode", "00.lss", "--json", "--jsonl", cwd=streams, code=2)
    assert "expected one of them" in done.stderr
    done = latentsr("decode", "00.lss", "--jobs", "0", cwd=streams, code=2)
    assert "jobs: found 0" in done.stderr


def test_progress_shows_count_rate_and_time() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100, color_system=None)
    assert list(tracked(iter(range(30)), 30, console)) == list(range(30))
    assert "30/30" in shown.getvalue() and "/s" in shown.getvalue()
    quiet = io.StringIO()
    assert list(tracked([1, 2], 2, Console(file=quiet))) == [1, 2]
    assert quiet.getvalue() == ""
