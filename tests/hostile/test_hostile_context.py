"""Context models spoiled on purpose: refused by name, or a whole picture; never an over-read."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

import latentsr
from context_bundle import context_bundle
from damage import flipped, spliced, truncated
from latentsr.errors import BundleError, CorruptStream, LatentSRError
from spoiled_bundles import SPOILERS, VALUES, put, use

CHUNK = ("entropy", "chunks", 1)
TABLES = "tables.safetensors"


@pytest.fixture()
def copied(tmp_path: Path) -> Path:
    """A bundle with a context model that a test may spoil."""
    return context_bundle(tmp_path / "copy.lsr")


def changed(bundle: Path, path: tuple[Any, ...], value: object) -> None:
    """Replace one value of the manifest."""
    raw = json.loads((bundle / "manifest.json").read_text())
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (bundle / "manifest.json").write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("context",), None, "context: found None, expected object"),
        (("context",), [], r"context: found \[\], expected object"),
        (("context", "order"), "raster", "context.order: found 'raster', expected one of wave"),
        (("context", "order"), None, "context.order"),
        (("context", "tensors"), "", "context.tensors"),
        (("context", "tensors"), "../y", "context.tensors"),
        (("context", "tensors"), "y" * 101, "context.tensors"),
        (("context", "tensors"), "z.context", "entropy tensor z.context.taps is wrong"),
        (("skip",), 3, "skip: found 3, expected 0..0"),
        (("model",), "factorized", "context: found .*, expected none"),
        (("channels",), 5, "is wrong"),
    ],
)
def test_fields_of_the_manifest(
    copied: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    changed(copied, (*CHUNK, *path), value)
    with pytest.raises(BundleError, match=message):
        latentsr.load(copied)


def test_steps_that_do_not_fit_the_chunk(copied: Path) -> None:
    raw = json.loads((copied / "manifest.json").read_text())
    text = json.dumps(raw)
    for name, route in raw["routes"].items():
        for number, step in enumerate(route["steps"]):
            if not step["op"].startswith("entropy"):
                continue
            given = {key: value for key, value in step.items() if key != "features"}
            wrong = [{**step, "means": "z_hat"}, {**given, "scales": "z_hat"}, given]
            for steps in wrong if step["chunk"] == "y" else [{**step, "features": "z_hat"}]:
                changed(copied, ("routes", name, "steps", number), steps)
                with pytest.raises(BundleError, match="expected features for a chunk with"):
                    latentsr.load(copied)
                (copied / "manifest.json").write_text(text)


def test_features_of_another_shape(copied: Path, picture: np.ndarray) -> None:
    raw = json.loads((copied / "manifest.json").read_text())
    steps = raw["routes"]["encode"]["steps"]
    for step in steps:
        if step.get("chunk") == "y":
            step["features"] = "z_hat"
    (copied / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(BundleError, match="features of chunk y have the wrong shape"):
        use(copied, picture)


def test_any_tensor_replaced(copied: Path, picture: np.ndarray) -> None:
    tensors = load((copied / TABLES).read_bytes())
    named = [name for name in tensors if name.startswith("y.context.")]
    assert len(named) > 15
    for name in named:
        exact = ".float." not in name
        for spoil in SPOILERS:
            spoiled = np.ascontiguousarray(spoil(tensors[name]))
            put(copied, TABLES, save({**tensors, name: spoiled}))
            try:
                use(copied, picture[:20, :20], exact)
            except LatentSRError:
                continue
        put(copied, TABLES, save({k: v for k, v in tensors.items() if k != name}))
        with pytest.raises(LatentSRError):
            use(copied, picture[:20, :20], exact)


def set_to(place: tuple[int, ...], value: int) -> Callable[[NDArray], NDArray]:
    def spoil(array: NDArray) -> NDArray:
        made = array.copy()
        made[place] = value
        return made

    return spoil


WRONG: dict[str, list[Callable[[NDArray], NDArray]]] = {
    "taps": [set_to((0, 0), 1), set_to((11, 1), 0), set_to((0, 0), -(2**31)),
             set_to((0, 1), 2**31 - 1), lambda a: a[:0]],
    "settings": [set_to((0,), 0), set_to((0,), 13), set_to((1,), -1), set_to((2,), 32768),
                 set_to((3,), 1 << 21), set_to((4,), 40000), set_to((4,), 0), lambda a: a[:5],
                 lambda a: np.concatenate([a, a])],
    "0.shift": [set_to((3,), 0), set_to((3,), 31)],
    "1.lift": [set_to((0,), 31), set_to((0,), 255)],
    "2.bias": [set_to((1,), -(2**31)), set_to((1,), 2**31 - 1)],
    "0.weight": [lambda a: np.full_like(a, 32767), lambda a: np.full_like(a, -32768),
                 lambda a: a[:, :, :-1]],
    "2.weight": [lambda a: np.full_like(a, -32768)],
    "3.weight": [lambda a: a[:-1], lambda a: a[:, :-1]],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_tensors_that_no_kernel_may_run_on(copied: Path, name: str) -> None:
    tensors = load((copied / TABLES).read_bytes())
    for spoil in WRONG[name]:
        spoiled = np.ascontiguousarray(spoil(tensors[f"y.context.{name}"]))
        put(copied, TABLES, save({**tensors, f"y.context.{name}": spoiled}))
        with pytest.raises(BundleError):
            latentsr.load(copied)


def test_any_value_replaced_in_the_chunk(copied: Path, picture: np.ndarray) -> None:
    text = (copied / "manifest.json").read_text()
    chance = random.Random(3)
    for _ in range(60):
        key = chance.choice([("context",), ("context", "tensors"), ("context", "order"),
                             ("channels",), ("stride",), ("model",), ("name",)])  # fmt: skip
        changed(copied, (*CHUNK, *key), chance.choice(VALUES))
        with contextlib.suppress(LatentSRError):
            use(copied, picture[:20, :20])
        (copied / "manifest.json").write_text(text)


@pytest.mark.parametrize("exact", [True, False])
def test_damaged_chunks(copied: Path, picture: np.ndarray, exact: bool) -> None:
    rng = np.random.default_rng(6)
    with latentsr.load(copied, threads=1) as codec:
        run = codec.run_encode(picture, "encode", exact)
        features, model = run.values["features"], codec.machine.entropy["y"]
        size, shape = run.padded_size, run.values["y_hat"].shape
        whole = run.chunks["y"]
        silent = 0
        for number in range(60):
            damage = (truncated, flipped, spliced)[number % 3]
            data = damage(rng, whole, whole[::-1])
            try:
                latent, symbols = model.decode(data, size, features, run)
            except CorruptStream:
                continue
            assert latent.shape == symbols.shape == shape
            silent += data != whole
        assert silent < 20
