"""A cache of built files: key, lock, atomic write, sidecar, and a reason when an entry is refused.

An entry is two files, ``NAME.bin`` (whatever was built: an engine, a plan) and ``NAME.json``, its
sidecar: the facts it was built for (hashes, library versions, processor …), SHA-256 and size of the
payload, and notes of its builder. An entry is used only where its facts are those wanted and its
bytes are those written; else `Cache.fetch` builds it again and says why in one line. The folder is
untrusted: damaged, foreign or huge files are refused, never an exception.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from latentsr.errors import UsageError
from latentsr.files import write_bytes

FOLDER_VARIABLE = "LATENTSR_CACHE"
FORMAT = 1
_MAX_SIDECAR = 4 << 20
_MAX_PAYLOAD = 4 << 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")

Facts = Mapping[str, Any]
Build = Callable[[], tuple[bytes, Mapping[str, Any]]]
Say = Callable[[str], None]
Refuse = Callable[["Entry"], str | None]


@dataclass(frozen=True)
class Entry:
    """What the cache holds under a name: the payload, its place, and its builder's notes."""

    path: Path
    data: bytes
    facts: Facts
    notes: Mapping[str, Any]


def default_folder() -> Path:
    """`LATENTSR_CACHE`, else ``latentsr`` in the XDG cache folder, else ``~/.cache/latentsr``.

    Raises UsageError where none of them is known: in some containers users have no home.
    """
    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    # The specification: a path that is not absolute is to be ignored.
    if base and Path(base).is_absolute():
        return Path(base) / "latentsr"
    try:
        return Path.home() / ".cache" / "latentsr"
    except RuntimeError:
        raise UsageError(
            "cache has no place: found a user without a home folder, expected one; set "
            f"{FOLDER_VARIABLE} to a folder that can be written"
        ) from None


class Cache:
    """Entries by name in one folder, shared by all processes of a user."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder

    def find(self, name: str, facts: Facts) -> tuple[Entry | None, str | None]:
        """The entry where it is whole and was built for these facts, else None and the reason.

        The reason is None where there is no entry at all.
        """
        path, sidecar = self._paths(name)
        try:
            if not sidecar.exists() and not path.exists():
                return None, None
            raw = _read(sidecar, _MAX_SIDECAR)
            entry = _object(json.loads(raw))
            built_for, notes = _object(entry["facts"]), _object(entry["notes"])
            size, digest = entry["bytes"], entry["sha256"]
            if entry["format"] != FORMAT or type(size) is not int or size < 0:
                raise ValueError(f"format {entry['format']!r}")
            differs = _difference(built_for, json.loads(json.dumps(facts)))
            if differs:
                return None, f"{name} was built for another case: {differs}"
            data = _read(path, min(size, _MAX_PAYLOAD))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            return None, f"{name} is damaged: {type(error).__name__} {error}"[:200]
        if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
            return None, f"{name} is damaged: its bytes are not those that were written"
        return Entry(path, data, built_for, notes), None

    def fetch(
        self, name: str, facts: Facts, build: Build, say: Say, refuse: Refuse = lambda _: None
    ) -> Entry:
        """The entry, built first where there is none, a stale or a damaged one.

        build: makes payload and notes. Of several processes that want the same, one builds and
        the others wait for it. say: gets one line for each of: waiting, an entry refused. refuse:
        a reason against an entry that is whole, None for none. Raises UsageError where the folder
        cannot be written, and what `build` raises.
        """
        found, _ = self.find(name, facts)
        if found is not None and refuse(found) is None:
            return found
        with self.locked(name, say):
            found, reason = self.find(name, facts)  # another process may have built it meanwhile
            if found is not None:
                reason = refuse(found)
                if reason is None:
                    return found
            if reason is not None:
                say(f"{reason}; building it again")
            data, notes = build()
            return self._store(name, facts, data, notes)

    def store(self, name: str, facts: Facts, data: bytes, notes: Mapping[str, Any]) -> Entry:
        """Write an entry over whatever is there. Raises UsageError."""
        with self.locked(name, lambda _: None):
            return self._store(name, facts, data, notes)

    def _store(self, name: str, facts: Facts, data: bytes, notes: Mapping[str, Any]) -> Entry:
        path, sidecar = self._paths(name)
        # We hold the lock, so what is half-written is a killed builder's.
        for left in self.folder.glob(f".{name}.*"):
            if left.name.startswith((f".{path.name}.", f".{sidecar.name}.")):
                left.unlink(missing_ok=True)
        whole = {"format": FORMAT, "facts": dict(facts), "notes": dict(notes),
                 "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
        # A reader between the two writes finds a hash that does not fit, and asks for the lock.
        write_bytes(path, data)
        write_bytes(sidecar, json.dumps(whole, indent=1).encode())
        return Entry(path, data, facts, notes)

    @contextlib.contextmanager
    def locked(self, name: str, say: Say) -> Iterator[None]:
        """Hold the lock of a name. The system frees it when its holder ends, however it ends."""
        path = self._paths(name)[0].with_name(f"{name}.lock")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise UsageError(
                f"cache cannot be written: found {error.strerror} at {self.folder}, expected a "
                f"folder that can be written; set {FOLDER_VARIABLE} to another"
            ) from None
        with file:
            _lock(file, lambda: say(f"waiting for another process that builds {name}"))
            yield

    def _paths(self, name: str) -> tuple[Path, Path]:
        if not _NAME.fullmatch(name):
            raise UsageError(f"name of a cache entry is unsafe: found {name!r}, expected a word")
        return self.folder / f"{name}.bin", self.folder / f"{name}.json"


def _lock(file: IO[bytes], waiting: Callable[[], None]) -> None:
    try:
        import fcntl
    except ImportError:  # elsewhere two processes may build the same; writes stay atomic
        return
    with contextlib.suppress(OSError):  # network folders without locks are as systems without
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"more than {limit} bytes")
    return data


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} in place of an object")
    return value


def _difference(built: Facts, wanted: Facts) -> str | None:
    """The first facts that differ, in words."""
    keys = [key for key in (*wanted, *(set(built) - set(wanted)))
            if built.get(key) != wanted.get(key)]  # fmt: skip
    said = (f"{key} was {_short(built.get(key))}, is {_short(wanted.get(key))}" for key in keys[:2])
    return ", ".join(said) or None


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
