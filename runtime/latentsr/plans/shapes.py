"""Input shapes of a bundle's graphs for coded pictures of any size, learned from one small run.

Engines that are tuned for shapes have to know them before a picture comes. Graphs do not say what
they will be given, routes do: so one small picture takes all routes on a CPU engine, and each
input's sides turn out to be a fixed part of the picture's, padded or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from latentsr.backends.base import Engine, EngineOptions, Shape
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.errors import BackendError, BundleError
from latentsr.pipeline import routes
from latentsr.stream import pad_to

Size = tuple[int, int]


@dataclass(frozen=True)
class Port:
    """One input: images and channels, and height and width as parts of the coded picture's.

    padded: of the padded picture's sides.
    """

    fixed: Shape
    parts: tuple[Fraction, Fraction]
    padded: tuple[bool, bool]

    def shape(self, size: Size, multiple: int) -> Shape:
        """Shape of the input for a coded picture of that height and width."""
        sides = []
        for side, part, padded in zip(size, self.parts, self.padded, strict=True):
            whole = -(-side // multiple) * multiple if padded else side
            sides.append(max(int(whole * part), 1))
        return (*self.fixed, *sides)


@dataclass(frozen=True)
class Ports:
    """Inputs of all graphs that the routes use: graph → input → port."""

    graphs: Mapping[str, Mapping[str, Port]]
    multiple: int

    def shapes(self, graph: str, size: Size) -> dict[str, Shape]:
        """Shapes of a graph's inputs for a coded picture of that height and width."""
        return {name: port.shape(size, self.multiple) for name, port in self.graphs[graph].items()}


class _Recorder(Engine):
    """Remembers the shapes that an engine is given."""

    def __init__(self, engine: Engine, seen: dict[str, Shape]) -> None:
        self._engine, self._seen = engine, seen

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the engine."""
        self._seen.update({name: tuple(value.shape) for name, value in inputs.items()})
        return self._engine.run(inputs)

    @property
    def runs_on(self) -> str:
        """As the engine."""
        return self._engine.runs_on


def learn_ports(bundle: Bundle, wanted: tuple[str, ...] = ()) -> Ports:
    """Run one small picture through the routes `encode` and those wanted, or all that decode.

    Raises BackendError where there is no engine for CPUs, UsageError for unknown routes.
    """
    multiple = bundle.manifest.multiple
    # One more than a multiple has no factor in common with any part of the padded side.
    height, width = multiple + 1, 2 * multiple + 1
    seen: dict[str, dict[str, Shape]] = {}
    try:
        with Codec(bundle, "auto", EngineOptions()) as codec:
            _record(codec, seen)
            _run_all(codec, (height, width), wanted)
    except BackendError as error:
        raise BackendError(
            f"shapes of the graphs cannot be learned: found {error}, expected an engine for CPUs; "
            "run: pip install 'latentsr[cpu]'"
        ) from error
    padding = pad_to((width, height), multiple, False)
    padded = height + padding.top + padding.bottom, width + padding.left + padding.right
    return Ports({graph: {name: _port(graph, shape, (height, width), padded)
                          for name, shape in inputs.items()}
                  for graph, inputs in seen.items()}, multiple)  # fmt: skip


def _record(codec: Codec, seen: dict[str, dict[str, Shape]]) -> None:
    def engine(name: str) -> Engine:
        return _Recorder(codec.engine(name), seen.setdefault(name, {}))

    codec.machine = routes.Machine(codec.bundle, codec.machine.entropy, engine)


def _run_all(codec: Codec, size: Size, wanted: tuple[str, ...]) -> None:
    bundle = codec.bundle
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    stream = codec.encode(picture)
    known = bundle.manifest.routes.items()
    for name in wanted or [name for name, route in known if route.kind == "decode"]:
        codec.decode(stream, name)


def _port(graph: str, shape: Shape, size: Size, padded: Size) -> Port:
    if len(shape) != 4:
        raise BundleError(
            f"graph {graph} has an input that is no picture: found shape {shape}, expected NCHW; "
            "export the bundle again"
        )
    whole = [Fraction(found, side) for found, side in zip(shape[2:], size, strict=True)]
    of_padded = [Fraction(found, side) for found, side in zip(shape[2:], padded, strict=True)]
    plain = [part.denominator == 1 for part in whole]
    parts = [a if is_plain else b for is_plain, a, b in zip(plain, whole, of_padded, strict=True)]
    return Port(shape[:2], (parts[0], parts[1]), (not plain[0], not plain[1]))
