"""Windows of graphs: which part of its inputs a part of a graph's output depends on.

In the manifest, `window` of a graph is one of::

    {"inputs": [{"step": [1, 1], "before": [10, 10], "after": [11, 11]}],
     "outputs": [[64, 64]], "bytes": 147840.0}
    {"whole": "GlobalAveragePool /pool: may look at the whole picture", "bytes": 8204.0}

Pairs are along rows and columns. Positions are counted in blocks: block k of an output are its
positions k·s .. (k+1)·s - 1, with s of `outputs`, and they depend on positions
k·step - before .. (k+1)·step - 1 + after of each input, as far as these lie in the picture. Inputs
of n·step positions give outputs of n·s. `bytes` is about what running takes for each position of
the first input. `whole` says why a graph has no window. Bundles from before windows have neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from latentsr.json_reader import Reader

_LARGEST = 1 << 20
Pair = tuple[int, int]


@dataclass(frozen=True)
class Input:
    """One input: positions of a block, and beside it before and after; rows, columns."""

    step: Pair
    before: Pair
    after: Pair


@dataclass(frozen=True)
class Window:
    """A graph that can be run on a part of its inputs; see the module."""

    inputs: tuple[Input, ...]
    outputs: tuple[Pair, ...]
    bytes: float


@dataclass(frozen=True)
class NoWindow:
    """A graph that can not, and why; bytes: 0 where they are not known."""

    reason: str
    bytes: float = 0.0


def read_window(graph: Reader, inputs: int, outputs: int) -> Window | NoWindow | None:
    """The window of a graph with so many inputs and outputs; None where nothing is said.

    Raises BundleError.
    """
    if "window" not in graph.value:
        return None
    item = Reader(graph.get("window", dict), f"{graph.where}.window")
    if "whole" in item.value:
        return NoWindow(item.get("whole", str), _bytes(item, 0))
    given = item.get("inputs", list)
    taken = tuple(_input(Reader(one, f"{item.where}.inputs")) for one in given)
    made = item.get("outputs", list)
    if len(taken) != inputs or len(made) != outputs or not all(_is_pair(p, 1) for p in made):
        raise item.fault("outputs", f"steps of {inputs} inputs and {outputs} outputs")
    return Window(taken, tuple((rows, columns) for rows, columns in made), _bytes(item, None))


def _bytes(item: Reader, default: float | None) -> float:
    size = item.value.get("bytes", default)
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < 1e12:
        raise item.fault("bytes", "a number >= 0")
    return float(size)


def _input(item: Reader) -> Input:
    for key, least in (("step", 1), ("before", 0), ("after", 0)):
        if not _is_pair(item.value.get(key), least):
            raise item.fault(key, f"two numbers of {least}..{_LARGEST}")
    step, before, after = (tuple(item.value[key]) for key in ("step", "before", "after"))
    return Input(step, before, after)


def _is_pair(value: object, least: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) is int and least <= side <= _LARGEST for side in value)
    )
