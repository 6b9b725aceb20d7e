"""What engines are tuned on: pictures sent through the routes, and what each graph is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from latentsr.backends.base import Engine
from latentsr.bench.inputs import crop_to_scale, reduce, tiled_to
from latentsr.codec import Codec
from latentsr.errors import UsageError
from latentsr.manifest import Manifest
from latentsr.plans.forms import Sample
from latentsr.report.metrics import psnr

MOST_DB = 99.0
"""What stands for equal pictures."""


@dataclass(frozen=True)
class Case:
    """A coded picture: what was encoded, uint8 (h, w, 3), its HR original, and the stream."""

    given: np.ndarray
    original: np.ndarray
    scale: int
    stream: bytes

    def reference(self, scale: int) -> np.ndarray | None:
        """What a route of this scale is compared with, None where there is nothing."""
        if scale == self.scale:
            return self.original
        return self.given if scale == 1 else None


class Recorder(Engine):
    """An engine that keeps the inputs of each call."""

    def __init__(self, engine: Engine, samples: list[Sample]) -> None:
        self._engine, self._samples = engine, samples

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Keep the inputs, run the engine."""
        self._samples.append({name: np.array(value) for name, value in inputs.items()})
        return self._engine.run(inputs)

    @property
    def runs_on(self) -> str:
        """The engine's own answer."""
        return self._engine.runs_on


def encode_route(manifest: Manifest) -> str:
    """The route that makes streams: ``encode``, or the first of its kind; else UsageError."""
    names = [name for name, route in manifest.routes.items() if route.kind == "encode"]
    if not names:
        raise UsageError(
            f"bundle {manifest.name} cannot encode: found no such route, expected one for pictures "
            "to measure on; export it with its analysis transform"
        )
    return "encode" if "encode" in names else names[0]


def decode_routes(manifest: Manifest, wanted: Sequence[str] = ()) -> list[str]:
    """Decode routes, those wanted if any are named."""
    known = [name for name, route in manifest.routes.items() if route.kind == "decode"]
    return [name for name in known if name in wanted] if wanted else known


def make_case(
    codec: Codec, picture: np.ndarray, size: tuple[int, int] | None, names: Sequence[str]
) -> Case:
    """Reduce a picture, uint8 (H, W, 3), by the routes' scale and encode it.

    size: width and height of the coded picture, to which the picture is cut or mirrored onwards;
    None for the picture's own.
    """
    routes = codec.bundle.manifest.routes
    scale = max((routes[name].scale for name in names), default=1)
    if size is not None:
        picture = tiled_to(picture, size[0] * scale, size[1] * scale)
    original = crop_to_scale(picture, scale)
    given = reduce(original, scale)
    stream = codec.encode(given, encode_route(codec.bundle.manifest))
    return Case(given, original, scale, stream)


def record(codec: Codec, case: Case, names: Sequence[str]) -> dict[str, Sample]:
    """The first inputs that each graph meets when a case is encoded and decoded by these routes."""
    found: dict[str, list[Sample]] = {}

    def engine(name: str) -> Engine:
        return Recorder(codec.engine(name), found.setdefault(name, []))

    with engines(codec, engine):
        codec.encode(case.given, encode_route(codec.bundle.manifest))
        for name in names:
            codec.decode(case.stream, name)
    return {name: samples[0] for name, samples in found.items() if samples}


def qualities(
    codec: Codec, cases: Sequence[Case], names: Sequence[str], engine: Callable[[str], Engine]
) -> dict[str, list[tuple[float, np.ndarray]]]:
    """By route: PSNR against the original (NaN where there is none) and picture of each case."""
    found: dict[str, list[tuple[float, np.ndarray]]] = {name: [] for name in names}
    with engines(codec, engine):
        for name in names:
            for case in cases:
                made = codec.decode(case.stream, name)
                wanted = case.reference(codec.bundle.manifest.routes[name].scale)
                known = wanted is not None and wanted.shape == made.shape
                found[name].append((decibel(made, wanted) if known else float("nan"), made))
    return found


def decibel(a: np.ndarray, b: np.ndarray | None) -> float:
    """PSNR of two uint8 pictures, `MOST_DB` where they are equal."""
    assert b is not None
    return min(psnr(a, b), MOST_DB)


@contextmanager
def engines(codec: Codec, engine: Callable[[str], Engine]) -> Iterator[None]:
    """Let a codec's routes run on other engines for a while."""
    own = codec.machine
    codec.machine = replace(own, engine=engine)
    try:
        yield
    finally:
        codec.machine = own
