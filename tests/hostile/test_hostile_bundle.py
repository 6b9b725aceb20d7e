"""Bundles spoiled on purpose, with hashes made right again: an error of ours or a whole picture."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from jpeg_bundle import write_jpeg_bundle
from latentsr.bundle import DEMO
from latentsr.errors import BackendError, LatentSRError
from spoiled_bundles import SPOILERS, VALUES, places, put, use

ROUNDS = 500


@pytest.fixture()
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may spoil."""
    return Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))


def spoil_manifest(bundle: Path, picture: np.ndarray, seed: int) -> int:
    """Put any value in place of any other, many times; how often the bundle was refused."""
    text = (bundle / "manifest.json").read_text()
    paths = [p for p in places(json.loads(text)) if p[0] not in ("created_by", "source")]
    chance = random.Random(seed)
    refused = 0
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
        (bundle / "manifest.json").write_text(json.dumps(raw))
        try:
            use(bundle, picture[:20, :20])
        except LatentSRError:
            refused += 1
    return refused


def test_any_value_replaced_in_the_manifest(copied: Path, picture: np.ndarray) -> None:
    spoil_manifest(copied, picture, 12)


def test_any_value_replaced_in_the_manifest_of_files(tmp_path: Path, picture: np.ndarray) -> None:
    bundle = write_jpeg_bundle(tmp_path / "jpeg.lsr")
    assert 0 < spoil_manifest(bundle, picture, 13) < ROUNDS


def test_any_entropy_tensor_replaced(copied: Path, picture: np.ndarray) -> None:
    tensors = load((DEMO / "tables.safetensors").read_bytes())
    for name in tensors:
        for spoil in SPOILERS:
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
