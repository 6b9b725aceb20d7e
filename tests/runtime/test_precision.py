"""Variants in the manifest, the precision that is asked for, and what `inspect` says of it."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from latentsr.backends.base import Engine, EngineOptions
from latentsr.backends.precision import HalfPorts
from latentsr.backends.values import Resident
from latentsr.bundle import DEMO, Bundle
from latentsr.codec import Codec
from latentsr.errors import BundleError, UsageError
from latentsr.manifest import parse

FACTS: dict[str, Any] = {
    "file": "graphs/half.onnx", "ports": "fp32", "weights_bytes": 1234567,
    "nodes": {"fp16": 11, "fp32": 2, "cast": 4, "other": 0},
    "islands": [{"reason": "norm is too wide", "nodes": ["/5/Mul", "/5/Sqrt"]}],
    "gdn": [{"layer": "/1/norm/Conv", "choice": "rescaled", "by": 3}],
    "parity": {"fp32": {"x_hat": {"psnr_db": 71.25}}},
}  # fmt: skip
ROUTES = {"lr": {"psnr_fp32": 30.5, "psnr_fp16": 30.49, "change_db": -0.01, "worst_db": -0.011,
                 "bytes_percent": 0.1}}  # fmt: skip


def with_variant(**changes: Any) -> dict[str, Any]:
    """The shipped manifest; its synthesis has a variant, whose file is another graph of it."""
    raw: dict[str, Any] = json.loads((DEMO / "manifest.json").read_text())
    raw["graphs"]["synthesis"]["variants"] = {"fp16": {**copy.deepcopy(FACTS), **changes}}
    raw["files"]["graphs/half.onnx"] = raw["files"]["graphs/synthesis.onnx"]
    raw["fp16"] = {"routes": ROUTES}
    return raw


def command(*arguments: object) -> str:
    """What the command line prints to stdout; it must succeed."""
    path = str(Path(sys.executable).with_name("latentsr"))
    done = subprocess.run(
        [path, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture()
def bundle(tmp_path: Path) -> Path:
    """A bundle with a variant, which is the graph of float32 with one weight changed."""
    path = Path(shutil.copytree(DEMO, tmp_path / "half.lsr"))
    data = bytearray((path / "graphs" / "synthesis.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    put_variant(path, bytes(data))
    return path


def put_variant(path: Path, data: bytes) -> None:
    """Make a graph the variant of a bundle's synthesis."""
    raw = with_variant()
    (path / "graphs" / "half.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    raw["files"]["graphs/half.onnx"] = {"sha256": digest, "bytes": len(data)}
    (path / "manifest.json").write_text(json.dumps(raw))


def test_bench_measures_the_precision_that_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    """In the contender's process, not in the one that asks."""
    import dataclasses

    from latentsr.bench.compare import compare
    from latentsr.bench.inputs import reduce
    from latentsr.bench.rounds import Schedule
    from latentsr.bench.run import Settings, run_bench
    from latentsr.image import save_rgb8, to_rgb8
    from latentsr.report.wording import engine_words

    data = bytearray((bundle / "graphs" / "synthesis.onnx").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = bytes(4096)  # weights of 0: it can be seen
    put_variant(bundle, bytes(data))
    picture = to_rgb8(DEMO.parent / "coffee.png")[:188, :252]
    save_rgb8(picture, tmp_path / "a.png")
    plain = Settings(
        str(bundle), (str(tmp_path / "a.png"),), ("bicubic",), launches=1, in_flight=(), threads=1,
        schedule=Schedule(1, 3, 1),
    )  # fmt: skip
    half = dataclasses.replace(plain, precision="fp16")
    found = [run_bench(settings) for settings in (plain, half)]
    for one, precision in zip(found, ("fp32", "fp16"), strict=True):
        with latentsr.load(bundle, precision=precision, threads=1) as codec:
            expected = codec.decode(codec.encode(reduce(picture, 4)), "bicubic")
        np.testing.assert_array_equal(one.pictures["bicubic"], expected)
        assert one.result["settings"]["precision"] == precision
    assert not np.array_equal(found[0].pictures["bicubic"], found[1].pictures["bicubic"])
    assert ["FP16" in engine_words(one.result) for one in found] == [False, True]
    said = compare(found[0].result, found[1].result, 1.0).cautions
    assert "other precision: fp32 and fp16" in said
    with pytest.raises(UsageError, match="no graphs in fp16"):
        run_bench(dataclasses.replace(half, bundle="demo"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "graphs/none.onnx"}, r"variants.fp16.file: .*listed in manifest.files"),
        ({"file": None}, r"variants.fp16.file"),
        ({"ports": "fp8"}, r"variants.fp16.ports: found 'fp8', expected one of fp32, fp16"),
        ({"ports": 16}, r"variants.fp16.ports"),
    ],
)
def test_wrong_variants(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        parse(json.dumps(with_variant(**changes)))


def test_variants_are_known_precisions_and_never_of_graphs_that_decide_scales() -> None:
    raw = with_variant()
    variants = raw["graphs"]["synthesis"]["variants"]
    for wrong in ({"int8": variants["fp16"]}, {"fp32": variants["fp16"]}):
        raw["graphs"]["synthesis"]["variants"] = wrong
        with pytest.raises(BundleError, match="precisions among fp16"):
            parse(json.dumps(raw))
    for wrong in ([], {"fp16": 3}, 3):
        raw["graphs"]["synthesis"]["variants"] = wrong
        with pytest.raises(BundleError, match="variants"):
            parse(json.dumps(raw))
    for name in ("entropy_parameters", "entropy_parameters_exact"):
        raw = with_variant()
        raw["graphs"][name]["variants"] = raw["graphs"]["synthesis"]["variants"]
        with pytest.raises(BundleError, match="none, as it decides scales"):
            parse(json.dumps(raw))


def test_the_precision_that_is_asked_for(bundle: Path, picture: np.ndarray) -> None:
    opened = Bundle(bundle)
    assert opened.graph("synthesis", "fp16") != opened.graph("synthesis")
    assert opened.graph("analysis", "fp16") == opened.graph("analysis")
    assert opened.fingerprint == Bundle("demo").fingerprint
    stream = latentsr.load("demo", threads=1).encode(picture)
    full, half = (latentsr.load(bundle, threads=1, precision=p) for p in ("fp32", "fp16"))
    expected = latentsr.load("demo", threads=1).decode(stream)
    assert np.array_equal(full.decode(stream), expected)
    assert half.decode(stream).shape == expected.shape
    names = {name: half.bundle.graph(name, "fp16") for name in ("synthesis", "analysis")}
    assert names["synthesis"] == (bundle / "graphs" / "half.onnx").read_bytes()


def test_precisions_that_are_not_there(bundle: Path) -> None:
    with pytest.raises(UsageError, match="no such precision: found 'fp8', expected one of fp32"):
        latentsr.load(bundle, precision="fp8")
    with pytest.raises(UsageError, match=r"demo has no graphs in fp16.*export it with --fp16"):
        latentsr.load("demo", precision="fp16")


class Doubling(Engine):
    """Takes FP16 and gives FP16, as a graph with such ports."""

    runs_on = "here"

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        assert all(value.dtype == np.float16 for value in inputs.values())
        return {"y": inputs["x"] * np.float16(2)}


def test_half_ports_take_and_give_float32() -> None:
    engine = HalfPorts(Doubling())
    found = engine.run({"x": np.array([1.0, 2**-11 + 1, 1e6], np.float32)})["y"]
    assert found.dtype == np.float32 and found.tolist() == [2.0, 2.0, float("inf")]
    assert engine.runs_on == "here"


class Distant(Resident):
    """Said to lie on a device; converted there or not at all."""

    def __init__(self, array: np.ndarray, converts: bool) -> None:
        self._array, self._converts = array, converts
        self.shape, self.dtype = array.shape, array.dtype

    def to_host(self) -> np.ndarray:
        assert not self._converts
        return self._array

    def converted(self, dtype: Any) -> Distant | None:
        return Distant(self._array.astype(dtype), True) if self._converts else None

    def window(self, *place: int) -> Any:
        raise AssertionError

    empty = put = window

    def __mul__(self, factor: Any) -> Distant:
        return Distant(self._array * factor, self._converts)


@pytest.mark.parametrize("converts", [True, False])
def test_half_ports_of_values_on_a_device(converts: bool) -> None:
    """They are converted there; where that cannot be, the host does it."""
    given = np.array([1.0, 2**-11 + 1, 3e4], np.float32)
    found = HalfPorts(Doubling()).run({"x": Distant(given, converts)})["y"]
    assert isinstance(found, Distant) == converts and found.dtype == np.float32
    array = found._array if isinstance(found, Distant) else found
    assert array.tolist() == [2.0, 2.0, 6e4]


def test_planes_are_made_on_the_gpu_whatever_the_ports(bundle: Path) -> None:
    def makes(device: str, precision: str) -> bool:
        with Codec(Bundle(bundle), "ort", EngineOptions(device, precision=precision)) as codec:
            return codec.machine.planes is not None

    assert makes("cuda", "fp32") and makes("cuda:1", "fp16") and not makes("cpu", "fp32")
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"ports": "fp32"', '"ports": "fp16"'))
    assert makes("cuda", "fp32") and makes("cuda", "fp16") and not makes("cpu", "fp16")


def test_inspect(bundle: Path) -> None:
    shown = command("inspect", bundle)
    for text in ("nodes by precision", "1,234,567", "71.2", "1 GDN", "/5/Sqrt", "norm is too wide",
                 "-0.011"):  # fmt: skip
        assert text in shown, text
    raw = json.loads(command("inspect", bundle, "--json"))
    assert raw["graphs"]["synthesis"]["variants"]["fp16"] == FACTS
    assert "nodes by precision" not in command("inspect", "demo")


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"nodes": 3, "islands": [1, {"nodes": 2}], "gdn": "x"},
        {"parity": {"fp32": {"x_hat": 1}}, "weights_bytes": "x"},
    ],
)
def test_inspect_survives_facts_of_any_kind(bundle: Path, facts: dict[str, Any]) -> None:
    path = bundle / "manifest.json"
    raw = json.loads(path.read_text())
    raw["graphs"]["synthesis"]["variants"]["fp16"] = {
        "file": "graphs/half.onnx", "ports": "fp32", **facts
    }  # fmt: skip
    path.write_text(json.dumps({**raw, "fp16": {"routes": {"lr": 1}}}))
    assert "nodes by precision" in command("inspect", bundle)


def test_commands_take_a_precision(bundle: Path, picture: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture).save(tmp_path / "a.png")
    common = ["-m", bundle, "--precision", "fp16"]
    command("encode", tmp_path / "a.png", "-o", tmp_path / "a.lss", *common)
    command("decode", tmp_path / "a.lss", "-o", tmp_path / "b.png", *common)
    command("upscale", tmp_path / "a.lss", "-o", tmp_path / "c.png", *common)
    assert (tmp_path / "c.png").is_file()
