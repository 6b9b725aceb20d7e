"""The two anchors of the CDSR paper (Upenik et al., section 3.1), found in any route's steps.

A route that goes through the LR picture is an anchor: *decoded* where it starts from the stream,
*original* where its tail, from the LR picture on, runs on the uncompressed one. Which steps are
the tail is read off a traced run, so that no step has to be known here: the tail begins after the
first step from where on all others together need one value and no chunk of the stream, and this
value is an RGB picture of the coded size. A route without such a step, as one in the latent
domain, is no anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from latentsr.codec import Codec
from latentsr.errors import BundleError
from latentsr.image import Picture
from latentsr.manifest import Route
from latentsr.pipeline import image_steps, routes
from latentsr.stream import Padding

DECODED, ORIGINAL = "decoded", "original"
Form = bool | None
"""True for RGB planes of the coded size, False for such a uint8 picture, None for all else."""


@dataclass(frozen=True)
class Tail:
    """The steps that enlarge the LR picture, and the value in which they expect it.

    planes: whether as float32 (1, 3, h, w) in 0..1, otherwise as uint8 (h, w, 3).
    """

    route: Route
    value: str
    planes: bool


def find_tail(codec: Codec, name: str, stream: bytes) -> Tail | None:
    """What a decode route does from the decoded LR picture on; None where it is no anchor.

    stream: of any picture; the route runs on it once. A route that does not enlarge has no tail.
    Raises what decoding raises.
    """
    route = codec.bundle.route(name, "decode")
    if route.scale == 1:
        return None
    steps = _trace(codec, route, stream)
    for cut in range(1, len(steps)):
        needed = _needed(steps[cut:])
        if len(needed) != 1 or any(step.chunks for step in steps[cut:]):
            continue
        value = needed.pop()
        form = next((s.wrote[value] for s in reversed(steps[:cut]) if value in s.wrote), None)
        if form is not None:
            return Tail(replace(route, steps=route.steps[cut:]), value, form)
    return None


def upscale_original(codec: Codec, tail: Tail, low: Picture) -> Picture:
    """The original anchor: run a tail on the uncompressed LR picture, uint8 (h, w, 3).

    Returns uint8 (h · scale, w · scale, 3). Raises BundleError where the route makes another.
    """
    height, width = low.shape[:2]
    run = routes.Run(width, height, Padding())
    run.values[tail.value] = image_steps.pad(low, run, {}) if tail.planes else low
    routes.execute(tail.route, run, codec.machine)
    picture: Picture = run.values["picture"]
    expected = (height * tail.route.scale, width * tail.route.scale, 3)
    if picture.shape != expected or picture.dtype != np.uint8:
        raise BundleError(
            f"route makes no such picture: found {picture.dtype} {picture.shape}, expected "
            f"uint8 {expected}; export the bundle again"
        )
    return picture


@dataclass
class _Step:
    """What one step did: values read before it wrote any, chunks read, values written."""

    read: set[str] = field(default_factory=set)
    chunks: set[str] = field(default_factory=set)
    wrote: dict[str, Form] = field(default_factory=dict)


class _Watched(dict[str, Any]):
    """A dictionary that notes which names are looked up and set."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()
        self.wrote: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def __setitem__(self, name: str, value: Any) -> None:
        self.wrote.add(name)
        super().__setitem__(name, value)

    def taken(self) -> tuple[set[str], set[str]]:
        """Names read and set since the last call."""
        found = self.read, self.wrote
        self.read, self.wrote = set(), set()
        return found


def _trace(codec: Codec, route: Route, stream: bytes) -> list[_Step]:
    """Run a route step by step and note what each step does."""
    parts = codec.open_stream(stream)
    run = routes.Run(parts.width, parts.height, parts.padding, parts.form, parts.exact)
    values, chunks = _Watched(), _Watched()
    names = (chunk.name for chunk in codec.bundle.manifest.chunks)
    chunks.update(zip(names, parts.chunks, strict=True))
    run.values, run.chunks = values, chunks
    steps = []
    for step in route.steps:
        routes.execute(replace(route, steps=(step,)), run, codec.machine)
        (read, wrote), (coded, _) = values.taken(), chunks.taken()
        forms = {name: _form(dict.__getitem__(values, name), run) for name in wrote}
        steps.append(_Step(read, coded, forms))
    return steps


def _needed(steps: Sequence[_Step]) -> set[str]:
    """Values that steps take from before them."""
    needed: set[str] = set()
    for step in reversed(steps):
        needed = needed - step.wrote.keys() | step.read
    return needed


def _form(value: Any, run: routes.Run) -> Form:
    if not isinstance(value, np.ndarray):
        return None
    if value.shape == (1, 3, run.height, run.width) and value.dtype == np.float32:
        return True
    interleaved = value.shape == (run.height, run.width, 3) and value.dtype == np.uint8
    return False if interleaved else None
