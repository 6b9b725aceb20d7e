"""Writing a bundle: files and manifest into a folder beside, checked, then renamed into place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from latentsr.bundle import MANIFEST, TABLES, Bundle
from latentsr.errors import ExportError
from latentsr.manifest import FORMAT, FORMAT_VERSION

# What a bundle holds, also a damaged one or one from before.
_OWN = re.compile(rf"{re.escape(MANIFEST)}|{re.escape(TABLES)}|graphs(/[^/]+\.onnx)?")
# Characters of the bundle's name in that of the folder beside it, which must not get too long.
_SHOWN = 50


def write_bundle(
    path: Path,
    manifest: Mapping[str, Any],
    graphs: Mapping[str, bytes],
    tensors: Mapping[str, np.ndarray],
) -> Bundle:
    """Write a bundle to `path`, or to where a link there leads, and open it again as a check.

    manifest: all fields but format, format_version and files. An older bundle at `path` is
    replaced at the very end; nothing else is ever overwritten. Raises ExportError.
    """
    files = {f"graphs/{name}.onnx": data for name, data in graphs.items()}
    files[TABLES] = save({name: np.ascontiguousarray(t) for name, t in tensors.items()})
    check_target(path)
    place = _place(path)
    try:
        # Beside, as only within one file system a folder is renamed at once.
        with tempfile.TemporaryDirectory(
            prefix=f".{place.name[:_SHOWN]}.", dir=place.parent
        ) as work:
            made = Path(work) / "made"
            (made / "graphs").mkdir(parents=True)
            for name, data in files.items():
                (made / name).write_bytes(data)
            (made / MANIFEST).write_text(_manifest_text(manifest, files), encoding="utf-8")
            _read_back(Bundle(made))
            _put(made, place)
    except OSError as error:
        raise ExportError(
            f"bundle cannot be written: found {error.strerror} at {path}, expected a folder that "
            "can be written; choose another place"
        ) from None
    return Bundle(path)


def check_target(path: Path) -> None:
    """Raise ExportError where a bundle cannot go; called before the long work, too."""
    if path.suffix != ".lsr":
        raise ExportError(
            f"bundle name has the wrong ending: found {path.name!r}, expected NAME.lsr; rename it"
        )
    folder = _place(path).parent
    if not folder.is_dir():
        raise ExportError(
            f"folder of the bundle is missing: found nothing at {folder}, expected a "
            "folder; create it"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ExportError(
            f"bundle cannot be written: found no permission for {folder}, expected a folder that "
            "can be written; choose another place"
        )
    if path.exists() and not (path / MANIFEST).is_file():
        raise ExportError(
            f"place is taken: found {path} which is no bundle, expected nothing or a bundle; "
            "choose another name"
        )
    strange = sorted(p for p in path.rglob("*") if not _OWN.fullmatch(_name(p, path)))
    if strange:
        raise ExportError(
            f"place is taken: found {_name(strange[0], path)} in the bundle {path}, expected only "
            "what the exporter writes, as all there is replaced; move it or choose another name"
        )


def _place(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _name(path: Path, bundle: Path) -> str:
    return path.relative_to(bundle).as_posix()


def _put(made: Path, place: Path) -> None:
    """Rename a finished folder to its place; the one that was there comes back if that fails."""
    old = made.with_name("old")
    if place.exists():
        place.rename(old)
    try:
        made.rename(place)
    except BaseException:
        with contextlib.suppress(OSError):
            old.rename(place)
        raise


def _manifest_text(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(files.items())
    }
    whole = {"format": FORMAT, "format_version": FORMAT_VERSION, **manifest, "files": listed}
    return json.dumps(whole, indent=1) + "\n"


def _read_back(bundle: Bundle) -> None:
    for name in bundle.manifest.files:
        bundle.read(name)
    for chunk in bundle.manifest.chunks:
        if not chunk.is_file:
            bundle.tables(chunk)
