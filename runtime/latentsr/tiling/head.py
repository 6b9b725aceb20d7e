"""The head of a decode route: entropy steps and all that they need, on whole latents.

Within a budget, graphs on the way to scales run in tiles if they are exact twins, whose integers
come out the same in any tile. Float graphs run whole, if the budget allows: of a tile they give
scales that may differ in the last bit from the encoder's, and so other scale indexes.
"""

from __future__ import annotations

from latentsr.pipeline import routes
from latentsr.tiling.graph_step import GraphStep
from latentsr.tiling.job import Work, assemble, forget, run_whole, whole_if_unfit
from latentsr.tiling.tail import Engines, Listed, Tail, Whole, numbered, size_of, tail_step


def start(work: Work, engines: Engines) -> Tail:
    """Run the entropy steps and all that they need, and give the rest.

    Raises BudgetError where the budget cannot hold what they take, and errors as `routes.execute`.
    """
    listed = numbered(work.route)
    head = _head(listed)
    target = [o for _, _, outputs in listed for o in outputs if o.rstrip("'") == "picture"][-1]
    tail = Tail([], {}, target)
    for number in head:
        _make(listed[number], tail, work, engines)
        work.run.symbols.clear()
        left = (n for n in range(len(listed)) if n > number or n not in head)
        forget(tail, {name for n in left for name in listed[n][1]})
    tail.steps = [tail_step(*listed[n], work.run, work.machine, engines)
                  for n in range(len(listed)) if n not in head]  # fmt: skip
    return tail


def _make(listed: Listed, tail: Tail, work: Work, engines: Engines) -> None:
    """One step of the head; within a budget an exact graph in tiles."""
    step, inputs, outputs = listed
    sizes = {name: size_of(tail.values[name]) for name in inputs}
    found = tail_step(step, inputs, outputs, work.run, work.machine, engines)
    found = whole_if_unfit(found, sizes, work)
    if isinstance(found, GraphStep) and (work.memory is None or not found.is_exact):
        reason = f"graph {found.name} runs whole, as tiles may give other scales than the encoder's"
        found = Whole(step, inputs, outputs, reason)
    if isinstance(found, Whole):
        run_whole(found, tail, work)
        return
    made = found.sizes(tuple(sizes[name] for name in inputs))
    assemble(outputs, [found], tail, work, dict(zip(outputs, made, strict=True)))


def _head(listed: list[Listed]) -> list[int]:
    """Numbers of the steps that read chunks, and of those that they depend on, in order."""
    found: list[int] = []
    needed: set[str] = set()
    for number in reversed(range(len(listed))):
        step, inputs, outputs = listed[number]
        if step["op"] in routes.DECODERS or needed & set(outputs):
            found.append(number)
            needed |= set(inputs)
    return found[::-1]
