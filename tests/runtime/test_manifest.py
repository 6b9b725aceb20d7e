"""Manifests and bundles from outside: every wrong field, file and path is refused by name."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from latentsr.bundle import DEMO, Bundle
from latentsr.chunks import Chunk, Context
from latentsr.errors import BundleError, UsageError
from latentsr.manifest import FORMAT_VERSION, Variant, parse

RAW: dict[str, Any] = json.loads((DEMO / "manifest.json").read_text())
Y: dict[str, Any] = RAW["entropy"]["chunks"][1]
CONTEXT = {"tensors": "y.context", "order": "wavefront"}
HALF = {"file": "graphs/analysis.onnx", "ports": "fp32"}


@pytest.fixture()
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may spoil."""
    return Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))


def changed(path: list[Any], value: object) -> str:
    """The shipped manifest with one value replaced."""
    raw = copy.deepcopy(RAW)
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format"], "zip", "not a bundle manifest"),
        (["format_version"], FORMAT_VERSION + 1, "newer format: found format_version 2"),
        (["format_version"], "1", "format_version"),
        (["name"], None, "manifest.name"),
        (["codec", "multiple"], 0, "codec.multiple"),
        (["codec", "multiple"], 257, "codec.multiple"),
        (["codec", "multiple"], True, "codec.multiple"),
        (["files", "../../etc/passwd"], {"sha256": "0" * 64, "bytes": 1}, "unsafe file"),
        (["files", "/etc/passwd"], {"sha256": "0" * 64, "bytes": 1}, "unsafe file"),
        (["files", "tables.safetensors", "sha256"], "abc", "sha256"),
        (["files", "tables.safetensors", "bytes"], -1, "bytes"),
        (["graphs", "analysis", "file"], "graphs/none.onnx", "listed in manifest.files"),
        (["graphs", "analysis", "macs_per_position"], float("nan"), "macs_per_position"),
        (["graphs", "analysis", "macs_per_position"], -1, "macs_per_position"),
        (["graphs", "analysis", "macs_per_position"], True, "macs_per_position"),
        (["graphs", "analysis", "inputs"], [1], "list of names"),
        (["graphs", "analysis", "inputs"], [], "analysis.inputs: .* at least one name"),
        (["graphs", "analysis", "outputs"], [], "analysis.outputs: .* at least one name"),
        (["graphs", "analysis", "variants"], {"fp8": HALF}, "precisions among fp16"),
        (["graphs", "analysis", "variants"], {"fp16": {**HALF, "file": "x"}}, "manifest.files"),
        (["graphs", "analysis", "variants"], {"fp16": {**HALF, "ports": "x"}}, "fp32, fp16"),
        (["entropy", "chunks"], [], "at least one chunk"),
        (["entropy", "chunks", 0, "model"], "huffman", "one of factorized, gaussian"),
        (["entropy", "chunks", 0, "channels"], 0, "channels"),
        (["entropy", "chunks", 0, "skip"], 1, "expected 0..0"),
        (["entropy", "chunks", 1, "skip"], 257, "expected 0..256"),
        (["entropy", "chunks", 1, "stride"], [16], "or two such numbers"),
        (["entropy", "chunks", 1, "stride"], [16, 0], "or two such numbers"),
        (["entropy", "chunks", 1, "stride"], [16, True], "or two such numbers"),
        (["entropy", "chunks", 1, "stride"], [16, 16.0], "or two such numbers"),
        (["entropy", "chunks", 1, "stride"], [16, 257], "or two such numbers"),
        (["entropy", "chunks", 1, "tables"], "../y", "how the tensors' names"),
        (["entropy", "chunks", 1, "tables"], 3, "expected str"),
        (["entropy", "chunks", 0, "tables"], "y", "or none"),
        (["entropy", "chunks", 0, "model"], "jpeg", "3 channels at stride 1"),
        (["entropy", "chunks", 0, "context"], CONTEXT, "not gaussian"),
        (["entropy", "chunks", 1, "context"], {**CONTEXT, "tensors": "../c"}, "common beginning"),
        (["entropy", "chunks", 1, "context"], {**CONTEXT, "order": "raster"}, "one of wavefront"),
        (["entropy", "chunks", 1], {**Y, "context": CONTEXT, "skip": 1}, "expected 0..0"),
        (["entropy", "chunks", 1], {**Y, "context": CONTEXT, "tables": "y"}, "or none"),
        (["entropy", "graphs"], ["nothing"], "names among"),
        (["entropy", "exact"], {"nothing": "entropy_parameters"}, "pairs of names"),
        (["entropy", "exact"], {"entropy_parameters": "nothing"}, "pairs of names"),
        (["entropy", "exact"], {"entropy_parameters": ["x"]}, "pairs of names"),
        (["entropy", "exact"], {"entropy_parameters": "synthesis"}, "equal inputs and outputs"),
        (["routes", "lr", "kind"], "play", "encode or decode"),
        (["routes", "lr", "steps"], [], "list of steps"),
        (["routes", "lr", "steps"], ["clamp"], "list of steps"),
        (["routes", "lr", "scale"], 65, "1..64"),
        (["routes"], [], "routes"),
    ],
)
def test_wrong_fields(path: list[Any], value: object, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        parse(changed(path, value))


def test_variants_and_graphs_without_multiplications() -> None:
    graph = parse(changed(["graphs", "analysis", "variants"], {"fp16": HALF})).graphs["analysis"]
    assert graph.variants == {"fp16": Variant(HALF["file"], "fp32")}
    free = parse(changed(["graphs", "analysis", "macs_per_position"], 0)).graphs["analysis"]
    assert free.macs_per_position == 0


def test_chunks() -> None:
    def read(**more: object) -> Chunk:
        return parse(changed(["entropy", "chunks", 1], {**Y, **more})).chunks[1]

    assert read() == Chunk("y", "gaussian", 96, 16, 16, "y")
    assert read(stride=[16, 8], skip=256) == Chunk("y", "gaussian", 96, 16, 8, "y", 256)
    assert read(tables="shared").tables == "shared"
    assert read(context=CONTEXT).context == Context("y.context", "wavefront")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "[" * 100000, "\xff"])
