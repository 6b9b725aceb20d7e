"""Repair of float streams: doubts, the search, the guided search, and what the codec reports."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

import latentsr
from entropy_cases import gaussian_tables
from latentsr import stream as container
from latentsr.bundle import DEMO
from latentsr.codec import Codec
from latentsr.entropy import Coder, beam, mend, neighbours
from latentsr.entropy.latents import LatentSteps, ScaleTable
from latentsr.entropy.repair import (
    DOUBT,
    Doubts,
    Repair,
    Search,
    changed_indexes,
    costs,
    find_doubts,
)
from latentsr.errors import CorruptStream, DesyncError

TABLE = np.exp(np.linspace(np.log(0.11), np.log(256), 64)).astype(np.float32)
SHAPE = (1, 12, 10, 20)


def plain_doubts(scales: NDArray, table: NDArray) -> dict[int, int]:
    """Place -> other row, by looking at every threshold."""
    found = {}
    for place, sigma in enumerate(scales.reshape(-1).astype(np.float64)):
        row = int((table[:-1] < sigma).sum())
        for number, edge in enumerate(table[:-1].astype(np.float64)):
            if abs(sigma - edge) <= DOUBT * edge:
                found[place] = number if row == number + 1 else number + 1
    return found


def field(rng: np.random.Generator) -> NDArray[np.float64]:
    """Unit-variance values that follow their left neighbours in every channel."""
    values = rng.normal(0, 1, SHAPE)
    for column in range(1, SHAPE[3]):
        values[..., column] = 0.9 * values[..., column - 1] + 0.436 * values[..., column]
    return values


def case(
    rng: np.random.Generator, near: int, changes: int
) -> tuple[NDArray, NDArray, NDArray, Doubts, bytes]:
    """Scales with `near` values beside thresholds, and a stream with `changes` others of them."""
    scales = np.exp(rng.uniform(0, 3, SHAPE)).astype(np.float32)
    places = rng.choice(scales.size, near, replace=False)
    edges = TABLE[rng.integers(20, 45, near)]
    scales.reshape(-1)[places] = edges * (1 + rng.uniform(-3e-6, 3e-6, near)).astype(np.float32)
    steps, table = LatentSteps(), ScaleTable(TABLE)
    indexes = steps.indexes(scales, table)
    doubts = find_doubts(scales, indexes, table, steps)
    symbols = np.rint(field(rng) * TABLE[indexes]).astype(np.int32)
    chosen = tuple(rng.choice(places, changes, replace=False).tolist())
    theirs = changed_indexes(indexes, doubts, chosen)
    assert (theirs != indexes).sum() == changes
    data = Coder(gaussian_tables()).encode(symbols, theirs, form="compressai")
    return symbols, indexes, theirs, doubts, data


def test_doubts_are_those_beside_thresholds():
    rng = np.random.default_rng(1)
    offsets = rng.choice([0, 1e-7, 1e-5, 2.9e-5, 3.1e-5, 1e-3], 3000) * rng.choice([-1, 1], 3000)
    scales = (TABLE[rng.integers(0, 64, 3000)] * (1 + offsets)).astype(np.float32)
    steps, table = LatentSteps(), ScaleTable(TABLE)
    found = find_doubts(scales, steps.indexes(scales, table), table, steps)
    expected = plain_doubts(scales, TABLE)
    # Beside the very border of doubt, rounding decides.
    clear = [p for p, d in zip(found.places, found.distances, strict=True) if d < 0.99 * DOUBT]
    assert len(clear) > 1000
    assert {p: o for p, o in zip(found.places.tolist(), found.others.tolist(), strict=True)
            if p in clear} == {p: expected[p] for p in clear}  # fmt: skip
    assert set(clear) >= {
        p for p in expected
        if min(abs(float(scales[p]) / TABLE.astype(float) - 1)) < 0.98 * DOUBT
    }  # fmt: skip
    assert (np.diff(found.distances) >= 0).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("changes", [0, 1, 2, 3])
def test_search_finds_a_few_changes(seed: int, changes: int):
    symbols, indexes, theirs, doubts, data = case(np.random.default_rng(seed), 8, changes)
    coder = Coder(gaussian_tables())
    places, tries = Search(coder, data, indexes, doubts).run(20.0)
    assert places is not None and tries >= 1
    mended = changed_indexes(indexes, doubts, places)
    assert np.array_equal(mended, theirs)
    assert np.array_equal(coder.decode(data, mended, form="compressai"), symbols)


def test_guided_search_finds_many_changes():
    rng = np.random.default_rng(11)
    steps, table = LatentSteps(), ScaleTable(TABLE)
    pairs = []
    for _ in range(4):
        scales = np.exp(rng.uniform(0, 3, SHAPE)).astype(np.float32)
        sigma = TABLE[steps.indexes(scales, table)]
        pairs.append((np.rint(field(rng) * sigma), sigma))
    statistics = neighbours.measure(pairs)
    assert statistics[:, 0] == pytest.approx(0.9, abs=0.08)
    assert (statistics[:, 2] < 0.35).all() and (statistics[:, 2] > 0.15).all()
    coder = Coder(gaussian_tables())
    found = 0
    for seed in range(6):
        _, indexes, theirs, doubts, data = case(np.random.default_rng(seed), 24, 10)
        model = neighbours.NeighbourModel(statistics, TABLE, indexes)
        ways = {
            int(p): (int(o), float(c))
            for p, o, c in zip(doubts.places, doubts.others, costs(doubts), strict=True)
        }
        rows = indexes.reshape(-1).astype(np.int32)
        places = beam.search(coder, data, rows, ways, model, 60.0)
        if places is not None:
            assert np.array_equal(changed_indexes(indexes, doubts, places), theirs)
            found += 1
    assert found >= 5


def test_ratio_is_that_of_a_plain_loop():
    rng = np.random.default_rng(5)
    indexes = rng.integers(0, 64, SHAPE).astype(np.uint8)
    symbols = np.rint(rng.normal(0, TABLE[indexes])).astype(np.int32).reshape(-1)
    statistics = rng.uniform(0.1, 0.4, (SHAPE[1], 3)).astype(np.float32)
    model = neighbours.NeighbourModel(statistics, TABLE, indexes)
    first, last = 333, 900
    sigma = TABLE[indexes].reshape(-1).astype(np.float64)
    x = np.where(sigma >= neighbours.LEAST_SCALE, symbols / np.sqrt(sigma**2 + 1 / 12), 0)
    expected = 0.0
    for i in range(first, last):
        channel, inside = divmod(i, SHAPE[2] * SHAPE[3])
        a, b, v = statistics[channel].astype(np.float64)
        left = x[i - 1] if inside % SHAPE[3] else 0
        above = x[i - SHAPE[3]] if inside >= SHAPE[3] else 0
        if sigma[i] >= neighbours.LEAST_SCALE:
            expected += 0.5 * (x[i] ** 2 - (x[i] - a * left - b * above) ** 2 / v - np.log(v))
    found = model.score(first, symbols[first:last], symbols[:first])
    assert found == pytest.approx(expected, rel=1e-4)
    halves = model.score(first, symbols[first:500], symbols[:first])
    halves += model.score(500, symbols[500:last], symbols[480:500])
    assert halves == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_repaired_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    _, indexes, _, doubts, data = case(np.random.default_rng(3), 30, 0)
    coder = Coder(gaussian_tables())
    broken = bytearray(data)
    broken[len(data) // 2] ^= 4
    monkeypatch.setattr(mend, "SEARCH_SECONDS", 0.05)
    repair, places = mend.mend(Repair("y", 30), coder, bytes(broken), indexes, doubts, None)
    assert places is None and repair.changed == 0 and repair.tries > 1
    assert repair.seconds < 5
    with pytest.raises(CorruptStream):
        Search(coder, b"\0" * 16, indexes, doubts).run(1.0)
    repair, places = mend.mend(Repair("y", 30), coder, b"\0" * 16, indexes, doubts, None)
    assert (repair.tries, places) == (0, None)


def foreign_stream(codec: Codec, picture: NDArray, changes: int) -> tuple[bytes, NDArray]:
    """A stream whose writer saw other indexes at some doubtful places, and its picture."""
    run = codec.run_encode(picture, "encode", False)
    model = codec.machine.entropy["y"]
    scales, symbols = run.values["scales"], np.rint(run.values["y"]).astype(np.int32)
    steps, table = LatentSteps(), ScaleTable(codec.bundle.tensors["y.scale_table"])
    indexes = steps.indexes(scales, table)
    doubts = find_doubts(scales, indexes, table, steps)
    assert doubts.places.size >= changes
    theirs = changed_indexes(indexes, doubts, tuple(doubts.places[:changes].tolist()))
    data = model.coder.encode(symbols, theirs, form="compressai")
    made = container.Stream(
        run.width, run.height, run.padding, codec.bundle.fingerprint, (run.chunks["z"], data)
    )
    return container.pack(made), codec.decode(codec.encode(picture, exact=False))


@pytest.fixture()
def large_picture() -> NDArray[np.uint8]:
    row, column = np.mgrid[0:400, 0:600].astype(np.float64)
    waves = [np.sin(row / (9 + k) + column / 31) * np.cos(column / 7 - k) for k in range(3)]
    noise = np.random.default_rng(2).normal(0, 9, (400, 600, 3))
    return np.clip(np.stack(waves, -1) * 90 + 127 + noise, 0, 255).astype(np.uint8)


def test_codec_repairs_and_reports(large_picture: NDArray[np.uint8]):
    with latentsr.load("demo", threads=1) as codec:
        for changes in (0, 1, 2):
            stream, expected = foreign_stream(codec, large_picture, changes)
            assert np.array_equal(codec.decode(stream), expected)
            (repair,) = codec.repairs
            assert (repair.chunk, repair.changed) == ("y", changes)
            assert repair.doubtful >= 2
        codec.decode(codec.encode(large_picture))
        assert codec.repairs == []


def test_codec_says_what_it_tried(large_picture: NDArray[np.uint8], tmp_path: Path):
    """A damaged string cannot be mended; nor are statistics needed to say so."""
    copied = Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))
    tensors = load((copied / "tables.safetensors").read_bytes())
    data = save({name: t for name, t in tensors.items() if not name.endswith(".neighbours")})
    raw = json.loads((copied / "manifest.json").read_text())
    (copied / "tables.safetensors").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    raw["files"]["tables.safetensors"] = {"sha256": digest, "bytes": len(data)}
    (copied / "manifest.json").write_text(json.dumps(raw))
    with latentsr.load(copied, threads=1) as codec:
        # The statistics have no part in what a stream depends on.
        assert codec.bundle.fingerprint == latentsr.load("demo").bundle.fingerprint
        stream, _ = foreign_stream(codec, large_picture, 1)
        parts = container.unpack(stream)
        damaged = bytearray(parts.chunks[1])
        damaged[100:104] = bytes(b ^ 0x5A for b in damaged[100:104])
        chunks = (parts.chunks[0], bytes(damaged))
        made = container.Stream(parts.width, parts.height, parts.padding, parts.fingerprint, chunks)
        with pytest.raises(DesyncError, match=r"sets of \d+ doubtful indexes were tried in"):
            codec.decode(container.pack(made))
