"""One tiled encode: graphs in tiles within a memory budget, entropy coding on whole latents.

The picture and the latents stay whole, float32 pixels never do. What follows coded latents decides
how others are coded, and the decoder computes it whole: of such graphs only the exact twins, whose
integers come out the same in any tile, are run in tiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentsr.pipeline import image_steps, routes
from latentsr.pipeline.routes import Run
from latentsr.tiling.budget import parse_memory
from latentsr.tiling.graph_step import GraphStep
from latentsr.tiling.job import Work, assemble, check_whole, forget, run_whole, whole_if_unfit
from latentsr.tiling.plan import leading_to
from latentsr.tiling.steps import Size, TileStep
from latentsr.tiling.tail import Engines, Listed, Tail, Whole, numbered, size_of, tail_step

if TYPE_CHECKING:
    from latentsr.codec import Codec
    from latentsr.manifest import Route

PICTURE = "picture"


def encode_in_tiles(codec: Codec, route: Route, run: Run, memory: str | int) -> None:
    """As `routes.execute` for an encode route, within a budget for the picture and all it becomes.

    Leaves chunks, geometry and times in `run`, no values. Raises BudgetError where the budget
    cannot hold what the route takes, and errors as `execute`.
    """
    work = Work(route, run, codec.machine, codec.load_engines, parse_memory(memory))
    engines = Engines(codec.load_engines, True, codec.options.precision)
    _Encode(work, engines).run()


class _Encode:
    """The state of one encode: values at hand, tile steps that make others, sizes of all."""

    def __init__(self, work: Work, engines: Engines) -> None:
        self._work, self._engines = work, engines
        self._listed = numbered(work.route, (PICTURE,))
        # The picture is the caller's and stays to the end, as a tail's target does.
        self._tail = Tail([], {PICTURE: work.run.values.pop(PICTURE)}, PICTURE)
        self._sizes: dict[str, Size] = {PICTURE: size_of(self._tail.values[PICTURE])}
        self._uses = Counter(name for _, inputs, _ in self._listed for name in inputs)
        self._ready: list[TileStep] = []
        self._decoded: set[str] = set()  # what the decoder has to compute with the same result

    def run(self) -> None:
        """All steps in order."""
        for number, listed in enumerate(self._listed):
            step = whole_if_unfit(self._step(listed), self._sizes, self._work)
            if isinstance(step, TileStep):
                self._add(step)
            else:
                self._whole(step)
            self._forget(number)

    def _step(self, listed: Listed) -> TileStep | Whole:
        """A step as it is run here."""
        step, inputs, outputs = listed
        run = self._work.run
        if step["op"] == "pad":
            image_steps.frame(self._sizes[inputs[0]], run, step)
        found = tail_step(step, inputs, outputs, run, self._work.machine, self._engines)
        if step["op"] not in routes.ENCODERS and not self._decoded & set(inputs):
            return found
        self._decoded |= set(outputs)
        if isinstance(found, GraphStep) and not found.is_exact:
            reason = f"graph {found.name} runs whole, as the decoder has to compute the same scales"
            return Whole(step, inputs, outputs, reason)
        return found

    def _add(self, step: TileStep) -> None:
        """Keep a step for later; what several steps take of a graph is made at once, and once."""
        given = tuple(self._sizes[name] for name in step.inputs)
        self._sizes |= dict(zip(step.outputs, step.sizes(given), strict=True))
        self._ready.append(step)
        if isinstance(step, GraphStep):
            self._assemble(name for name in step.outputs if self._uses[name] > 1)

    def _whole(self, step: Whole) -> None:
        """Run a step on whole values."""
        # Before they are put together: what it lacks is better known from the step itself.
        check_whole(step, self._sizes[step.inputs[0]], self._tail, self._work)
        self._assemble(step.inputs)
        run_whole(step, self._tail, self._work)
        self._sizes |= {name: size_of(self._tail.values[name]) for name in step.outputs}

    def _assemble(self, names: Iterable[str]) -> None:
        assemble(names, self._ready, self._tail, self._work, self._sizes)

    def _forget(self, number: int) -> None:
        """Drop what no later step takes, nor the tile steps that make what it takes."""
        at_hand = set(self._tail.values)
        wanted = {name for _, inputs, _ in self._listed[number + 1 :] for name in inputs}
        made = {name for step in self._ready for name in step.outputs}
        taken = set(wanted)
        for name in (wanted & made) - at_hand:
            taken |= {i for step in leading_to(name, self._ready, at_hand) for i in step.inputs}
        forget(self._tail, taken)
