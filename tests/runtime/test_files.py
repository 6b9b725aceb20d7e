"""Names of files as users give them: folders, long names, and what happens where one is no good."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest

import latentsr as package
from command_line import latentsr
from latentsr.bundle import locate
from latentsr.cli.batch import Manner, run_pairs
from latentsr.errors import BundleError, ImageError, StreamError, UsageError
from latentsr.files import (
    PICTURES,
    STREAMS,
    check_apart,
    expand,
    name_outputs,
    output_path,
    pair_up,
    read_stream,
    write_bytes,
)
from latentsr.image import to_rgb8

LONG = "x" * 300  # no file system here has such a name


def test_names_that_cannot_be_are_reported_where_they_are_opened() -> None:
    assert expand([LONG, "*" + LONG], STREAMS) == [Path(LONG), Path("*" + LONG)]
    assert pair_up([LONG], STREAMS, Path(LONG), ".png") == [(Path(LONG), Path(LONG))]
    check_apart(Path(LONG), Path("y" + LONG))
    with pytest.raises(StreamError, match="File name too long"):
        read_stream(Path(LONG))
    with pytest.raises(ImageError, match="File name too long"):
        to_rgb8(LONG)
    with pytest.raises(BundleError, match="found nothing at x"):
        package.load(LONG)


@pytest.mark.parametrize("length", [1, 200, 201, 251])
def test_the_longest_names_can_be_written(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("n" * length + ".png")
    write_bytes(path, b"data")
    assert path.read_bytes() == b"data" and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "a.png").write_bytes(b"old")
    for name in ("a.png", "missing.png"):
        (tmp_path / name).symlink_to(Path("disk") / name)
        write_bytes(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink() and (disk / name).read_bytes() == b"new"
    assert sorted(path.name for path in disk.iterdir()) == ["a.png", "missing.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    """A rename would put a file in the place of /dev/null where root writes to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opened for both directions it waits for nobody, and holds what is written until it is read.
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"data")
        assert pipe.is_fifo() and os.read(reader, 9) == b"data"
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no names for pipes")
def test_pipes_as_inputs_are_read_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As shells make them: `latentsr decode <(fetch a) <(fetch b) -o pictures`."""

    def job(source: Path, target: Path) -> dict[str, Any]:
        target.write_bytes(source.read_bytes())
        return {"width": 4}

    ends = [os.pipe() for _ in range(2)]
    for number, (_, into) in enumerate(ends):
        os.write(into, b"data %d" % number)
        os.close(into)
    pairs = [(Path(f"/dev/fd/{end}"), tmp_path / f"{n}.png") for n, (end, _) in enumerate(ends)]
    run_pairs(pairs, job, 1, Manner(), {})
    for number, (end, _) in enumerate(ends):
        os.close(end)
        assert (tmp_path / f"{number}.png").read_bytes() == b"data %d" % number
    assert capsys.readouterr().err == ""


def test_thousands_of_names_are_not_compared_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(
        PurePath, "__eq__", lambda one, other: compared.append(1) or str(one) == str(other)
    )
    assert len(name_outputs([Path(f"{n}.png") for n in range(100)], None, ".lss")) == 100
    assert len(compared) < 1000


def test_output_and_input_that_are_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").symlink_to("a.png")
    with pytest.raises(UsageError, match="would replace its input"):
        check_apart(tmp_path / "a.png", tmp_path / "b.png")
    check_apart(tmp_path / "a.png", tmp_path / "c.png")


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UsageError, match="folder cannot be read: found Permission denied"):
        expand([tmp_path], PICTURES)


@pytest.mark.parametrize(
    "arguments",
    [("upscale", LONG), ("decode", "a.lss", "-o", f"{LONG}.png"), ("inspect", LONG),
     ("decode", "a.lss", "-o", "o.png", "--memory", "9" * 400),
     ("decode", "a.lss", "-o", "o.png", "--region", f"{'1' * 5000},0,1,1"),
     ("build", "demo", "--seconds", "nan"), ("build", "demo", "--int8", "--gate", "inf")],
)  # fmt: skip
def test_one_line_and_exit_code_2(
    tmp_path: Path, picture: np.ndarray, arguments: tuple[str, ...]
) -> None:
    with package.load("demo", threads=1) as codec:
        (tmp_path / "a.lss").write_bytes(codec.encode(picture))
    done = latentsr(*arguments, cwd=tmp_path, code=2)
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert os.listdir(tmp_path) == ["a.lss"]  # noqa: PTH208 - names alone


def test_any_name_can_be_printed(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the encoding of the terminal, or of the program that reads the lines."""
    with package.load("demo", threads=1) as codec:
        (tmp_path / "é→.lss").write_bytes(codec.encode(picture))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    done = latentsr("decode", "é→.lss", "-o", "é→.png", cwd=tmp_path)
    assert done.stdout.startswith("\\xe9\\u2192.png: ")
    assert "bundle  " in latentsr("inspect", "demo", cwd=tmp_path).stdout


def test_nobody_need_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has no stdout where whoever began the command closed it: `latentsr … >&-`."""
    monkeypatch.setattr("sys.stdout", None)
    made = []
    pairs = [(tmp_path / name, tmp_path / f"{name}.png") for name in "ab"]
    run_pairs(pairs, lambda source, target: made.append(target) or {}, 1, Manner(), {})
    assert made == [target for _, target in pairs]


def test_outputs_may_be_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [(tmp_path / name, tmp_path / f"{name}.png") for name in "ab"]
    run_pairs(pairs, lambda source, target: {"width": 4}, 1, Manner(), {})
    assert capsys.readouterr().out.count("taken away (width 4)") == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "memory ran out"), (OSError(28, "No space left on device", "b"), "No space")],
)
def test_one_file_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    """Neither one that is too large nor a disk that is full."""
    import typer

    def job(source: Path, target: Path) -> dict[str, Any]:
        if source.name == "b":
            raise error
        target.write_bytes(b"")
        return {"bytes": 0}

    pairs = [(tmp_path / name, tmp_path / f"{name}.png") for name in "abc"]
    with pytest.raises(typer.Exit) as ended:
        run_pairs(pairs, job, 2, Manner(as_lines=True), {})
    assert ended.value.exit_code == 2
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert ["error" in line for line in lines] == [False, True, False] and said in err


def test_a_dash_is_no_output() -> None:
    """To those who mean stdout a file of that name would be a riddle."""
    with pytest.raises(UsageError, match="output is a dash"):
        output_path("-")
    assert output_path("./-") == Path("-")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="the system has no such users")
def test_a_folder_that_must_not_be_looked_into_is_no_bundle() -> None:
    user = os.geteuid()
    # Not pytest's folder: it is closed to other users itself.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        closed = Path(folder, "closed.lsr")
        closed.mkdir(mode=0)
        try:
            if user == 0:  # nothing is closed to root
                os.seteuid(65534)
            with pytest.raises(BundleError, match="not a bundle: found no readable manifest"):
                locate(closed)
        finally:
            os.seteuid(user)
