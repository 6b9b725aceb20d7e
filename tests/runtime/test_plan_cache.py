"""The cache of built files, with a stand-in builder: one builds, others wait, no bad entry."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latentsr.errors import UsageError
from latentsr.plans.cache import Cache, default_folder

FACTS = {"graph": "ab12", "library": "1.2.3", "cores": 2, "sizes": [[192, 128]]}
# A builder in a process of its own: says that it has begun, takes its time, counts its builds.
BUILDER = """
import sys, time
from pathlib import Path
from latentsr.plans.cache import Cache
folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
def build():
    with (folder / "builds").open("a") as file:
        file.write("x")
    (folder / "begun").touch()
    time.sleep(seconds)
    return b"an engine", {"builder": "stand-in"}
entry = Cache(folder / "cache").fetch("engine", {"version": "1"}, build, print)
print(entry.data.decode(), flush=True)
"""


class Builder:
    """Makes numbered payloads, and remembers what was said."""

    def __init__(self) -> None:
        self.count = 0
        self.said: list[str] = []

    def __call__(self) -> tuple[bytes, dict[str, int]]:
        self.count += 1
        return b"engine %d" % self.count, {"number": self.count}

    def fetch(self, cache: Cache, facts: dict[str, object] | None = None) -> bytes:
        return cache.fetch("net", FACTS if facts is None else facts, self, self.said.append).data


@pytest.fixture()
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_built_once_then_found(cache: Cache) -> None:
    builder = Builder()
    assert cache.find("net", FACTS) == (None, None)
    assert builder.fetch(cache) == builder.fetch(cache) == b"engine 1"
    assert builder.count == 1 and builder.said == []
    entry, reason = cache.find("net", FACTS)
    assert entry is not None and reason is None
    assert entry.notes == {"number": 1} and entry.facts == FACTS
    left = {path.name for path in cache.folder.iterdir()}
    assert left == {"net.bin", "net.json", "net.lock"}


def test_another_version_is_built_again_and_said(cache: Cache) -> None:
    builder = Builder()
    builder.fetch(cache)
    assert builder.fetch(cache, {**FACTS, "library": "1.3.0"}) == b"engine 2"
    assert builder.said == [
        "net was built for another case: library was 1.2.3, is 1.3.0; building it again"
    ]
    assert cache.find("net", FACTS)[0] is None


def test_facts_that_went_away_count(cache: Cache) -> None:
    builder = Builder()
    builder.fetch(cache)
    fewer = {key: value for key, value in FACTS.items() if key != "cores"}
    assert builder.fetch(cache, fewer) == b"engine 2"
    assert "cores was 2, is nothing" in builder.said[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda p, s: p.write_bytes(b"engine X"),
        lambda p, s: p.write_bytes(b""),
        lambda p, s: p.write_bytes(p.read_bytes() + b"more"),
        lambda p, s: p.unlink(),
        lambda p, s: s.unlink(),
        lambda p, s: s.write_bytes(b"\xff\xfe"),
        lambda p, s: s.write_text("[]"),
        lambda p, s: s.write_text("[" * 100_000),
        lambda p, s: s.write_text(s.read_text().replace('"bytes": 8', '"bytes": -9')),
        lambda p, s: s.write_text(s.read_text().replace('"bytes": 8', '"bytes": 8e0')),
        lambda p, s: s.write_text(s.read_text().replace('"format": 1', '"format": 2')),
        lambda p, s: s.write_text(s.read_text().replace('"notes": {', '"notes": 3, "n": {')),
        lambda p, s: s.write_bytes(b" " * (5 << 20)),
    ],
)
def test_damaged_entries_are_built_again(cache: Cache, damage: object) -> None:
    builder = Builder()
    builder.fetch(cache)
    damage(cache.folder / "net.bin", cache.folder / "net.json")  # type: ignore[operator]
    entry, reason = cache.find("net", FACTS)
    assert entry is None and reason is not None and "damaged" in reason
    assert builder.fetch(cache) == b"engine 2"
    assert len(builder.said) == 1 and builder.said[0].endswith("; building it again")
    assert builder.fetch(cache) == b"engine 2"


def test_an_entry_may_be_refused(cache: Cache) -> None:
    builder = Builder()
    builder.fetch(cache)
    say = builder.said.append
    found = cache.fetch("net", FACTS, builder, say, lambda entry: f"old: {entry.data.decode()}")
    assert found.data == b"engine 2" and builder.said == ["old: engine 1; building it again"]


def start(folder: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    first = start(tmp_path, 3)
    wait_for(tmp_path / "begun")
    second = start(tmp_path, 3)
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert outputs[0] == "an engine\n" and outputs[1].endswith("an engine\n")
    assert (tmp_path / "builds").read_text() == "x"
    if outputs[1] != "an engine\n":  # a slow start may find it built
        assert outputs[1].startswith("waiting for another process that builds engine")


def test_a_killed_builder_leaves_no_lock_and_no_rubbish(tmp_path: Path) -> None:
    killed = start(tmp_path, 60)
    wait_for(tmp_path / "begun")
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    cache = Cache(tmp_path / "cache")
    assert (cache.folder / "engine.lock").exists()
    half = cache.folder / ".engine.bin.abc"  # as if it had been killed while writing
    half.write_bytes(b"half")
    made = cache.fetch("engine", {"version": "1"}, lambda: (b"new", {}), lambda _: None)
    assert made.data == b"new" and not half.exists()


def test_a_failed_build_leaves_nothing(cache: Cache) -> None:
    def fail() -> tuple[bytes, dict[str, str]]:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cache.fetch("net", FACTS, fail, print)
    assert cache.find("net", FACTS) == (None, None)
    assert Builder().fetch(cache) == b"engine 1"


def test_unsafe_names_and_folders(tmp_path: Path) -> None:
    for name in ("../net", "", "a/b", ".hidden", "x" * 200):
        with pytest.raises(UsageError, match="unsafe"):
            Cache(tmp_path).find(name, FACTS)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cache cannot be written.*LATENTSR_CACHE"):
        Builder().fetch(Cache(tmp_path / "file" / "cache"))


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LATENTSR_CACHE", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"
    monkeypatch.delenv("LATENTSR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "latentsr"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == Path.home() / ".cache" / "latentsr"


def test_without_a_home_one_line_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LATENTSR_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # a user that nobody entered
    with pytest.raises(UsageError, match=r"cache has no place.*LATENTSR_CACHE"):
        Cache()


def test_a_folder_that_cannot_be_looked_into_holds_nothing(tmp_path: Path) -> None:
    found, reason = Cache(tmp_path / ("x" * 300)).find("net", FACTS)
    assert found is None and reason is not None and "File name too long" in reason


def test_a_folder_without_locks_can_be_used(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl", reason="locks are POSIX's")

    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert Builder().fetch(cache) == b"engine 1"


@pytest.mark.parametrize(
    "figures",
    [{"shapes": [1]}, {"shapes": {"x": [1, 2, 3, 4]}, "ratio": "2"}, {"before_ms": 10**400},
     {"kept_fp32": [{}]}, {"sgemm_after": [1]}, [], None, "x"],
)  # fmt: skip
def test_figures_of_a_plan_are_shown_whatever_they_are(cache: Cache, figures: object) -> None:
    """The cache is untrusted: what is no figure is left out of tables."""
    from latentsr.cli.plan_table import engines_table
    from latentsr.plans.plan import Plan, read_plan, row

    choice = {"shapes": None, "library": "ort", "form": "as shipped", "graph": None,
              "threads": None, "fixed": False, "figures": figures}  # fmt: skip
    raw = json.dumps({"choices": [choice], "sizes": []}).encode()
    plan: Plan = read_plan(cache.store("plan", {}, raw, {}))
    assert engines_table([row("g", choice) for choice in plan.choices]).row_count == 1


def test_sidecar_is_plain_json(cache: Cache) -> None:
    Builder().fetch(cache)
    sidecar = json.loads((cache.folder / "net.json").read_text())
    assert sidecar["facts"] == FACTS and sidecar["bytes"] == 8 and sidecar["format"] == 1
    assert oct(cache.folder.stat().st_mode & 0o777) == "0o700"
