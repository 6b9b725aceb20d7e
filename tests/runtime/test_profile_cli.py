"""`latentsr profile`: what it prints and writes, and how it refuses bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from latentsr.report.profile import OVERHEAD
from profile_case import PACKAGES, low_picture, source_of

COMMAND = Path(sys.executable).with_name("latentsr")


def run_cli(
    folder: Path, *arguments: object, code: int = 0, **changes: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(COMMAND), "profile", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, **changes},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def files(folder: Path) -> set[Path]:
    """All below a folder, but a file that ONNX Runtime keeps among the temporary ones."""
    return {path for path in folder.rglob("*") if path.name != ".ses"}


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A folder with a picture, its stream, an empty place for temporary files."""
    Image.fromarray(low_picture()).save(tmp_path / "a.png")
    (tmp_path / "a.lss").write_bytes(source_of("lr"))  # type: ignore[arg-type] - a stream
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_command(folder: Path) -> None:
    few = ("--threads", 1, "--warmup", 1, "--runs", 2)
    done = run_cli(folder, "demo", "a.lss", *few, "--top", 4, "--trace", "t.json", "--json")
    facts = json.loads(done.stdout)
    assert set(facts) == {
        "route", "runs_on", "runs", "ms", "median_ms", "between_stages_ms", "engine_ms", "node_ms",
        "coverage", "stages", "op_types", "nodes", "bundle", "input", "threads", "warmup", "trace",
    }  # fmt: skip
    assert facts["route"] == "latent_x4" and facts["runs"] == 2 and facts["warmup"] == 1
    assert len(facts["nodes"]) == 4 and facts["trace"] == "t.json"
    assert set(facts["nodes"][0]) >= {
        "graph", "node", "op_type", "ran_by", "ms", "share_of_engines", "share_of_route", "calls",
        "macs", "gmacs_per_second",
    }  # fmt: skip
    assert len(json.loads((folder / "t.json").read_text())["traceEvents"]) > 100
    done = run_cli(folder, "demo", "a.png", *few, "--trace", "t.json", TMPDIR="temporary")
    assert OVERHEAD in done.stdout and "coverage" in done.stdout
    size = (folder / "t.json").stat().st_size
    assert done.stdout.splitlines()[-1] == f"t.json: {size} bytes"
    assert not files(folder / "temporary")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "a.lss", "--route", "x9"], "no such route: found 'x9', expected one of bicubic"),
        (["demo", "a.lss", "--route", "encode"], "not a picture"),
        (["demo", "text.lss"], "not a latentsr stream"),
        (["demo", "none.lss"], "No such file"),
        (["demo", "text.png"], "picture"),
        (["demo", "cut.lss"], "stream"),
        (["none.lsr", "a.lss"], "no bundle there"),
        (["demo", "a.lss", "--backend", "abacus"], "expected one of ort"),
        (["demo", "a.lss", "--runs", "0"], "number of runs"),
        (["demo", "a.lss", "--runs", "1001"], "number of runs"),
        (["demo", "a.lss", "--warmup", "-1"], "number of runs"),
        (["demo", "a.lss", "--top", "0"], "length of the list"),
        (["demo", "a.lss", "--runs", "1", "--trace", "none/t.json"], "cannot be written"),
    ],
)
def test_bad_input(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "text.png").write_text("hello")
    (folder / "text.lss").write_text("hello")
    (folder / "cut.lss").write_bytes((folder / "a.lss").read_bytes()[:-9])
    before = files(folder)
    extra = [] if "none/t.json" in arguments else ["--trace", "t.json"]
    done = run_cli(folder, *arguments, "--threads", "1", *extra, code=2, TMPDIR="temporary")
    assert message in " ".join(done.stderr.split())
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert not done.stdout
    assert files(folder) == before


@pytest.mark.parametrize("backend", PACKAGES)
def test_missing_engine_library(folder: Path, backend: str) -> None:
    # A package of that name that cannot be imported, before the installed one.
    (folder / f"{PACKAGES[backend]}.py").write_text("raise ImportError")
    arguments = ("demo", "a.lss", "--backend", backend, "--trace", "t.json")
    done = run_cli(folder, *arguments, code=2, PYTHONPATH=str(folder))
    assert f"found no {PACKAGES[backend]}" in done.stderr and "pip install" in done.stderr
    assert not (folder / "t.json").exists()
