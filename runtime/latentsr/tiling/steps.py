"""Steps of a decode route that can make a part of their output: what a part needs, and making it.

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

from latentsr.errors import BundleError
from latentsr.pipeline import image_steps
from latentsr.pipeline.routes import Machine, Run
from latentsr.stream import Padding
from latentsr.timing import Timeline
from latentsr.windows import Window

Span = tuple[int, int]
"""Positions from the first to before the second."""
Size = tuple[int, int]
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
        """Rows and columns of the outputs for those of the inputs."""
        self.given = given
        return self._sizes()

    @abstractmethod
    def _sizes(self) -> tuple[Size, ...]: ...

    @abstractmethod
    def border(self, axis: int, place: int) -> int:
        """Where a border between positions of the first input lies in the outputs."""

    @abstractmethod
    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """What is needed along an axis; None for an output that nobody wants."""

    @abstractmethod
    def run(self, values: Sequence[np.ndarray], rows: Share, columns: Share) -> list[np.ndarray]:
        """The wanted part of each output from the needed part of each input."""


@dataclass(frozen=True)
class Unit:
    """What a graph step runs: an engine by name, or by ``graph#k`` a piece of a graph."""

    engine: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    window: Window
    macs_per_position: float


class GraphStep(TileStep):
    """An engine graph with a window, or a piece of one; lean: it keeps no memory between runs."""

    kind = "engine"

    def __init__(
        self,
        unit: Unit,
        inputs: Sequence[str],
        outputs: Sequence[str],
        machine: Machine,
        lean: bool,
    ) -> None:
        super().__init__(unit.engine, inputs, outputs)
        self.unit, self.window, self._machine, self._lean = unit, unit.window, machine, lean

    def pieces(self) -> list[GraphStep]:
        """The graph as one step for each of its pieces; none where it has none."""
        names = [self.inputs]
        ports = [self.unit.inputs]
        found = []
        for number, piece in enumerate(self.window.pieces):
            last = not piece.value
            names.append(self.outputs if last else (f"{self.outputs[0]}#{number}",))
            ports.append(self.unit.outputs if last else (piece.value,))
            unit = Unit(f"{self.unit.engine}#{number}", ports[-2], ports[-1], piece.window,
                        piece.macs_per_position)  # fmt: skip
            found.append(GraphStep(unit, names[-2], names[-1], self._machine, self._lean))
        return found

    def fits(self, given: Sequence[Size]) -> bool:
        """Whether the inputs are whole numbers of blocks, as many for each."""
        return all(
            all(size[axis] % one.step[axis] == 0
                for size, one in zip(given, self.window.inputs, strict=True))
            and len({size[axis] // one.step[axis]
                     for size, one in zip(given, self.window.inputs, strict=True)}) == 1
            for axis in (0, 1)
        )  # fmt: skip

    def blocks(self, axis: int) -> int:
        """Blocks along an axis."""
        return self.given[0][axis] // self.window.inputs[0].step[axis]

    def _sizes(self) -> tuple[Size, ...]:
        rows, columns = self.blocks(0), self.blocks(1)
        return tuple((rows * step[0], columns * step[1]) for step in self.window.outputs)

    def border(self, axis: int, place: int) -> int:
        """Moved by the ratio of the first output."""
        return place * self.window.outputs[0][axis] // self.window.inputs[0].step[axis]

    def plan(self, axis: int, wanted: Sequence[Span | None]) -> Share:
        """Whole blocks, with as many beside them as the windows reach."""
        steps = [step[axis] for step in self.window.outputs]
        ends = [(span[0] // step, -(-span[1] // step))
                for span, step in zip(wanted, steps, strict=True) if span is not None]  # fmt: skip
        first, last = min(end[0] for end in ends), max(end[1] for end in ends)
        before = max(-(-one.before[axis] // one.step[axis]) for one in self.window.inputs)
        after = max(-(-one.after[axis] // one.step[axis]) for one in self.window.inputs)
        blocks = max(first - before, 0), min(last + after, self.blocks(axis))
        inputs = tuple((blocks[0] * one.step[axis], blocks[1] * one.step[axis])
                       for one in self.window.inputs)  # fmt: skip
        return Share(inputs, tuple(wanted), blocks)

    def run(self, values: Sequence[np.ndarray], rows: Share, columns: Share) -> list[np.ndarray]:
        """Run the engine on the blocks and cut off what lies beside."""
        ports = self.unit
        given = [np.ascontiguousarray(value, np.float32) for value in values]
        engine = self._machine.engine(ports.engine)
        call = engine.run_lean if self._lean else engine.run
        made = call(dict(zip(ports.inputs, given, strict=True)))
        found = []
        for port, step, row, column in zip(
            ports.outputs, self.window.outputs, rows.outputs, columns.outputs, strict=True
        ):
            sides = [(share.blocks[1] - share.blocks[0]) * side
                     for share, side in zip((rows, columns), step, strict=True)]  # fmt: skip
            if port not in made or made[port].ndim != 4 or list(made[port].shape[2:]) != sides:
                shape = made[port].shape if port in made else None
                raise BundleError(
                    f"graph {self.name} and its window disagree: found output {port} of shape "
                    f"{shape}, expected {sides[0]}x{sides[1]}; export the bundle again"
                )
            places = [slice(span[0] - share.blocks[0] * side, span[1] - share.blocks[0] * side)
                      if span is not None else slice(0, 0)
                      for span, share, side in zip((row, column), (rows, columns), step,
                                                   strict=True)]  # fmt: skip
            found.append(made[port][:, :, places[0], places[1]])
        return found


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

    def run(self, values: Sequence[np.ndarray], rows: Share, columns: Share) -> list[np.ndarray]:
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

    def run(self, values: Sequence[np.ndarray], rows: Share, columns: Share) -> list[np.ndarray]:
        """The array as it is."""
        del rows, columns
        return [values[0]]


class Pad(TileStep):
    """`pad`: a picture of bytes to planes, its border repeated outwards."""

    def __init__(self, step: Mapping[str, Any], run: Run) -> None:
        super().__init__("pad", [step["in"]], [step["out"]])
        self._step, self._run = step, run
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

    def run(self, values: Sequence[np.ndarray], rows: Share, columns: Share) -> list[np.ndarray]:
        """Repeat the border as far as this part goes beyond it."""
        sides, places = [], []
        for axis, share in enumerate((rows, columns)):
            (first, last), (start, end) = _only(share.outputs)[0], share.inputs[0]
            before = max(start + self._before[axis] - first, 0)
            after = max(last - end - self._before[axis], 0)
            sides.append((before, after))
            offset = first - (start + self._before[axis] - before)
            places.append(slice(offset, offset + last - first))
        (top, bottom), (left, right) = sides
        part = Run(values[0].shape[1], values[0].shape[0], Padding(left, top, right, bottom),
                   threads=self._run.threads, timeline=Timeline())  # fmt: skip
        planes = image_steps.pad(values[0], part, self._step)
        return [planes[:, :, places[0], places[1]]]


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

    def run(self, values: Sequence[np.ndarray], rows: Share, columns: Share) -> list[np.ndarray]:
        """Resample the whole samples by the same scale, the others at hand for the filter."""
        from PIL import Image

        (top, bottom), (left, right) = (
            tuple(place - share.inputs[0][0] for place in share.blocks) for share in (rows, columns)
        )
        wide, high = (right - left) * self._scale, (bottom - top) * self._scale
        method = Image.Resampling[self._filter.upper()]
        source = Image.fromarray(np.ascontiguousarray(values[0]))
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
