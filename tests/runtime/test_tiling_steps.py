"""Resampling and padding in parts give the very samples of the whole picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentsr.errors import BundleError
from latentsr.pipeline import image_steps
from latentsr.pipeline.routes import Run
from latentsr.stream import Padding
from latentsr.tiling.graph_step import GraphStep, Unit
from latentsr.tiling.plan import Chain, borders
from latentsr.tiling.steps import Crop, Pad, Resize, Share, Span, TileStep
from latentsr.windows import Input, Window


def _part(step: TileStep, image: np.ndarray, rows: Span, columns: Span) -> np.ndarray:
    shares: list[Share] = [step.plan(axis, [span]) for axis, span in enumerate((rows, columns))]
    (top, bottom), (left, right) = (share.inputs[0] for share in shares)
    return step.run([image[top:bottom, left:right]], *shares)[0]


def _spans(side: int) -> list[Span]:
    rng = np.random.default_rng(side)
    found = [(0, side), (0, 1), (side - 1, side), (0, side // 2 + 1), (side // 2, side)]
    for _ in range(12):
        first, last = sorted(rng.integers(0, side + 1, 2).tolist())
        found.append((first, max(last, first + 1)) if first < side else (side - 1, side))
    return found


@pytest.mark.parametrize("name", image_steps.FILTERS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (37, 23)])
def test_resize(name: str, scale: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(scale).integers(0, 256, (*size, 3)).astype(np.uint8)
    stated: dict[str, Any] = {"op": "resize", "in": "a", "out": "b", "scale": scale, "filter": name}
    run = Run(size[1], size[0], Padding())
    whole = image_steps.resize(image, run, stated)
    step = Resize(stated, run)
    assert step.sizes((size,)) == (whole.shape[:2],)
    for rows, columns in zip(_spans(whole.shape[0]), _spans(whole.shape[1]), strict=True):
        found = _part(step, image, rows, columns)
        assert np.array_equal(found, whole[slice(*rows), slice(*columns)])


@pytest.mark.parametrize("scale", [3, 4, 6])
def test_resize_far_from_the_origin(scale: int) -> None:
    image = np.random.default_rng(7).integers(0, 256, (5, 5000, 3)).astype(np.uint8)
    method = Image.Resampling.LANCZOS
    whole = np.asarray(Image.fromarray(image).resize((5000 * scale, 5 * scale), method))
    stated: dict[str, Any] = {"op": "resize", "in": "a", "out": "b", "scale": scale,
                              "filter": "lanczos"}  # fmt: skip
    step = Resize(stated, Run(5000, 5, Padding()))
    step.sizes(((5, 5000),))
    for first in range(4000, 5000 * scale - 700, 611):
        found = _part(step, image, (0, 5 * scale), (first, first + 700))
        assert np.array_equal(found, whole[:, first : first + 700])


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (0, 0, 5, 9), (7, 3, 8, 2), (200, 1, 0, 255)])
@pytest.mark.parametrize("size", [(1, 1), (19, 12)])
def test_pad(padding: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    image = np.random.default_rng(3).integers(0, 256, (*size, 3)).astype(np.uint8)
    run = Run(size[1], size[0], Padding(*padding))
    stated = {"op": "pad", "in": "a", "out": "b"}
    whole = image_steps.pad(image, run, stated)
    step = Pad(stated, run)
    assert step.sizes((size,)) == (whole.shape[2:],)
    for rows, columns in zip(_spans(whole.shape[2]), _spans(whole.shape[3]), strict=True):
        found = _part(step, image, rows, columns)
        assert np.array_equal(found, whole[:, :, slice(*rows), slice(*columns)])


def _graph(name: str, step: int, out: int, inputs: str, outputs: str) -> GraphStep:
    """A graph whose blocks of so many positions give so many."""
    window = Window((Input((step, step), (0, 0), (0, 0)),), ((out, out),), (3,), 1.0)
    unit = Unit(name, ("x",), ("y",), window, 1.0)
    return GraphStep(unit, [inputs], [outputs], None, False)  # type: ignore[arg-type] - not run


def test_crop() -> None:
    """Parts of a picture lie behind its padding, which is as large as the scale makes it."""
    run = Run(10, 8, Padding(left=3, top=1, right=2, bottom=4))
    step = Crop({"op": "crop", "in": "a", "out": "b", "scale": 2}, run)
    image = np.random.default_rng(3).integers(0, 256, (18, 26, 3)).astype(np.uint8)
    assert step.sizes((image.shape[:2],)) == ((16, 20),)
    whole = image[2:18, 6:26]
    for rows, columns in zip(_spans(16), _spans(20), strict=True):
        assert np.array_equal(
            _part(step, image, rows, columns), whole[slice(*rows), slice(*columns)]
        )
    assert [step.border(0, 2), step.border(1, 6), step.border(1, 26)] == [0, 0, 20]
    for small in ((17, 26), (18, 25)):
        with pytest.raises(BundleError, match=r"wrong size: found \(1[78], 2[56]\), expected"):
            step.sizes((small,))


def test_windows_that_make_huge_values_are_refused() -> None:
    """Sides that multiply from step to step would take time and memory without end to plan."""
    step = _graph("a", 1, 1 << 20, "x", "y")
    assert step.sizes(((7, 8),)) == ((7 << 20, 8 << 20),)
    with pytest.raises(BundleError, match="makes too large a value"):
        step.sizes(((7, 9),))
    with pytest.raises(BundleError, match="makes too large a value"):
        _graph("b", 1, 1, "y", "z").sizes(((7 << 20, 9 << 20),))


def test_borders_are_few_however_long_an_axis_is() -> None:
    step = _graph("b", 1, 1, "y", "z")
    size = (8 << 20, 65535)
    chain = Chain((step,), "z", {"y": size, "z": step.sizes((size,))[0]})
    assert len(borders(chain, 0, (0, size[0]))) <= 1 << 17
    assert borders(chain, 1, (0, size[1])) == list(range(1, size[1]))  # as many as pictures have
