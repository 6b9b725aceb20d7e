"""Image steps of routes: the plain expressions' bits, crops without copies, errors of ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import latentsr
from guarded import same_bits
from latentsr.backends.base import Engine
from latentsr.bundle import DEMO, Bundle
from latentsr.entropy import isa
from latentsr.errors import BundleError, UsageError
from latentsr.manifest import Route
from latentsr.pipeline import image_steps
from latentsr.pipeline.routes import Machine, Run, execute
from latentsr.stream import Padding

PADDING = Padding(left=3, top=2, right=5, bottom=1)
RUN = Run(13, 9, PADDING, threads=2)


def planes(height: int = 12, width: int = 21, scale: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(height)
    return rng.normal(0.5, 1, (1, 3, height * scale, width * scale)).astype(np.float32)


def plain_picture(x: NDArray) -> NDArray:
    scaled = np.rint(np.clip(x[0], 0.0, 1.0) * np.float32(255))
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))


@pytest.mark.parametrize("name", isa.supported())
@pytest.mark.parametrize("padding", [Padding(), PADDING])
def test_pad(monkeypatch: pytest.MonkeyPatch, name: str, padding: Padding) -> None:
    monkeypatch.setenv(isa.VARIABLE, name)
    image = np.random.default_rng(1).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    left, top, right, bottom = padding
    expected = np.pad(
        image.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255),
        ((0, 0), (top, bottom), (left, right)),
        mode="edge",
    )[np.newaxis]
    frozen, spread = image.copy(), np.repeat(image, 2, axis=1)[:, ::2]
    frozen.flags.writeable = False
    for given in (image, frozen, spread):
        found = image_steps.pad(given, replace(RUN, padding=padding), {})
        assert same_bits(found, expected)
        assert found.flags.c_contiguous


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("name", isa.supported())
def test_crop_and_picture(monkeypatch: pytest.MonkeyPatch, name: str, scale: int) -> None:
    monkeypatch.setenv(isa.VARIABLE, name)
    x = planes(scale=scale)
    top, left = PADDING.top * scale, PADDING.left * scale
    expected = x[:, :, top : top + 9 * scale, left : left + 13 * scale].copy()
    cropped = image_steps.crop(x, RUN, {"scale": scale})
    assert same_bits(cropped, expected)
    assert np.shares_memory(cropped, x)
    found = image_steps.picture(cropped, RUN, {})
    assert same_bits(found, plain_picture(expected))
    assert found.flags.c_contiguous
    clamped = image_steps.clamp(cropped, RUN, {})
    assert same_bits(clamped, np.clip(expected, 0, 1))
    assert clamped.flags.c_contiguous


def test_pictures_of_arrays_that_kernels_do_not_take() -> None:
    x = planes()
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    assert not odd.flags.aligned
    swapped = np.ascontiguousarray(x.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    for given in (x.astype(np.float64), x.astype(">f4"), odd, swapped, x.repeat(2, -1)[..., ::2]):
        assert same_bits(image_steps.picture(given, RUN, {}), plain_picture(x))
    half = x.astype(np.float16)
    assert same_bits(image_steps.picture(half, RUN, {}), plain_picture(half.astype(np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", isa.supported())
def test_samples_that_are_not_finite(
    monkeypatch: pytest.MonkeyPatch, name: str, bad: float
) -> None:
    monkeypatch.setenv(isa.VARIABLE, name)
    x = planes()
    x[0, 2, 11, 20] = bad  # in the padding, which no one sees
    cropped = image_steps.crop(x, RUN, {})
    image_steps.picture(cropped, RUN, {})
    cropped[0, 1, 8, 12] = bad
    with pytest.raises(BundleError, match="samples that are not finite"):
        image_steps.picture(cropped, RUN, {})


def test_values_of_other_kinds_are_refused() -> None:
    for shape in ((3, 4, 5), (1, 1, 4, 5), (2, 3, 4, 5)):
        with pytest.raises(BundleError, match="no RGB picture: found shape"):
            image_steps.picture(np.zeros(shape, np.float32), RUN, {})
    for dtype in (np.int64, np.uint8, bool, object, str):
        with pytest.raises(BundleError, match=r"no RGB picture: found .* expected float32"):
            image_steps.picture(np.zeros((1, 3, 4, 5), dtype), RUN, {})
    for image in (
        planes(), planes()[0].transpose(1, 2, 0), np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8), np.zeros((0, 5, 3), np.uint8),
    ):  # fmt: skip
        with pytest.raises(BundleError, match="pad wants a picture: found"):
            image_steps.pad(image, RUN, {})
    for x in (planes(10), planes(width=15), planes()[0]):
        with pytest.raises(BundleError, match="picture of the wrong size"):
            image_steps.crop(x, RUN, {})


def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, "sse9")
    with pytest.raises(UsageError, match="'sse9'"):
        image_steps.picture(planes(), RUN, {})


class Contiguous(Engine):
    """Hands its inputs on if they are what engines are promised."""

    runs_on = "here"

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert all(array.flags.c_contiguous for array in inputs.values())
        return {"hr": next(iter(inputs.values()))}


def test_engines_get_crops_in_order() -> None:
    bundle = Bundle(DEMO)
    graph = bundle.manifest.graphs["pixel_sr"]
    step = {"op": "graph", "graph": "pixel_sr", "in": ["x"], "out": ["hr"]}
    route = Route("decode", 1, ({"op": "crop", "in": "x", "out": "x"}, step), "")
    run, x = replace(RUN, values={"x": planes()}), planes()[:, :, 2:11, 3:16]
    engine = Contiguous()
    execute(route, run, Machine(bundle, {}, lambda name: engine))
    assert graph.outputs == ("hr",) and same_bits(run.values["hr"], x)


@pytest.mark.parametrize("size", [(1, 1), (37, 90)])
def test_routes_give_the_same_pictures_on_every_instruction_set(
    monkeypatch: pytest.MonkeyPatch, picture: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    image = np.tile(picture, (1, 2, 1))[: size[0], : size[1]]
    for centred in (False, True):
        found = []
        for name in isa.supported():
            monkeypatch.setenv(isa.VARIABLE, name)
            with latentsr.load("demo", threads=1) as codec:
                stream = codec.encode(image, centred=centred)
                found.append((stream, codec.decode(stream), codec.upscale(stream)))
        for stream, low, high in found[1:]:
            assert stream == found[0][0]
            assert same_bits(low, found[0][1]) and same_bits(high, found[0][2])


@pytest.mark.parametrize("name", image_steps.FILTERS)
def test_resize_and_reduce_are_pillow_s(name: str) -> None:
    image = np.random.default_rng(2).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    method = Image.Resampling[name.upper()]
    step = {"scale": 4, "filter": name}
    enlarged = np.asarray(Image.fromarray(image).resize((52, 36), method))
    assert np.array_equal(image_steps.resize(image, RUN, step), enlarged)
    # To 12x16: three rows and three columns more, each the border once again.
    filled = image[np.minimum(np.arange(12), 8)][:, np.minimum(np.arange(16), 12)]
    reduced = np.asarray(Image.fromarray(filled).resize((4, 3), method))
    assert np.array_equal(image_steps.reduce(image, RUN, step), reduced)
    for function in (image_steps.resize, image_steps.reduce):
        assert np.array_equal(function(image, RUN, {"filter": name}), image)


@pytest.mark.parametrize("kind", ["resize", "reduce"])
def test_what_cannot_be_resized(kind: str) -> None:
    good = np.zeros((4, 4, 3), np.uint8)
    for wrong in (good.astype(np.float32), good[0], good[..., :2], good[:0], good[:, :0]):
        with pytest.raises(BundleError, match=f"{kind} wants a picture: found {wrong.dtype}"):
            getattr(image_steps, kind)(wrong, RUN, {"scale": 2, "filter": "bicubic"})
