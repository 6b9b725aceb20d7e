"""Routes are checked before they run: what each step may name, and what a route has to make."""

from __future__ import annotations

from typing import Any

import pytest

from latentsr.bundle import Bundle
from latentsr.errors import BundleError
from latentsr.manifest import Route
from latentsr.pipeline.route_check import check

DECODED = [{"op": "entropy_decode", "chunk": "z", "out": "z_hat"}]
FRAMED: list[dict[str, Any]] = [{"op": "pad", "in": "picture", "out": "x"}]


def checked(kind: str, *steps: dict[str, Any]) -> None:
    check("r", Route(kind, 1, steps, ""), Bundle("demo"))


def fault_of(kind: str, *steps: dict[str, Any]) -> str:
    with pytest.raises(BundleError) as raised:
        checked(kind, *steps)
    return str(raised.value)


def test_a_decode_route_without_a_picture() -> None:
    assert "route r makes no picture" in fault_of("decode", *DECODED)
    checked("decode", *DECODED, {"op": "picture", "in": "z_hat", "out": "picture"})


@pytest.mark.parametrize(("scale", "fits"), [(1, True), (64, True), (65, False), (2.0, False)])
def test_scales(scale: float, fits: bool) -> None:
    steps = [*DECODED, {"op": "picture", "in": "z_hat", "out": "picture"},
             {"op": "resize", "in": "picture", "out": "picture", "scale": scale,
              "filter": "bicubic"}]  # fmt: skip
    if fits:
        checked("decode", *steps)
    else:
        assert "route r, step 2 is wrong" in (said := fault_of("decode", *steps))
        assert "expected a scale of 1..64" in said


@pytest.mark.parametrize("multiple", [0, 257, 64.0, True, "64", None])
def test_multiples_that_nothing_is_padded_to(multiple: object) -> None:
    said = fault_of("encode", {**FRAMED[0], "multiple": multiple})
    assert "expected a multiple of 1..256 in pad steps only" in said


@pytest.mark.parametrize("multiple", [1, 256])
def test_multiples_in_pad_steps(multiple: int) -> None:
    # What is wrong then is not the step: the route codes nothing.
    said = fault_of("encode", {**FRAMED[0], "multiple": multiple})
    assert "codes the wrong chunks: found []" in said


def test_a_multiple_in_another_step() -> None:
    clamp = {"op": "clamp", "in": "x", "out": "x", "multiple": 64}
    assert "in pad steps only" in fault_of("encode", *FRAMED, clamp)


def test_features_of_a_chunk_without_a_context_model() -> None:
    step = {"op": "entropy_decode", "chunk": "y", "out": "y_hat", "features": "z_hat"}
    assert "for others scales and means" in fault_of("decode", *DECODED, step)


def test_a_chunk_that_is_no_file() -> None:
    step = {"op": "jpeg_encode", "chunk": "y", "in": "picture", "quality": 30}
    assert "steps for a chunk of model gaussian" in fault_of("encode", step)
