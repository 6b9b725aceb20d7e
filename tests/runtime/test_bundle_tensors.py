"""Entropy tensors of a bundle: given only in the kind asked for, and part of its fingerprint."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

import latentsr
from latentsr.bundle import DEMO, TABLES, Bundle
from latentsr.errors import BundleError


@pytest.fixture()
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may change."""
    return Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))


def with_tensors(folder: Path, changed: dict[str, np.ndarray]) -> Bundle:
    """The bundle with other tensors, whole as if it had been exported so."""
    data = save({**load((DEMO / TABLES).read_bytes()), **changed})
    (folder / TABLES).write_bytes(data)
    manifest = json.loads((DEMO / "manifest.json").read_text())
    manifest["files"][TABLES] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Bundle(folder)


def test_a_tensor_comes_as_it_is_asked_for_or_not_at_all() -> None:
    bundle = Bundle("demo")
    cdf = bundle.tensors["y.cdf"]
    for shape in (cdf.shape, (-1, cdf.shape[1]), (-1, -1)):
        assert np.array_equal(bundle.tensor("y.cdf", "int32", shape), cdf)
    wrong = [((-1,), "int32"), ((-1, -1, -1), "int32"), ((cdf.shape[0], 1), "int32"),
             ((1, cdf.shape[1]), "int32"), (cdf.shape, "float32")]  # fmt: skip
    for expected, dtype in wrong:
        with pytest.raises(BundleError, match=r"entropy tensor y\.cdf is wrong: found \('int32'"):
            bundle.tensor("y.cdf", dtype, expected)
    with pytest.raises(BundleError, match="none is wrong: found None"):
        bundle.tensor("none", "int32", (-1,))


def test_a_file_that_the_manifest_does_not_list_is_not_read(copied: Path) -> None:
    (copied / "more.txt").write_text("x")
    with pytest.raises(BundleError, match=r"found no entry 'more\.txt'"):
        Bundle(copied).read("more.txt")


def test_the_fingerprint_stands_for_every_table(copied: Path) -> None:
    """Streams of a bundle with another table would decode into noise."""
    tensors = Bundle("demo").tensors
    before = Bundle("demo").fingerprint
    assert with_tensors(copied, {}).fingerprint == before
    for name in ("y.cdf", "z.offset", "z.medians", "y.scale_table", "y.thresholds"):
        array = tensors[name].copy()
        array.flat[-1] += 1
        assert with_tensors(copied, {name: array}).fingerprint != before, name
    reshaped = {"y.length": tensors["y.length"][None]}
    assert with_tensors(copied, reshaped).fingerprint != before


def test_what_only_guides_repairs_is_no_part_of_it(copied: Path) -> None:
    other = {"y.neighbours": np.ones((96, 3), np.float32)}
    assert with_tensors(copied, other).fingerprint == Bundle("demo").fingerprint


@pytest.mark.parametrize(("column", "value"), [(0, np.nan), (1, np.inf), (2, 0), (2, -1)])
def test_neighbours_that_are_no_statistics_are_refused(
    copied: Path, column: int, value: float
) -> None:
    other = Bundle("demo").tensors["y.neighbours"].copy()
    other[7, column] = value
    with_tensors(copied, {"y.neighbours": other})
    with pytest.raises(BundleError, match=r"y\.neighbours is wrong: found values that are no"):
        latentsr.load(copied, threads=1)