def test_not_a_json_object(text: str) -> None:
    with pytest.raises(BundleError):
        parse(text)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"op": "run"}, "an op among"),
        ({"op": ["graph"]}, "an op among"),
        ({"op": "graph", "graph": "none", "in": ["x"], "out": ["y"]}, "a graph among"),
        ({"op": "graph", "graph": "synthesis", "in": [], "out": ["y"]}, "1 inputs"),
        ({"op": "graph", "graph": "synthesis", "in": [["q"]], "out": ["y"]}, "by name"),
        ({"op": "entropy_decode", "chunk": "w", "out": "y"}, "a chunk among"),
        ({"op": "clamp", "in": "later", "out": "x"}, "made by earlier steps"),
        ({"op": "clamp", "in": "later"}, "by name"),
        ({"op": "crop", "in": "x", "out": "x", "scale": 0}, "scale of 1..64"),
        ({"op": "resize", "in": "x", "out": "x", "filter": "box"}, "a filter among"),
    ],
)
def test_wrong_steps(copied: Path, step: dict[str, Any], message: str) -> None:
    (copied / "manifest.json").write_text(changed(["routes", "lr", "steps", 0], step))
    with pytest.raises(BundleError, match=message):
        latentsr.load(copied)


def test_routes_that_do_not_fit_their_kind(copied: Path, picture: np.ndarray) -> None:
    manifest = copied / "manifest.json"
    encode = json.loads(manifest.read_text())["routes"]["encode"]["steps"]
    whole = [step for step in encode if step.get("chunk") != "y"]
    manifest.write_text(changed(["routes", "encode", "steps"], whole))
    with pytest.raises(BundleError, match=r"route encode codes the wrong chunks: found \['z'\]"):
        latentsr.load(copied)
    manifest.write_text(changed(["routes", "lr", "scale"], 2))
    with latentsr.load(copied) as codec:
        stream = codec.encode(picture)
        with pytest.raises(BundleError, match="route makes no such picture: found uint8"):
            codec.decode(stream)


def test_missing_truncated_and_flipped_files(copied: Path) -> None:
    graph = copied / "graphs" / "synthesis.onnx"
    data = graph.read_bytes()
    for damaged in (data[:-1], data + b"x", data[:-1] + bytes([data[-1] ^ 1]), b""):
        graph.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"damaged|too large"):
            Bundle(copied).graph("synthesis")
    graph.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle(copied).graph("synthesis")


def test_places_that_are_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file.lsr").write_text("x")
    for place, message in [
        (tmp_path / "none.lsr", "found nothing"),
        (tmp_path / "file.lsr", "found a file"),
        (tmp_path, "no readable manifest.json"),
    ]:
        with pytest.raises(BundleError, match=message):
            latentsr.load(place)


def test_demo_is_the_shipped_bundle_unless_another_has_the_name(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied.parent)
    here = Path("demo")
    here.mkdir()
    assert Bundle("demo").path == DEMO
    here.rmdir()
    here.write_text("a program, perhaps")
    assert Bundle("demo").path == DEMO
    here.unlink()
    copied.rename(here)
    assert Bundle("demo").path == here


def test_a_program_may_change_its_folder(
    copied: Path, monkeypatch: pytest.MonkeyPatch, picture: np.ndarray
) -> None:
    monkeypatch.chdir(copied.parent)
    with latentsr.load(copied.name, threads=1) as codec:
        monkeypatch.chdir(copied)
        assert codec.decode(codec.encode(picture)).shape == picture.shape


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="expected one of ort, ort-tensorrt, openvino"):
        latentsr.load("demo", backend="abacus")
    with pytest.raises(UsageError, match="latent_x4"):
        Bundle("demo").route("x9", "decode")
    with pytest.raises(BundleError, match="synthesis"):
        Bundle("demo").graph("x9")


def test_fingerprint_covers_the_entropy_part_only(copied: Path) -> None:
    before = Bundle("demo").fingerprint
    (copied / "manifest.json").write_text(changed(["name"], "renamed"))
    assert Bundle(copied).fingerprint == before
    (copied / "manifest.json").write_text(changed(["entropy", "chunks", 1, "stride"], 32))
    assert Bundle(copied).fingerprint != before
    other = "0" * 64
    (copied / "manifest.json").write_text(
        changed(["files", "graphs/entropy_parameters.onnx", "sha256"], other)
    )
    assert Bundle(copied).fingerprint != before
