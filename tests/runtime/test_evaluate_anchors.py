"""Where a route's LR picture is found, and what the original anchor makes of the uncoded one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

import latentsr
from latentsr.codec import Codec
from latentsr.errors import BundleError
from latentsr.evaluate.anchors import Tail, find_tail, upscale_original
from latentsr.manifest import Route

Y = [
    {"op": "entropy_decode", "chunk": "z", "out": "z_hat"},
    {"op": "graph", "graph": "entropy_parameters", "in": ["z_hat"], "out": ["scales"]},
    {"op": "entropy_decode", "chunk": "y", "out": "y_hat", "scales": "scales"},
]
SYNTHESIS = {"op": "graph", "graph": "synthesis", "in": ["y_hat"], "out": ["x_hat"]}
CROP = {"op": "crop", "in": "x_hat", "out": "x_hat"}
ENLARGE = {"op": "graph", "graph": "pixel_sr", "in": ["x_hat"], "out": ["hr"]}


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    with latentsr.load("demo") as codec:
        yield codec


@pytest.fixture(scope="module")
def low(picture: np.ndarray) -> np.ndarray:
    return picture[:40, :52]


@pytest.fixture(scope="module")
def stream(codec: Codec, low: np.ndarray) -> bytes:
    return codec.encode(low)


def tail_of(codec: Codec, stream: bytes, steps: list[dict[str, Any]]) -> Tail | None:
    """The tail of a route of scale 4 that the bundle does not have."""
    manifest = codec.bundle.manifest
    routes = {**manifest.routes, "tried": Route("decode", 4, tuple(steps), "")}
    codec.bundle.manifest = replace(manifest, routes=routes)
    try:
        return find_tail(codec, "tried", stream)
    finally:
        codec.bundle.manifest = manifest


def test_pixel_route(codec: Codec, stream: bytes, low: np.ndarray) -> None:
    tail = find_tail(codec, "pixel_x4", stream)
    assert tail is not None and (tail.value, tail.planes) == ("x_hat", True)
    assert [step["op"] for step in tail.route.steps] == ["clamp", "graph", "picture"]
    planes = low.transpose(2, 0, 1)[np.newaxis].astype(np.float32) * np.float32(1 / 255)
    made = codec.engine("pixel_sr").run({"x": np.ascontiguousarray(planes)})["hr"][0]
    expected = np.rint(np.clip(made, 0, 1) * np.float32(255)).astype(np.uint8).transpose(1, 2, 0)
    assert np.array_equal(upscale_original(codec, tail, low), expected)


def test_bicubic_route(codec: Codec, stream: bytes, low: np.ndarray) -> None:
    tail = find_tail(codec, "bicubic", stream)
    assert tail is not None
    expected = Image.fromarray(low).resize((208, 160), Image.Resampling.BICUBIC)
    assert np.array_equal(upscale_original(codec, tail, low), np.asarray(expected))


def test_what_is_no_anchor(codec: Codec, stream: bytes) -> None:
    assert find_tail(codec, "latent_x4", stream) is None
    assert find_tail(codec, "lr", stream) is None
    # Made on the way, but nothing that comes later depends on it.
    hr = [{"op": "graph", "graph": "latent_sr", "in": ["y_hat"], "out": ["hr"]},
          {"op": "crop", "in": "hr", "out": "hr", "scale": 4},
          {"op": "picture", "in": "hr", "out": "picture"}]  # fmt: skip
    assert tail_of(codec, stream, [*Y, SYNTHESIS, CROP, *hr]) is None


def test_the_tail_begins_where_nothing_else_is_needed(codec: Codec, stream: bytes) -> None:
    later = [{"op": "graph", "graph": "latent_sr", "in": ["y_hat"], "out": ["other"]}, ENLARGE,
             {"op": "picture", "in": "hr", "out": "picture"}]  # fmt: skip
    # After the crop both x_hat and y_hat are wanted; only after the latent network x_hat alone.
    tail = tail_of(codec, stream, [*Y, SYNTHESIS, CROP, *later])
    assert tail is not None and len(tail.route.steps) == 2
    # Here x_hat is all that is wanted, but a chunk of the stream is still to be decoded.
    late = [Y[0], *later[1:]]
    tail = tail_of(codec, stream, [*Y, SYNTHESIS, CROP, *late])
    assert tail is not None and [s["op"] for s in tail.route.steps] == ["graph", "picture"]


def test_an_interleaved_picture_is_found_too(
    codec: Codec, stream: bytes, low: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A step of a future version, as of a picture format inside the stream.
    from latentsr.pipeline import routes

    def decode(step: Any, run: Any, machine: Any, stage: Any) -> None:
        assert run.chunks["z"]
        run.values[step["out"]] = low

    monkeypatch.setitem(routes.STEPS, "file_decode", ("image", decode))
    steps = [
        {"op": "file_decode", "out": "picture"},
        {"op": "resize", "in": "picture", "out": "picture", "scale": 4, "filter": "lanczos"},
    ]
    tail = tail_of(codec, stream, steps)
    assert tail is not None and (tail.value, tail.planes) == ("picture", False)
    expected = Image.fromarray(low).resize((208, 160), Image.Resampling.LANCZOS)
    assert np.array_equal(upscale_original(codec, tail, low), np.asarray(expected))


def test_a_tail_found_without_padding_serves_sizes_with_padding(
    codec: Codec, picture: np.ndarray, low: np.ndarray
) -> None:
    even = codec.encode(np.ascontiguousarray(picture[:64, :64]))
    early = find_tail(codec, "pixel_x4", even)
    late = find_tail(codec, "pixel_x4", codec.encode(low))
    assert early is not None and late is not None
    assert len(early.route.steps) == len(late.route.steps) + 1  # the crop, which has nothing to do
    pictures = [upscale_original(codec, tail, low) for tail in (early, late)]
    assert np.array_equal(*pictures)


def test_a_tail_of_the_wrong_scale_is_refused(codec: Codec, stream: bytes, low: np.ndarray) -> None:
    tail = find_tail(codec, "pixel_x4", stream)
    assert tail is not None
    wrong = replace(tail, route=replace(tail.route, scale=2))
    with pytest.raises(BundleError, match=r"found uint8 \(160, 208, 3\)"):
        upscale_original(codec, wrong, low)
