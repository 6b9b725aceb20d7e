"""Windows for bundles that were exported before there were any; all else stays as it is.

python -m latentsr_export.add_windows BUNDLE.lsr

Only `manifest.json` is written, and of it only each graph's `window`: graphs, tables and the
fingerprint stay, so streams stay readable. A fresh export has the windows already.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from latentsr.bundle import MANIFEST, Bundle
from latentsr.errors import LatentSRError
from latentsr.files import write_bytes
from latentsr.manifest import parse
from latentsr_export.pieces import window_with_pieces

_BEHIND = "macs_per_position"


def add_windows(path: str | Path) -> Bundle:
    """Compute the windows of a bundle's graphs and write them into its manifest.

    Raises BundleError for what is no bundle, UsageError where it cannot be written.
    """
    bundle = Bundle(path)
    manifest: dict[str, Any] = json.loads((bundle.path / MANIFEST).read_bytes())
    for name, graph in manifest["graphs"].items():
        window = window_with_pieces(bundle.graph(name))
        manifest["graphs"][name] = _with_window(graph, window)
    text = json.dumps(manifest, indent=1) + "\n"
    parse(text)
    write_bytes(bundle.path / MANIFEST, text.encode())
    return Bundle(path)


def _with_window(graph: dict[str, Any], window: dict[str, Any]) -> dict[str, Any]:
    """The graph's entry with its window where a fresh export has it."""
    found: dict[str, Any] = {}
    for key, value in graph.items():
        if key != "window":
            found[key] = value
        if key == _BEHIND:
            found["window"] = window
    return found


def main() -> None:
    """The command of this module."""
    parser = argparse.ArgumentParser(description="Write windows into the manifest of a bundle.")
    parser.add_argument("bundle", type=Path)
    try:
        bundle = add_windows(parser.parse_args().bundle)
    except LatentSRError as error:
        parser.error(str(error))
    print(f"{bundle.path / MANIFEST}: windows of {len(bundle.manifest.graphs)} graphs")


if __name__ == "__main__":
    main()
