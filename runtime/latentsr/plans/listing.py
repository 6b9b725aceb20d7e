"""The TensorRT plans of a bundle in the cache; listing them takes neither GPU nor library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentsr.backends.tensorrt_api import RTX
from latentsr.backends.tensorrt_plans import entry_prefix, read_profile
from latentsr.bundle import Bundle
from latentsr.plans.cache import Cache

_MAX_SIDECAR = 4 << 20
_MOST_BYTES = 1 << 60
_BACKENDS = ("tensorrt", "tensorrt-rtx")
_SHOWN = ("gpu", "sm", "cuda_driver", "precision")


def list_plans(bundle: Bundle, cache: Cache | None = None) -> list[dict[str, Any]]:
    """One object a plan: graph, what it was built for, size, seconds, TensorRT's layers.

    gpu: name of the one that it was built on, or what TensorRT for RTX built it for.
    """
    folder = (cache or Cache()).folder
    found = []
    for name, graph in bundle.manifest.graphs.items():
        files = {graph.file, *(variant.file for variant in graph.variants.values())}
        for digest in sorted(bundle.manifest.files[file].sha256 for file in files):
            prefixes = (entry_prefix(digest, backend) for backend in _BACKENDS)
            paths = (p for prefix in prefixes for p in sorted(folder.glob(f"{prefix}*.json")))
            for plan in map(_plan, paths):
                if plan is not None:
                    found.append({"graph": name, **plan})
    return found


def _plan(path: Path) -> dict[str, Any] | None:
    """What a sidecar says, None where it cannot be read: the cache is untrusted."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_SIDECAR)
        whole = json.loads(raw)
        facts, notes = whole["facts"], whole["notes"]
        profile = read_profile(raw)
        if profile is None or not isinstance(facts, Mapping) or not isinstance(notes, Mapping):
            return None
        layers, size = notes.get("inspector"), whole.get("bytes")
        return {
            "tensorrt": facts.get("tensorrt"),
            **{key: facts.get(key) for key in _SHOWN},
            **_late(facts),
            "profile": str(profile),
            "bytes": size if type(size) is int and 0 <= size < _MOST_BYTES else None,
            "seconds": notes.get("seconds"),
            "layers": layers if isinstance(layers, list) else [],
            "file": str(path.with_suffix(".bin")),
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _late(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is said otherwise of a plan of TensorRT for RTX."""
    if RTX not in facts:
        return {}
    options = facts.get("options")
    target = options.get("target") if isinstance(options, Mapping) else None
    return {"tensorrt": f"RTX {facts[RTX]}", "gpu": target or "Ampere and later"}
