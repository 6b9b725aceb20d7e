"""Outputs are there whole or not at all, and names of files lead where they were meant to."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from latentsr.errors import UsageError
from latentsr.files import (
    check_free,
    expand,
    name_outputs,
    output_path,
    pair_up,
    write_atomically,
    write_bytes,
)


class HalfWayError(Exception):
    """What ends a write half-way."""


def half(file: BinaryIO) -> None:
    file.write(b"half")
    file.flush()
    raise HalfWayError


@pytest.mark.parametrize("before", [None, b"whole"])
def test_a_write_that_fails_leaves_all_as_it_was(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "a.png"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(HalfWayError):
        write_atomically(path, half)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    """A viewer may have the picture open while it is made again."""
    path = tmp_path / "a.png"
    path.write_bytes(b"the old one, longer")
    with path.open("rb") as reader:
        write_bytes(path, b"new")
        assert reader.read() == b"the old one, longer"
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_files_are_as_readable_as_others_of_the_user(tmp_path: Path) -> None:
    plain, made = tmp_path / "plain", tmp_path / "made"
    plain.write_bytes(b"")
    write_bytes(made, b"")
    assert made.stat().st_mode == plain.stat().st_mode


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UsageError, match="output cannot be written"):
        write_bytes(tmp_path / "a.png", b"x")
    with pytest.raises(UsageError, match=r"output cannot be written: found No such file"):
        write_bytes(tmp_path / "none" / "a.png", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_folders_are_made_where_a_name_says_so(tmp_path: Path) -> None:
    for _ in range(2):  # the second time it is there
        assert output_path(f"{tmp_path}/a/b/") == tmp_path / "a" / "b"
        assert (tmp_path / "a" / "b").is_dir()
    assert output_path(f"{tmp_path}/c") == tmp_path / "c"
    assert not (tmp_path / "c").exists()


def test_where_results_go(tmp_path: Path) -> None:
    one, two = tmp_path / "in" / "a.lss", tmp_path / "in" / "b.lss"
    one.parent.mkdir()
    one.write_bytes(b"")
    assert name_outputs([one, two], None, ".png") == [one.with_suffix(".png"),
                                                      two.with_suffix(".png")]  # fmt: skip
    out = tmp_path / "x" / "out"
    assert name_outputs([one], out, ".png") == [out] and not out.exists()
    assert name_outputs([one], one.parent, ".png") == [one.with_suffix(".png")]
    assert name_outputs([one, two], out, ".png") == [out / "a.png", out / "b.png"]
    # A folder's results go into a folder, though there is one file in it.
    other = tmp_path / "other"
    assert pair_up([one.parent], (".lss",), other, ".png") == [(one, other / "a.png")]
    assert other.is_dir()
    with pytest.raises(UsageError, match=r"outputs collide: found .*a\.png for several"):
        name_outputs([one, tmp_path / "a.lss"], out, ".png")


def test_inputs_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c.txt", "d[1].png", "d1.png"):
        (tmp_path / name).write_bytes(b"")
    names = [path.name for path in expand([tmp_path], (".png", ".jpg"))]
    assert names == ["a.jpg", "b.PNG", "d1.png", "d[1].png"]
    assert [p.name for p in expand([tmp_path / "*.txt", tmp_path / "a.jpg"], ())] == [
        "c.txt", "a.jpg",
    ]  # fmt: skip
    # A file of that very name comes before what it would match as a pattern.
    assert expand([tmp_path / "d[1].png"], ()) == [tmp_path / "d[1].png"]
    assert expand([tmp_path / "none*"], ()) == [tmp_path / "none*"]
    with pytest.raises(UsageError, match="folder has no input"):
        expand([tmp_path], (".lss",))


def test_what_nobody_named_is_not_written_over(tmp_path: Path) -> None:
    check_free(tmp_path / "a.png")
    (tmp_path / "a.png").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="output is there already"):
        check_free(tmp_path / "a.png")
