"""Running tiles: each step on its part, smaller tiles where memory runs out, sums of times."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Protocol

from latentsr.errors import EngineMemoryError
from latentsr.tiling.budget import Grid
from latentsr.tiling.graph_step import GraphStep
from latentsr.tiling.parts import Held, Span, Value
from latentsr.tiling.plan import Chain, Part, borders, part_of
from latentsr.timing import Stage, Timeline

MOST_HALVINGS = 16
"""How often a tile is halved before memory is given up on."""


class Sink(Protocol):
    """Where tiles go: one row of tiles after the other, each from left to right."""

    def put(self, rows: Span, columns: Span, piece: Value) -> None:
        """One piece; a tile may come in several."""

    def end_rows(self, rows: Span) -> None:
        """All pieces of these rows were put."""


class Tiles:
    """A chain of steps on the values at hand; halvings: how often each tile is cut by now."""

    def __init__(self, chain: Chain, values: Mapping[str, Held], timeline: Timeline) -> None:
        self._chain, self._values = chain, values
        self.halvings = 0
        self._stages = [Stage(step.name, step.kind) for step in chain.steps]
        for stage in self._stages:
            stage.start = time.perf_counter()
        timeline.stages += self._stages

    def run(self, grid: Grid, *sinks: Sink) -> None:
        """All tiles of a grid; EngineMemoryError where even small ones find no memory.

        sinks: for the chain's target, and for each value beside it.
        """
        across = [part_of(self._chain, 1, span) for span in grid.columns.spans]
        for span in grid.rows.spans:
            row = part_of(self._chain, 0, span)
            for column in across:
                for rows, columns, pieces in self._pieces(row, column, 0):
                    for sink in sinks:
                        sink.put(rows, columns, pieces.pop(0))
            for sink in sinks:
                sink.end_rows(span)

    def _pieces(
        self, rows: Part, columns: Part, depth: int
    ) -> Iterator[tuple[Span, Span, list[Value]]]:
        if depth >= self.halvings:
            pieces = self._tried(rows, columns)
            if pieces is not None:
                yield rows.span, columns.span, pieces
                return
            self.halvings = depth + 1
        for half in self._halves(rows, columns, depth):
            yield from self._pieces(*half, depth + 1)

    def _tried(self, rows: Part, columns: Part) -> list[Value] | None:
        """One tile, or None where memory ran out; then nothing of it is kept."""
        try:
            return self._tile(rows, columns)
        except (MemoryError, EngineMemoryError):
            return None

    def _halves(self, rows: Part, columns: Part, depth: int) -> list[tuple[Part, Part]]:
        """A tile in two, along the axis where its engines see more."""
        spans = rows.span, columns.span
        axis = int(_needed(self._chain, columns) > _needed(self._chain, rows))
        if spans[axis][1] - spans[axis][0] < 2:
            axis = 1 - axis
        first, last = spans[axis]
        if depth >= MOST_HALVINGS or last - first < 2:
            raise EngineMemoryError(
                f"memory ran out: found none for {rows.span[1] - rows.span[0]} rows and "
                f"{columns.span[1] - columns.span[0]} columns of {self._chain.target}, expected "
                "some; free memory or take another machine"
            )
        middle = (first + last) // 2
        places = borders(self._chain, axis, spans[axis]) or [middle]
        place = min(places, key=lambda p: abs(p - middle))
        cut = [part_of(self._chain, axis, span) for span in ((first, place), (place, last))]
        return [(part, columns) if axis == 0 else (rows, part) for part in cut]

    def _tile(self, rows: Part, columns: Part) -> list[Value]:
        at_hand = dict(self._values)
        last_use = {name: n for n, step in enumerate(self._chain.steps) for name in step.inputs}
        for number, (step, stage) in enumerate(zip(self._chain.steps, self._stages, strict=True)):
            began = time.perf_counter()
            row, column = rows.shares[number], columns.shares[number]
            given = [
                at_hand[name].part(across, along)
                for name, across, along in zip(step.inputs, row.inputs, column.inputs, strict=True)
            ]
            if isinstance(step, GraphStep):
                sides = [share.inputs[0][1] - share.inputs[0][0] for share in (row, column)]
                stage.macs += round(step.unit.macs_per_position * sides[0] * sides[1])
            made = step.run(given, row, column)
            del given
            for name, value, across, along in zip(
                step.outputs, made, row.outputs, column.outputs, strict=True
            ):
                if across is not None and along is not None:
                    at_hand[name] = Held(value, (across[0], along[0]))
            del made
            for name in step.inputs:
                if last_use[name] == number and name not in self._values:
                    at_hand.pop(name, None)
            stage.ms += (time.perf_counter() - began) * 1e3
        wanted = self._chain.target, *self._chain.beside
        return [at_hand[name].part(rows.span, columns.span) for name in wanted]


def _needed(chain: Chain, part: Part) -> int:
    """Positions that engines see along an axis."""
    return max(
        (share.inputs[0][1] - share.inputs[0][0]
         for step, share in zip(chain.steps, part.shares, strict=True)
         if isinstance(step, GraphStep)),
        default=part.span[1] - part.span[0],
    )  # fmt: skip
