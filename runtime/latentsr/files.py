"""Files in and out: expanding folders and globs, and writing so that nothing stays half-written."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from latentsr.errors import StreamError, UsageError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
STREAMS = (".lss",)
COMPRESSAI_FILES = (".bin",)
# Suffixes of streams that are files of a known format, the first for writing.
FILE_STREAMS = {"jpeg": (".jpg", ".jpeg")}
_MAX_STREAM = 1 << 30
_LONG_NAME = 200
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` on a new file beside `path`, then rename it to `path`.

    A link stays one: the file that it names is replaced. Devices and pipes, such as /dev/null, are
    written to as they are. Raises UsageError where the folder is missing or cannot be written.
    """
    if _is_special(path):
        return _write_into(path, write)
    if not path.name:  # the current folder or the root, beside which there is nothing
        raise _cannot_write(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    path = _without_link(path)
    # Not tempfile: its files are private, and finding out what other files here would be allowed
    # means to change the process's mask for a moment, which other threads' files would see.
    # The longest names that a folder may hold have no room for more.
    own = path.name if len(os.fsencode(path.name)) <= _LONG_NAME else ""
    hidden = path.with_name(f".{own}.{secrets.token_hex(6)}")
    try:
        file = os.fdopen(os.open(hidden, _CREATE, 0o666), "wb")
    except OSError as error:
        raise _cannot_write(path, error) from None
    try:
        with file:
            write(file)
        hidden.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        hidden.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    """Whether there is what a rename would take away: neither a file nor a folder, nor nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _without_link(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path)) if path.is_symlink() else path
    except OSError:  # no possible name: reported where it is opened
        return path


def _write_into(path: Path, write: Callable[[BinaryIO], object]) -> None:
    try:
        with path.open("wb") as file:
            write(file)
    except OSError as error:
        raise _cannot_write(path, error) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, atomically."""
    write_atomically(path, lambda file: file.write(data))


def read_stream(path: Path) -> bytes:
    """Bytes of a stream file; StreamError where it cannot be read or exceeds 1 GiB."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_STREAM + 1)
    except OSError as error:
        raise StreamError(
            f"stream cannot be read: found {error.strerror} for {path}, expected a file that "
            "`latentsr encode` wrote; check the name"
        ) from None
    if len(data) > _MAX_STREAM:
        raise StreamError(f"stream is too large: found over {_MAX_STREAM} bytes in {path}")
    return data


def stream_suffixes(file_model: str | None) -> tuple[str, ...]:
    """Suffixes of a bundle's streams, by `Manifest.file_model`; the first is the one to write."""
    return STREAMS if file_model is None else FILE_STREAMS[file_model]


def named_path(name: str) -> Path:
    """The path of a file or folder that a user named.

    Raises UsageError for an empty name, as scripts make it of variables that are not set: to Python
    that is the current folder.
    """
    if not name:
        raise UsageError(
            "name is empty: found '', expected a file or folder; pass its name, . for this folder"
        )
    return Path(name)


def output_path(name: str) -> Path:
    """As `named_path`, of results; a name that ends in a slash is a folder's, made if missing."""
    if name == "-":
        raise UsageError(
            "output is a dash: found '-', expected a file or folder, as pictures and streams are "
            "not written to stdout; pass a name, ./- for a file that is called so"
        )
    path = named_path(name)
    if name.endswith(("/", os.sep)):
        _make_folder(path)
    return path


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from None


def expand(inputs: Iterable[str | Path], suffixes: Sequence[str]) -> list[Path]:
    """Files named by paths, folders (their files with these suffixes, sorted) and globs, in order.

    A name that matches nothing is kept, so that it is reported where it is opened. Raises
    UsageError where a folder holds no such file, and for an empty name.
    """
    found: list[Path] = []
    for name in map(str, inputs):
        path = named_path(name)
        if is_folder(path):
            inside = sorted(p for p in _listed(path) if p.suffix.lower() in suffixes)
            if not inside:
                raise UsageError(
                    f"folder has no input: found no file in {path} that ends in "
                    f"{', '.join(suffixes)}, expected at least one; name the files"
                )
            found += inside
        elif glob.has_magic(name) and not os.path.lexists(path):
            found += sorted(map(Path, glob.glob(name, recursive=True))) or [path]  # noqa: PTH207 - whole pattern
        else:
            found.append(path)
    return found


def is_folder(path: Path) -> bool:
    """Whether there is a folder; not where the name is no possible one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file; False for what cannot be looked at.

    Unlike `Path.is_file`, which before Python 3.14 raises in folders that are closed to the user.
    """
    try:
        return path.is_file()
    except OSError:
        return False


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise UsageError(
            f"folder cannot be read: found {error.strerror} for {folder}, expected one that can be "
            "listed; choose another"
        ) from None


def pair_up(
    inputs: Sequence[str | Path], suffixes: Sequence[str], output: Path | None, ending: str
) -> list[tuple[Path, Path]]:
    """The files that `expand` finds, each with the place of its result.

    As `name_outputs`; where an input is a folder, the output is one, however many files are in it.
    """
    files = expand(inputs, suffixes)
    from_folder = any(is_folder(Path(name)) for name in inputs)
    return list(zip(files, name_outputs(files, output, ending, from_folder), strict=True))


def name_outputs(
    inputs: Sequence[Path], output: Path | None, ending: str, folder: bool = False
) -> list[Path]:
    """Where each result goes.

    output None: beside each input. A folder (existing, wanted by `folder`, or for more than one
    input): inside it, made if missing. Otherwise: the one file. Raises UsageError where two would
    collide.
    """
    if output is not None and len(inputs) == 1 and not folder and not is_folder(output):
        return [output]
    if output is not None:
        _make_folder(output)
    names = [(path.parent if output is None else output) / f"{path.stem}{ending}"
             for path in inputs]  # fmt: skip
    doubled = [str(name) for name, times in Counter(names).items() if times > 1]
    if doubled:
        raise UsageError(
            f"outputs collide: found {min(doubled)} for several inputs, expected different "
            "names; rename the inputs or run them apart"
        )
    return names


def check_apart(source: Path, target: Path) -> None:
    """Refuse to write over what is read: a photograph must survive `encode photo.jpg`."""
    with contextlib.suppress(OSError):  # what cannot be looked at is reported where it is opened
        if not target.samefile(source):
            return
        raise UsageError(
            f"output would replace its input: found {target} for both, expected different names; "
            "choose another output folder or file"
        )


def check_outputs(paths: Sequence[Path]) -> None:
    """Raise UsageError where a file cannot be written, before minutes are spent on its content."""
    for path, times in Counter(path.absolute() for path in paths).items():
        if times > 1:
            raise UsageError(
                f"outputs collide: found {path} {'twice' if times == 2 else f'{times} times'}, "
                "expected a file for each; rename one"
            )
    for path in paths:
        if is_folder(path) or not is_folder(path.parent):
            found = "a folder" if is_folder(path) else f"no folder {path.parent}"
            raise UsageError(
                f"output cannot be written: found {found} for {path}, expected a file in a folder "
                "that exists; create it or choose another"
            )


def check_free(target: Path) -> None:
    """Refuse to write over a file that nobody named: it may be what a stream was made of."""
    if os.path.lexists(target):
        raise UsageError(
            f"output is there already: found {target}, which may be the picture that was encoded, "
            "expected a free name; name the output with -o"
        )


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"output cannot be written: found {error.strerror} at {path}, expected a folder that can "
        "be written; create it or choose another"
    )
