"""Which files of a run over many are done, so that an interrupted run can go on.

Each folder that outputs go to gets one file ``.latentsr-KEY.jsonl``, where KEY stands for all that
decides an output besides its input: command, route, bundle, engine, version. Each line is one
finished output::

    {"output": "a.png", "output_bytes": 913, "output_sha256": "…",
     "input_bytes": 51, "input_sha256": "…", "facts": {"width": 4, …}}

It is added after the output got its name, in one write, so an output that is half-written has no
line. An output counts as done only while it and its input hash to what the last line with its name
says; lines that are cut off or no such object are passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentsr.bundle import MANIFEST, Bundle
from latentsr.errors import UsageError

_MAX_LINE = 1 << 16
_MAX_LINES = 10_000_000
_OWN = ("input", "output", "error")
_DIGESTS = ("output_sha256", "input_sha256")


def bundle_identity(bundle: Bundle) -> str:
    """SHA-256 of the bundle's manifest, which in turn names the hash of every file."""
    return hashlib.sha256((bundle.path / MANIFEST).read_bytes()).hexdigest()


class Journal:
    """The journals of one run; many threads may share it.

    what: all that decides an output besides its input, as JSON. resume: believe what earlier runs
    noted, and keep the files at the end; otherwise earlier ones of the same key are written anew.
    """

    def __init__(self, what: Mapping[str, Any], resume: bool) -> None:
        words = json.dumps(what, sort_keys=True, separators=(",", ":"))
        self._name = f".latentsr-{hashlib.sha256(words.encode()).hexdigest()[:16]}.jsonl"
        self._resume = resume
        self._lock = threading.Lock()
        self._known: dict[Path, dict[str, dict[str, Any]]] = {}

    def path(self, target: Path) -> Path:
        """The journal of the folder that an output is in."""
        return target.parent / self._name

    def finished(self, source: Path, target: Path) -> dict[str, Any] | None:
        """Facts of an output that is there and made from this very input, or None."""
        entry = self._entries(target.parent).get(target.name)
        if entry is None:
            return None
        found = {"output": _identity(target), "input": _identity(source)}
        for side, identity in found.items():
            if identity != (entry[f"{side}_bytes"], entry[f"{side}_sha256"]):
                return None
        # What a run itself says of a file is never a fact of an earlier one.
        return {key: fact for key, fact in entry["facts"].items() if key not in _OWN}

    def begin(self, source: Path) -> tuple[int, str] | None:
        """Identity of an input, to be taken before it is read: what changes later is made again."""
        return _identity(source)

    def note(self, begun: tuple[int, str] | None, target: Path, facts: Mapping[str, Any]) -> None:
        """Add a finished output; UsageError where the journal cannot be written."""
        made = _identity(target)
        if begun is None or made is None:
            return
        line = {
            "output": target.name, "output_bytes": made[0], "output_sha256": made[1],
            "input_bytes": begun[0], "input_sha256": begun[1], "facts": dict(facts),
        }  # fmt: skip
        self._entries(target.parent)
        with self._lock:
            try:
                with self.path(target).open("ab") as file:
                    file.write(json.dumps(line).encode() + b"\n")
            except OSError as error:
                raise UsageError(
                    f"journal cannot be written: found {error.strerror} at {self.path(target)}, "
                    "expected a folder that can be written; choose another"
                ) from None

    def close(self) -> None:
        """End a run that came to its end: without `resume` nothing is left behind."""
        if not self._resume:
            for folder in self._known:
                with contextlib.suppress(OSError):  # the outputs are there all the same
                    (folder / self._name).unlink(missing_ok=True)

    def _entries(self, folder: Path) -> dict[str, dict[str, Any]]:
        """What earlier runs noted in a folder; without `resume` their journal is removed."""
        with self._lock:
            if folder not in self._known:
                path = folder / self._name
                try:
                    found = _read(path) if self._resume else {}
                    if not self._resume:
                        path.unlink(missing_ok=True)
                    elif path.exists():
                        _end_last_line(path)
                except OSError as error:
                    raise UsageError(
                        f"journal cannot be used: found {error.strerror} at {path}, expected the "
                        "file of an earlier run, or none; remove it"
                    ) from None
                self._known[folder] = found
            return self._known[folder]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Entries by the output's name, later ones in place of earlier ones."""
    found: dict[str, dict[str, Any]] = {}
    try:
        with path.open("rb") as file:
            for _ in range(_MAX_LINES):
                line = file.readline(_MAX_LINE)
                if not line:
                    break
                entry = _entry(line)
                if entry is not None:
                    found[entry["output"]] = entry
    except FileNotFoundError:
        pass
    return found


def _entry(line: bytes) -> dict[str, Any] | None:
    """One line taken apart, or None where it is not what `Journal.note` writes."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    right = all(isinstance(entry.get(key), str) for key in ("output", *_DIGESTS))
    right &= all(type(entry.get(f"{side}_bytes")) is int for side in ("output", "input"))
    return entry if right and isinstance(entry.get("facts"), dict) else None


def _end_last_line(path: Path) -> None:
    """Keep a line that was cut off from swallowing the next one."""
    with path.open("rb+") as file:
        if file.seek(0, 2) and (file.seek(-1, 2), file.read(1))[1] != b"\n":
            file.write(b"\n")


def _identity(path: Path) -> tuple[int, str] | None:
    """Size and SHA-256 of a file, None where there is none that can be read.

    None of a pipe as well: what is read of it here would be missing where it is decoded.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), digest
    except OSError:
        return None
