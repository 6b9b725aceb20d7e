"""Writing a bundle: files and manifest into a folder beside, checked, then renamed into place."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from latentsr.bundle import MANIFEST, TABLES, Bundle
from latentsr.errors import ExportError
from latentsr.manifest import FORMAT, FORMAT_VERSION


def write_bundle(
    path: Path,
    manifest: Mapping[str, Any],
    graphs: Mapping[str, bytes],
    tensors: Mapping[str, np.ndarray],
) -> Bundle:
    """Write a bundle to `path` and open it again as a check.

    manifest: all fields but format, format_version and files. An older bundle at `path` is
    replaced at the very end; nothing else is ever overwritten. Raises ExportError.
    """
    files = {f"graphs/{name}.onnx": data for name, data in graphs.items()}
    files[TABLES] = save({name: np.ascontiguousarray(t) for name, t in tensors.items()})
    check_target(path)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        beside.chmod(0o755)
        (beside / "graphs").mkdir()
        for name, data in files.items():
            (beside / name).write_bytes(data)
        (beside / MANIFEST).write_text(_manifest_text(manifest, files), encoding="utf-8")
        _read_back(Bundle(beside))
        if path.exists():
            shutil.rmtree(path)
        beside.rename(path)
    except OSError as error:
        raise ExportError(
            f"bundle cannot be written: found {error.strerror} at {path}, expected a folder that "
            "can be written; choose another place"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Bundle(path)


def check_target(path: Path) -> None:
    """Raise ExportError where a bundle cannot go; called before the long work, too."""
    if path.suffix != ".lsr":
        raise ExportError(
            f"bundle name has the wrong ending: found {path.name!r}, expected NAME.lsr; rename it"
        )
    if not path.parent.is_dir():
        raise ExportError(
            f"folder of the bundle is missing: found nothing at {path.parent}, expected a "
            "folder; create it"
        )
    if path.exists() and not (path / MANIFEST).is_file():
        raise ExportError(
            f"place is taken: found {path} which is no bundle, expected nothing or a bundle; "
            "choose another name"
        )


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
