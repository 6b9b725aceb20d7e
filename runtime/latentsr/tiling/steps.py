"""Steps of a decode route that make a part of their output: what a part needs, and image steps.

Every value is a picture-like array with rows and columns. A part is a rectangle of it, given by
one span for each axis, and the two axes are planned apart: `plan` takes the spans of the outputs
that are wanted along one axis and tells what is needed of the inputs; `run` then gets exactly
that, for both axes, and gives exactly what was wanted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentsr.backends.values import on_host
from latentsr.errors import BundleError
from latentsr.pipeline import image_steps
from latentsr.pipeline.routes import Run
from latentsr.stream import Padding
from latentsr.tiling.parts import Held, Span, Value
from latentsr.timing import Timeline

Size = tuple[int, int]
MOST_SIDE = 1 << 23
"""Of values on the way: a picture of the largest size with padding, enlarged the most, fits."""
_SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos": 3}
_ROUNDING = 1  # Pillow rounds the ends of a filter to whole samples


@dataclass(frozen=True)
class Share:
    """One step's part of a tile along one axis: spans of its inputs and outputs, blocks it runs."""

    inputs: tuple[Span, ...]
    outputs: tuple[Span | None, ...]
    blocks: Span = (0, 0)


class TileStep(ABC):
    """One step between named values; `sizes` is called once, before anything else."""

    kind = "image"

    def __init__(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.name, self.inputs, self.outputs = name, tuple(inputs), tuple(outputs)
        self.given: tuple[Size, ...] = ()

    def sizes(self, given: tuple[Size, ...]) -> tuple[Size, ...]:
        """Rows and columns of the outputs for those of the inputs.

        Raises BundleError for sides that no route comes to: windows may say what they like.
        """
        self.given = given
        made = self._sizes()
        if any(side > MOST_SIDE for size in made for side in size):
            raise BundleError(
                f"step {self.name} makes too large a value: found {made}, expected sides up to "
                f"{MOST_SIDE}; export the bundle again"
            )
        return made

    @abstractmethod
    def _sizes(self) -> tuple[Size, ...]: ...

    @abstractmethod
    def border(self, axis: int, place: int) -> int:
        """Where a border between positions of the first input lies in the outputs."""

    @abstractmethod
    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """What is needed along an axis; None for an output that nobody wants."""

    @abstractmethod
    def run(self, values: Sequence[Value], rows: Share, columns: Share) -> list[Value]:
        """The wanted part of each output from the needed part of each input."""


class Pointwise(TileStep):
    """`clamp` and `picture`: each sample for itself."""

    def __init__(self, step: Mapping[str, Any], run: Run) -> None:
        super().__init__(step["op"], [step["in"]], [step["out"]])
        self._step, self._run = step, run

    def _sizes(self) -> tuple[Size, ...]:
        return self.given

    def border(self, axis: int, place: int) -> int:
        """The same place."""
        del axis
        return place

    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """The same part."""
        del axis
        return Share(_only(wanted), tuple(wanted))

    def run(self, values: Sequence[Value], rows: Share, columns: Share) -> list[Value]:
        """As on the whole picture."""
        del rows, columns
        function = image_steps.clamp if self._step["op"] == "clamp" else image_steps.picture
        return [function(values[0], self._run, self._step)]


class Crop(TileStep):
    """`crop`: the picture without its padding."""

    def __init__(self, step: Mapping[str, Any], run: Run) -> None:
        super().__init__("crop", [step["in"]], [step["out"]])
        scale = step.get("scale", 1)
        self._start = run.padding.top * scale, run.padding.left * scale
        self._size = run.height * scale, run.width * scale

    def _sizes(self) -> tuple[Size, ...]:
        if any(have < start + side for have, start, side in
               zip(self.given[0], self._start, self._size, strict=True)):  # fmt: skip
            raise BundleError(
                f"route makes a picture of the wrong size: found {self.given[0]}, expected at "
                f"least {self._size} behind {self._start}; check the route's scale"
            )
        return (self._size,)

    def border(self, axis: int, place: int) -> int:
        """Counted from the picture's own border."""
        return place - self._start[axis]

    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """The same part, moved."""
        (first, last), start = _only(wanted)[0], self._start[axis]
        return Share(((first + start, last + start),), tuple(wanted))

    def run(self, values: Sequence[Value], rows: Share, columns: Share) -> list[Value]:
        """The array as it is."""
        del rows, columns
        return [values[0]]


class Pad(TileStep):
    """`pad`: a picture of bytes to planes, its border repeated outwards.

    make: see `image_steps.pad`.
    """

    def __init__(
        self, step: Mapping[str, Any], run: Run, make: image_steps.PlanesMaker | None = None
    ) -> None:
        super().__init__("pad", [step["in"]], [step["out"]])
        self._step, self._run, self._make = step, run, make
        self._before = run.padding.top, run.padding.left
        self._beside = (run.padding.top + run.padding.bottom, run.padding.left + run.padding.right)

    def _sizes(self) -> tuple[Size, ...]:
        (rows, columns), (more, wider) = self.given[0], self._beside
        return ((rows + more, columns + wider),)

    def border(self, axis: int, place: int) -> int:
        """Behind what is added before."""
        return place + self._before[axis]

    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """What lies in the picture, or the sample at its border."""
        (first, last), side = _only(wanted)[0], self.given[0][axis]
        start = min(max(first - self._before[axis], 0), side - 1)
        end = min(max(last - self._before[axis], start + 1), side)
        return Share(((start, end),), tuple(wanted))

    def run(self, values: Sequence[Value], rows: Share, columns: Share) -> list[Value]:
        """Repeat the border as far as this part goes beyond it."""
        sides, places = [], []
        for axis, share in enumerate((rows, columns)):
            (first, last), (start, end) = _only(share.outputs)[0], share.inputs[0]
            before = max(start + self._before[axis] - first, 0)
            after = max(last - end - self._before[axis], 0)
            sides.append((before, after))
            offset = first - (start + self._before[axis] - before)
            places.append((offset, offset + last - first))
        (top, bottom), (left, right) = sides
        picture = on_host(values[0])
        part = Run(picture.shape[1], picture.shape[0], Padding(left, top, right, bottom),
                   threads=self._run.threads, timeline=Timeline())  # fmt: skip
        planes = image_steps.pad(picture, part, self._step, self._make)
        return [Held(planes, (0, 0)).part(*places)]


class Resize(TileStep):
    """`resize`: one of Pillow's filters, whose phase and borders are those of the whole picture."""

    def __init__(self, step: Mapping[str, Any], run: Run) -> None:
        super().__init__("resize", [step["in"]], [step["out"]])
        del run
        self._scale, self._filter = step.get("scale", 1), step["filter"]
        self._reach = _SUPPORT[self._filter] + _ROUNDING

    def _sizes(self) -> tuple[Size, ...]:
        rows, columns = self.given[0]
        return ((rows * self._scale, columns * self._scale),)

    def border(self, axis: int, place: int) -> int:
        """Moved by the scale."""
        del axis
        return place * self._scale

    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """Whole samples of the input, and the filter's support beside them."""
        first, last = _only(wanted)[0]
        samples = first // self._scale, -(-last // self._scale)
        start = max(samples[0] - self._reach, 0)
        end = min(samples[1] + self._reach, self.given[0][axis])
        return Share(((start, end),), tuple(wanted), samples)

    def run(self, values: Sequence[Value], rows: Share, columns: Share) -> list[Value]:
        """Resample the whole samples by the same scale, the others at hand for the filter.

        Raises BundleError for planes in place of a picture.
        """
        from PIL import Image

        picture = on_host(values[0])
        image_steps.check_resizable(picture, "resize")
        (top, bottom), (left, right) = (
            tuple(place - share.inputs[0][0] for place in share.blocks) for share in (rows, columns)
        )
        wide, high = (right - left) * self._scale, (bottom - top) * self._scale
        method = Image.Resampling[self._filter.upper()]
        source = Image.fromarray(np.ascontiguousarray(picture))
        # Along the width first, as whole pictures are: of a part, Pillow may turn the order round,
        # and what lies between is rounded.
        across = source.resize((wide, source.height), method, box=(left, 0, right, source.height))
        made = np.asarray(across.resize((wide, high), method, box=(0, top, wide, bottom)))
        places = []
        for share in (rows, columns):
            (first, last), start = _only(share.outputs)[0], share.blocks[0] * self._scale
            places.append(slice(first - start, last - start))
        return [made[places[0], places[1]]]


def _only(wanted: Sequence[Span | None]) -> tuple[Span, ...]:
    """The spans of a step with one output, which somebody wants."""
    return tuple(span for span in wanted if span is not None)
