"""What the hostile tests of bundles share: values to put in, files with hashes made right again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import latentsr

VALUES: list[Any] = [None, True, -1, 0, 1e300, 2**70, "", "x", "../x", [], [None], {}, {"op": 1}]

SPOILERS: list[Callable[[NDArray], NDArray]] = [
    lambda a: a[:0], lambda a: a[:1], lambda a: a.astype(np.float64), lambda a: a * 0,
    lambda a: -a, lambda a: a + a.dtype.type(1), lambda a: a[::-1], lambda a: a.reshape(-1),
    lambda a: np.full_like(a, np.nan if a.dtype.kind == "f" else np.iinfo(a.dtype).max),
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in a JSON document."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        step = (*path, key)
        found += places(inner, step) if isinstance(inner, (dict, list)) else [step]
    return found


def put(bundle: Path, name: str, data: bytes) -> None:
    """Replace a file and its hash in the manifest."""
    raw = json.loads((bundle / "manifest.json").read_text())
    (bundle / name).write_bytes(data)
    raw["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (bundle / "manifest.json").write_text(json.dumps(raw))


def use(bundle: Path, picture: np.ndarray, exact: bool = True) -> None:
    """Load, encode and decode."""
    with latentsr.load(bundle, threads=1) as codec:
        stream = codec.encode(picture, exact=exact)
        assert codec.decode(stream).shape == picture.shape
