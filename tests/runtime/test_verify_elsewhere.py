"""Verification across machines: what one wrote into a file, the other decodes and compares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import latentsr
from command_line import latentsr as command
from latentsr.codec import Codec
from latentsr.errors import UsageError
from latentsr.report.verify import available, verify
from latentsr.report.verify_file import Encoded, read, write

GOLDEN = Path(__file__).parents[1] / "golden"
SYMBOLS = 9600


@pytest.fixture(scope="module")
def codec() -> Codec:
    return latentsr.load("demo", threads=1)


@pytest.fixture(scope="module")
def encoded(codec: Codec, picture: np.ndarray) -> list[Encoded]:
    pictures = [picture, picture[:30, :70]]
    return verify({"ort-1": codec}, pictures, keep=True).encoded["ort-1"]


def test_a_file_holds_what_was_encoded(encoded: list[Encoded], tmp_path: Path) -> None:
    write(tmp_path / "here.lsv", {"ort-1": encoded, "ort-2": encoded})
    found = read(tmp_path / "here.lsv")
    assert list(found) == ["ort-1", "ort-2"]
    for one, known in zip(found["ort-2"], encoded, strict=True):
        assert one.stream == known.stream
        for ours, theirs in ((one.latents, known.latents), (one.indexes, known.indexes)):
            assert len(ours) == len(theirs) > 0
            assert all(map(np.array_equal, ours, theirs))
    once = sum(v.nbytes for e in encoded for v in (*e.latents, *e.indexes))
    assert (tmp_path / "here.lsv").stat().st_size < 1.5 * once  # equal arrays are there once


def test_streams_of_elsewhere_are_decoded(codec: Codec, encoded: list[Encoded]) -> None:
    result = verify({"ort-1": codec}, [], others={"there: ort-1": encoded})
    assert result.encoders == ["ort-1", "there: ort-1"] and len(result.cells) == 2
    facts = result.as_dict()
    assert facts["differing_indexes"] == facts["differing_symbols"] == facts["desyncs"] == 0
    assert facts["others"] == {
        "there: ort-1": sum(value.size for one in encoded for value in one.latents)
    }


def test_streams_of_an_arm_processor_are_decoded() -> None:
    """Made by ONNX Runtime and OpenVINO on AArch64: a corner of the shipped picture.

    Where the demo bundle has new weights, `latentsr verify demo PICTURE --save` makes the file,
    best on a machine of another kind than those that run this.
    """
    others = read(GOLDEN / "encoded_aarch64.lsv")
    assert {name.split("-")[0] for name in others} == {"ort", "openvino"}
    facts = verify(available("demo"), [], others=others).as_dict()
    assert facts["differing_indexes"] == facts["differing_symbols"] == facts["desyncs"] == 0
    assert len(facts["cells"]) >= 2 * len(others) and min(facts["others"].values()) == SYMBOLS


def test_what_another_machine_made_otherwise_is_counted(
    codec: Codec, encoded: list[Encoded]
) -> None:
    first = encoded[0]
    latents = [value.copy() for value in first.latents]
    indexes = [value.copy() for value in first.indexes]
    latents[-1].reshape(-1)[:3] += 1
    indexes[0].reshape(-1)[-2:] += 1
    other = Encoded(first.stream, tuple(latents), tuple(indexes))
    cell = verify({"ort-1": codec}, [], others={"there": [other]}).cells[-1]
    assert (cell.differing_symbols, cell.differing_indexes, cell.desyncs) == (3, 2, 0)


def test_latents_of_another_picture_are_refused(codec: Codec, encoded: list[Encoded]) -> None:
    mixed = Encoded(encoded[0].stream, encoded[1].latents, encoded[1].indexes)
    with pytest.raises(UsageError, match="latents do not belong to their stream"):
        verify({"ort-1": codec}, [], others={"there": [mixed]})


def spoilt(kind: str, path: Path) -> None:
    """Rewrite a good file at `path` as a bad one."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    about = header["__metadata__"]["latentsr"]
    tensors = load_file(path)
    match kind:
        case "no metadata":
            save_file(tensors, path)
            return
        case "a missing tensor":
            tensors.pop(json.loads(about)["encoders"]["ort-1"][0]["stream"])
        case "a changed value":
            next(value for value in tensors.values() if value.dtype == np.float32).flat[0] += 1
        case "another version":
            about = about.replace('"version": 1', '"version": 2')
        case "a stream that is none":
            entry = json.loads(about)["encoders"]["ort-1"][0]
            about = about.replace(entry["stream"], entry["latents"][0])
        case "pictures that are none":
            about = json.dumps({"version": 1, "encoders": {"ort-1": 5}})
    save_file(tensors, path, {"latentsr": about})


@pytest.mark.parametrize(
    "kind",
    [
        "no metadata",
        "a missing tensor",
        "a changed value",
        "another version",
        "a stream that is none",
        "pictures that are none",
    ],
)
def test_spoilt_files_are_refused(kind: str, encoded: list[Encoded], tmp_path: Path) -> None:
    path = tmp_path / "there.lsv"
    write(path, {"ort-1": encoded})
    assert read(path)["ort-1"][0].stream == encoded[0].stream
    spoilt(kind, path)
    with pytest.raises(UsageError, match="encoded pictures cannot be read"):
        read(path)


def test_cut_off_files_are_refused(encoded: list[Encoded], tmp_path: Path) -> None:
    path = tmp_path / "there.lsv"
    write(path, {"ort-1": encoded})
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError, match="encoded pictures cannot be read"):
            read(path)


def test_the_command_saves_and_takes_files(small_picture: Path, tmp_path: Path) -> None:
    command("verify", "demo", small_picture, "--save", "there.lsv", cwd=tmp_path)
    encoders = list(read(tmp_path / "there.lsv"))
    done = command("verify", "demo", small_picture, "--with", "there.lsv", "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["encoders"] == [*encoders, *(f"there: {name}" for name in encoders)]
    assert len(facts["cells"]) == 2 * len(encoders) ** 2
    (tmp_path / "more").mkdir()
    same = tmp_path / "more" / "there.lsv"
    same.write_bytes((tmp_path / "there.lsv").read_bytes())
    arguments = ("verify", "demo", small_picture, "--with", "there.lsv", "--with", same)
    assert "files have the same name" in command(*arguments, cwd=tmp_path, code=2).stderr
