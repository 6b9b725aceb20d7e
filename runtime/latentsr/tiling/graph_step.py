"""The step of an engine graph that has a window: it runs on the blocks that a part needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentsr.backends.values import Resident
from latentsr.decode_checks import check_planes
from latentsr.errors import BundleError
from latentsr.pipeline.routes import Machine
from latentsr.tiling.parts import Held, Span, Value
from latentsr.tiling.steps import Share, Size, TileStep
from latentsr.windows import Window


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

    @property
    def is_exact(self) -> bool:
        """Whether it computes on integers, which come out the same in any tile."""
        return self.name in self._machine.bundle.manifest.exact.values()

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

    def run(self, values: Sequence[Value], rows: Share, columns: Share) -> list[Value]:
        """Run the engine on the blocks and cut off what lies beside."""
        ports = self.unit
        given = [_given(value) for value in values]
        engine = self._machine.engine(ports.engine)
        call = engine.run_lean if self._lean else engine.run
        made = call(dict(zip(ports.inputs, given, strict=True)))
        found: list[Value] = []
        for port, step, row, column in zip(
            ports.outputs, self.window.outputs, rows.outputs, columns.outputs, strict=True
        ):
            sides = [(share.blocks[1] - share.blocks[0]) * side
                     for share, side in zip((rows, columns), step, strict=True)]  # fmt: skip
            check_planes(self.name, port, made.get(port))
            if list(made[port].shape[2:]) != sides:
                raise BundleError(
                    f"graph {self.name} and its window disagree: found output {port} of shape "
                    f"{made[port].shape}, expected {sides[0]}x{sides[1]}; export the bundle again"
                )
            begins = rows.blocks[0] * step[0], columns.blocks[0] * step[1]
            whole = Held(made[port], begins)
            if row is None or column is None:
                found.append(whole.array)
            else:
                found.append(whole.part(row, column))
        return found


def _given(value: Value) -> Value:
    return value if isinstance(value, Resident) else np.ascontiguousarray(value, np.float32)
