"""Bundles spoiled on purpose, with hashes made right again: an error of ours or a whole picture."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import latentsr
from latentsr.bundle import DEMO
from latentsr.errors import BackendError, LatentSRError

VALUES: list[Any] = [None, True, -1, 0, 1e300, 2**70, "", "x", "../x", [], [None], {}, {"op": 1}]
ROUNDS = 500


@pytest.fixture()
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may spoil."""
    return Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))


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


def use(bundle: Path, picture: np.ndarray) -> None:
    """Load, encode and decode."""
    with latentsr.load(bundle, threads=1) as codec:
        stream = codec.encode(picture)
        assert codec.decode(stream).shape == picture.shape


def test_any_value_replaced_in_the_manifest(copied: Path, picture: np.ndarray) -> None:
    text = (copied / "manifest.json").read_text()
    paths = [p for p in places(json.loads(text)) if p[0] not in ("created_by", "source")]
    chance = random.Random(12)
    for _ in range(ROUNDS):
        raw = json.loads(text)
        path = chance.choice(paths)
        place = raw
        for key in path[:-1]:
            place = place[key]
        if chance.random() < 0.2:
            del place[path[-1]]
        else:
            place[path[-1]] = chance.choice(VALUES)
        (copied / "manifest.json").write_text(json.dumps(raw))
        try:
            use(copied, picture[:20, :20])
        except LatentSRError:
            continue


def test_any_entropy_tensor_replaced(copied: Path, picture: np.ndarray) -> None:
    tensors = load((DEMO / "tables.safetensors").read_bytes())
    spoilers = [
        lambda a: a[:0], lambda a: a[:1], lambda a: a.astype(np.float64), lambda a: a * 0,
        lambda a: -a, lambda a: a + a.dtype.type(1), lambda a: a[::-1], lambda a: a.reshape(-1),
        lambda a: np.full_like(a, np.iinfo(a.dtype).max if a.dtype.kind == "i" else np.nan),
    ]  # fmt: skip
    for name in tensors:
        for spoil in spoilers:
            changed = {**tensors, name: np.ascontiguousarray(spoil(tensors[name]))}
            put(copied, "tables.safetensors", save(changed))
            try:
                use(copied, picture[:20, :20])
            except LatentSRError:
                continue
        if name.endswith(".neighbours"):  # may be absent
            continue
        put(copied, "tables.safetensors", save({k: v for k, v in tensors.items() if k != name}))
        with pytest.raises(LatentSRError):
            use(copied, picture[:20, :20])


def test_tables_and_graphs_that_are_no_such_files(copied: Path, picture: np.ndarray) -> None:
    for data in (b"", b"\xff" * 8, b"\x08" + bytes(7) + b"{}", bytes(100)):
        put(copied, "tables.safetensors", data)
        with pytest.raises(LatentSRError):
            use(copied, picture[:20, :20])
    shutil.copy(DEMO / "tables.safetensors", copied / "tables.safetensors")
    put(copied, "tables.safetensors", (DEMO / "tables.safetensors").read_bytes())
    whole = (DEMO / "graphs" / "analysis.onnx").read_bytes()
    other = (DEMO / "graphs" / "hyper_analysis.onnx").read_bytes()
    for data in (b"", b"onnx", whole[: len(whole) // 2], other):
        put(copied, "graphs/analysis.onnx", data)
        with pytest.raises((BackendError, LatentSRError)):
            use(copied, picture[:20, :20])
