"""Empty names of files, as scripts make them of variables that are not set, are errors."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import latentsr as package
from command_line import latentsr
from latentsr.bundle import DEMO
from latentsr.errors import BundleError, UsageError
from latentsr.files import expand, named_path

COMMANDS = (
    "decode ''",
    "decode a.lss ''",
    "decode a.lss -o ''",
    "decode a.lss --output=",
    "decode a.lss -m ''",
    "upscale ''",
    "upscale a.lss -o ''",
    "encode ''",
    "encode a.png -o ''",
    "batch ''",
    "bench ''",
    "bench demo ''",
    "bench demo a.png --json ''",
    "build ''",
    "build demo --picture ''",
    "compare '' ''",
    "demo --out ''",
    "evaluate '' a.png",
    "evaluate demo ''",
    "evaluate demo a.png --csv ''",
    "export-triton demo -o ''",
    "inspect ''",
    "profile demo ''",
    "profile demo a.lss --trace ''",
    "report ''",
    "report a.json --html ''",
    "verify ''",
    "verify demo ''",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is a bundle, with a stream and a picture: all that `.` could be taken for."""
    path = tmp_path_factory.mktemp("names")
    for file in DEMO.rglob("*"):
        if file.is_file():
            (path / file.relative_to(DEMO)).parent.mkdir(exist_ok=True)
            (path / file.relative_to(DEMO)).write_bytes(file.read_bytes())
    (path / "a.png").write_bytes((DEMO.parent / "coffee.png").read_bytes())
    with package.load("demo") as codec:
        (path / "a.lss").write_bytes(codec.encode(path / "a.png"))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(folder: Path, command: str) -> None:
    before = sorted(folder.rglob("*"))
    done = latentsr(*shlex.split(command), cwd=folder, code=2)
    message = done.stderr.strip().splitlines()[-1]
    assert "name is empty: found ''" in message or "found an empty name" in message
    assert "expected a f" in message
    assert sorted(folder.rglob("*")) == before


def test_the_exporter(folder: Path) -> None:
    pytest.importorskip("torch", reason="the exporter needs torch")
    pytest.importorskip("compressai", reason="the exporter needs compressai")
    for command in ("export '' -o x.lsr", "export a.pth -o x.lsr --pixel-sr edsr="):
        done = latentsr(*shlex.split(command), cwd=folder, code=2)
        assert "name is empty: found ''" in done.stderr


def test_options_that_name_no_file_may_be_empty(folder: Path) -> None:
    assert "jpeg" in latentsr("bench", "demo", "--routes", "", "--baseline", "list",
                              cwd=folder).stdout  # fmt: skip


def test_in_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(BundleError, match="found an empty name, expected a folder"):
        package.load("")
    with pytest.raises(UsageError, match="name is empty"):
        expand(["a.lss", ""], (".lss",))
    assert expand(["."], (".lss",)) == [Path("a.lss")]
    assert named_path(".") == Path()
