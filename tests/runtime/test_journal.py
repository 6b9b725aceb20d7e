"""The journal of a run: what counts as done, and what never does."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from latentsr.errors import UsageError
from latentsr.journal import Journal

WHAT = {"decode": "lr", "bundle": "0" * 64}
FACTS = {"width": 4, "height": 3, "ms": 1.5}


@pytest.fixture()
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An input and an output that a run has noted."""
    source, target = tmp_path / "a.lss", tmp_path / "a.png"
    source.write_bytes(b"stream")
    target.write_bytes(b"picture")
    journal = Journal(WHAT, resume=True)
    journal.note(journal.begin(source), target, FACTS)
    return source, target


def finished(source: Path, target: Path) -> object:
    return Journal(WHAT, resume=True).finished(source, target)


def test_an_untouched_output_is_done(files: tuple[Path, Path]) -> None:
    assert finished(*files) == FACTS


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("content", [None, b"", b"strean", b"picturf", b"longer than before"])
def test_a_changed_or_missing_file_is_not(
    files: tuple[Path, Path], side: int, content: bytes | None
) -> None:
    files[side].unlink()
    if content is not None:
        files[side].write_bytes(content)
    assert finished(*files) is None


def test_another_command_bundle_or_name_is_not(files: tuple[Path, Path]) -> None:
    source, target = files
    for what in ({**WHAT, "bundle": "1" * 64}, {"upscale": "lr", "bundle": "0" * 64}):
        assert Journal(what, resume=True).finished(source, target) is None
    copy = target.with_name("b.png")
    copy.write_bytes(target.read_bytes())
    assert finished(source, copy) is None


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_in_the_journal_s_place_is_an_error(tmp_path: Path, resume: bool) -> None:
    """One that a user can read, for each file that would go there."""
    journal = Journal(WHAT, resume)
    journal.path(tmp_path / "a.png").mkdir()
    for _ in range(2):
        with pytest.raises(UsageError, match="journal cannot be used"):
            journal.finished(tmp_path / "a.lss", tmp_path / "a.png")
    journal.close()


def test_facts_say_nothing_but_facts(tmp_path: Path) -> None:
    """The journal lies where anybody may write: its line is no word on which file is which."""
    source, target = tmp_path / "a.lss", tmp_path / "a.png"
    source.write_bytes(b"stream")
    target.write_bytes(b"picture")
    journal = Journal(WHAT, resume=True)
    journal.note(journal.begin(source), target, {**FACTS, "output": 5, "input": [], "error": ""})
    assert finished(source, target) == FACTS


def test_an_input_that_changes_while_it_is_worked_on_is_made_again(tmp_path: Path) -> None:
    source, target = tmp_path / "a.lss", tmp_path / "a.png"
    source.write_bytes(b"first")
    journal = Journal(WHAT, resume=True)
    begun = journal.begin(source)
    source.write_bytes(b"second")
    target.write_bytes(b"picture of the first")
    journal.note(begun, target, FACTS)
    assert finished(source, target) is None


def test_the_last_line_counts(files: tuple[Path, Path]) -> None:
    source, target = files
    target.write_bytes(b"another picture")
    journal = Journal(WHAT, resume=True)
    journal.note(journal.begin(source), target, {"width": 9})
    assert finished(source, target) == {"width": 9}


def test_damaged_lines_are_passed_over(files: tuple[Path, Path]) -> None:
    source, target = files
    path = Journal(WHAT, resume=True).path(target)
    whole = path.read_bytes()
    for line in (
        b"no json", b"[1]", b"{}", b"\xff\xfe", b"[" * 100_000,
        json.dumps({**json.loads(whole), "output_bytes": "7"}).encode(),
        json.dumps({**json.loads(whole), "facts": None}).encode(),
        json.dumps({**json.loads(whole), "output": []}).encode(),
        json.dumps({k: v for k, v in json.loads(whole).items() if k != "input_sha256"}).encode(),
        json.dumps({k: v for k, v in json.loads(whole).items() if k != "output_bytes"}).encode(),
    ):  # fmt: skip
        path.write_bytes(line + b"\n" + whole)
        assert finished(source, target) == FACTS
        path.write_bytes(line + b"\n")
        assert finished(source, target) is None


def test_an_empty_journal_says_nothing_and_goes_on(files: tuple[Path, Path]) -> None:
    """As a full disk leaves it."""
    source, target = files
    Journal(WHAT, resume=True).path(target).write_bytes(b"")
    journal = Journal(WHAT, resume=True)
    assert journal.finished(source, target) is None
    journal.note(journal.begin(source), target, FACTS)
    assert finished(source, target) == FACTS


@pytest.mark.parametrize("cut", [2, 40])
def test_a_line_that_was_cut_off_never_counts_and_spoils_no_other(
    files: tuple[Path, Path], cut: int
) -> None:
    source, target = files
    path = Journal(WHAT, resume=True).path(target)
    path.write_bytes(path.read_bytes()[:-cut])
    assert finished(source, target) is None
    journal = Journal(WHAT, resume=True)
    assert journal.finished(source, target) is None
    journal.note(journal.begin(source), target, FACTS)
    assert finished(source, target) == FACTS


def test_without_resume_nothing_is_believed_and_nothing_stays(files: tuple[Path, Path]) -> None:
    source, target = files
    journal = Journal(WHAT, resume=False)
    assert journal.finished(source, target) is None
    assert not journal.path(target).exists()
    journal.note(journal.begin(source), target, FACTS)
    assert journal.path(target).exists()  # until the end: a run that is cut off leaves it
    journal.close()
    assert sorted(p.name for p in target.parent.iterdir()) == ["a.lss", "a.png"]


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    source = tmp_path / "a.lss"
    source.write_bytes(b"stream")
    journal = Journal(WHAT, resume=True)

    def one(number: int) -> None:
        target = tmp_path / f"{number}.png"
        target.write_bytes(b"%d" % number)
        journal.note(journal.begin(source), target, {"number": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))
    again = Journal(WHAT, resume=True)
    for number in range(200):
        assert again.finished(source, tmp_path / f"{number}.png") == {"number": number}
