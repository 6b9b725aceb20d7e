"""Graphs and routes that make other values than they should: a BundleError, never a trace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="engines run there")

import latentsr
from latentsr.backends.base import Engine
from latentsr.bundle import DEMO, Bundle
from latentsr.errors import BundleError, LatentSRError, UsageError
from latentsr.manifest import parse

WAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "flat": lambda v: v.reshape(-1),
    "plane": lambda v: v[0, 0],
    "five": lambda v: v[None],
    "text": lambda v: v.astype(str),
    "objects": lambda v: v.astype(object),
    "sequence": lambda v: [v],  # what ONNX Runtime makes of an ONNX sequence
    "nothing": lambda v: None,  # and of an optional value that is not there
    "empty": lambda v: v[:, :, :0],
    "bytes": lambda v: v.astype(np.uint8),
}
CALLS: dict[str, dict[str, Any]] = {
    "whole": {}, "tiles": {"memory": "64MiB"}, "region": {"region": (3, 5, 20, 30)},
}  # fmt: skip
TO_PICTURE = [
    {"op": "crop", "in": "x_hat", "out": "c"},
    {"op": "picture", "in": "c", "out": "picture"},
]


class Odd(Engine):
    """An engine whose outputs are changed."""

    def __init__(self, engine: Engine, change: Callable[[np.ndarray], Any]) -> None:
        self._engine, self._change = engine, change

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: self._change(value) for name, value in self._engine.run(inputs).items()}

    @property
    def runs_on(self) -> str:
        return self._engine.runs_on


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "graph", ["analysis", "hyper_analysis", "entropy_parameters_exact", "synthesis", "latent_sr"]
)
def test_outputs_of_another_kind_are_refused(graph: str, way: str, picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(picture)

        def engine(name: str) -> Engine:
            own = codec.engine(name)  # of a graph, or of a piece of one in tiles
            return Odd(own, WAYS[way]) if name.partition("#")[0] == graph else own

        codec.machine = replace(codec.machine, engine=engine)
        if graph in ("analysis", "hyper_analysis", "entropy_parameters_exact"):
            with pytest.raises(LatentSRError):
                codec.encode(picture)
        if graph not in ("analysis", "hyper_analysis"):
            route = "latent_x4" if graph == "latent_sr" else "lr"
            for options in CALLS.values():
                with pytest.raises(LatentSRError):
                    codec.decode(stream, route, **options)


def changed(folder: Path, steps: list[dict[str, Any]], scale: int) -> Path:
    """The demo with other steps behind the synthesis of route ``lr``."""
    path = Path(shutil.copytree(DEMO, folder / "changed.lsr"))
    raw = json.loads((path / "manifest.json").read_text())
    route = raw["routes"]["lr"]
    route["steps"] = [s for s in route["steps"] if s["op"] not in ("crop", "picture")] + steps
    route["scale"] = scale
    (path / "manifest.json").write_text(json.dumps(raw))
    return path


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("steps", "scale"),
    [
        (TO_PICTURE, 2),  # half as large as it says
        ([*TO_PICTURE, {"op": "resize", "in": "picture", "out": "picture", "scale": 2,
                        "filter": "lanczos"}], 1),
        ([*TO_PICTURE, {"op": "pad", "in": "picture", "out": "x"},
          {"op": "picture", "in": "x", "out": "picture"}], 1),
    ],
)  # fmt: skip
def test_routes_that_do_not_make_their_picture_are_refused(
    tmp_path: Path, picture: np.ndarray, steps: list[dict[str, Any]], scale: int, call: str
) -> None:
    """As a whole, in tiles, and where a region alone would not show it."""
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(picture)
    with (
        latentsr.load(changed(tmp_path, steps, scale), threads=1) as codec,
        pytest.raises(BundleError, match="makes no such picture"),
    ):
        codec.decode(stream, "lr", **CALLS[call])


@pytest.mark.parametrize(
    ("steps", "taken"),
    [
        ([{"op": "resize", "in": "x_hat", "out": "picture", "scale": 2, "filter": "bicubic"}],
         "a picture as its input, not planes as x_hat is"),
        ([*TO_PICTURE, {"op": "crop", "in": "picture", "out": "picture"}],
         "planes as its input, not a picture as picture is"),
        ([*TO_PICTURE, {"op": "clamp", "in": "picture", "out": "picture"}], "planes as its input"),
        ([*TO_PICTURE, {"op": "picture", "in": "picture", "out": "picture"}], "planes as its"),
        ([{"op": "pad", "in": "x_hat", "out": "x_hat"}, *TO_PICTURE], "a picture as its input"),
        ([*TO_PICTURE, {"op": "graph", "graph": "synthesis", "in": ["picture"], "out": ["x"]}],
         "planes as its input, not a picture"),
    ],
)  # fmt: skip
def test_pictures_and_planes_do_not_stand_in_for_each_other(
    tmp_path: Path, steps: list[dict[str, Any]], taken: str
) -> None:
    """Before anything runs, and so whole and in tiles: tiles once cropped what a whole run did not.

    A value's kind is that of the step that set it last.
    """
    with pytest.raises(BundleError, match=rf"route lr, step \d is wrong: .*{taken}"):
        latentsr.load(changed(tmp_path, steps, 1))


def test_graphs_without_inputs_or_outputs_are_refused(tmp_path: Path) -> None:
    raw = json.loads((DEMO / "manifest.json").read_text())
    for key in ("inputs", "outputs"):
        graph = {**raw["graphs"]["synthesis"], key: []}
        changed = {**raw, "graphs": {**raw["graphs"], "synthesis": graph}}
        with pytest.raises(BundleError, match=f"synthesis.{key}.*at least one name"):
            parse(json.dumps(changed))


def test_a_bundle_that_cannot_encode_cannot_be_tuned(tmp_path: Path) -> None:
    from latentsr.plans.builders import Wanted, get_builder

    path = Path(shutil.copytree(DEMO, tmp_path / "decoder.lsr"))
    raw = json.loads((path / "manifest.json").read_text())
    del raw["routes"]["encode"]
    (path / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(UsageError, match="cannot encode"):
        get_builder("cpu").build(Bundle(path), Wanted(routes=["lr"]), lambda line: None)


def test_a_table_of_no_plans() -> None:
    from latentsr.cli.engine_table import built_table

    assert built_table([]).row_count == 0


def test_memory_that_ran_out_is_one_request_s_error() -> None:
    """Of a server: the others of the batch are answered."""
    from latentsr.deploy.triton_model import TritonPythonModel

    def decode(stream: bytes, route: str) -> np.ndarray:
        if stream == b"huge":
            raise MemoryError
        return np.zeros((2, 2, 3), np.uint8)

    model: Any = TritonPythonModel()
    model._route, model._codec = "lr", SimpleNamespace(decode=decode)
    model._triton = SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: SimpleNamespace(
            as_numpy=lambda: np.frombuffer(request, np.uint8)
        ),
        Tensor=lambda name, value: value, TritonError=str, InferenceResponse=SimpleNamespace,
    )  # fmt: skip
    first, second = model.execute([b"huge", b"small"])
    assert "memory ran out" in first.error and second.output_tensors[0].shape == (2, 2, 3)
