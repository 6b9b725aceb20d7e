"""A bundle that goes elsewhere: all of its files, each checked, and writing them down again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from latentsr.bundle import MANIFEST, Bundle
from latentsr.errors import BundleError


def bundle_files(bundle: Bundle) -> dict[str, bytes]:
    """All files of a bundle by name, each checked against the manifest; raises BundleError."""
    try:
        found = {MANIFEST: (bundle.path / MANIFEST).read_bytes()}
    except OSError as error:
        raise BundleError(
            f"bundle cannot be copied: found {error.strerror} for {bundle.path / MANIFEST}, "
            "expected a file; copy or export the bundle again"
        ) from None
    return found | {name: bundle.read(name) for name in bundle.manifest.files}


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their names below a folder, which is made; raises OSError."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
