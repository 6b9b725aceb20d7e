"""Windows of graphs: which part of its inputs a part of a graph's output depends on.

In the manifest, `window` of a graph is one of::

    {"inputs": [{"step": [1, 1], "before": [10, 10], "after": [11, 11]}],
     "outputs": [[64, 64]], "channels": [3], "bytes": 147840.0, "pieces": [...]}
    {"whole": "GlobalAveragePool /pool: may look at the whole picture", "bytes": 8204.0}

Pairs are along rows and columns. Positions are counted in blocks: block k of an output are its
positions k·s .. (k+1)·s - 1, with s of `outputs`, and they depend on positions
k·step - before .. (k+1)·step - 1 + after of each input, as far as these lie in the picture. Inputs
of n·step positions give outputs of n·s. `channels` are those of the outputs, `bytes` is about what
running takes for each position of the first input.

`pieces`, where a graph of one input has them, are its parts one behind the other, each with a
window of its own (without pieces), `macs_per_position`, and but for the last `value`, the name of
the ONNX value that it makes and the next one takes. Put together in between, that value spares the
next part the margins of the parts before.

`whole` says why a graph has no window. Bundles from before windows have neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from latentsr.json_reader import Reader

_LARGEST = 1 << 20
_MOST_PIECES = 16
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
    channels: tuple[int, ...]
    bytes: float
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A part of a graph; value: the name of its output in the ONNX file, "" for the last part."""

    window: Window
    macs_per_position: float
    value: str


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
        return NoWindow(item.get("whole", str), _number(item, "bytes", 0))
    window = _window(item, inputs, outputs)
    pieces = tuple(_piece(Reader(one, f"{item.where}.pieces"), outputs)
                   for one in item.get("pieces", list, []))  # fmt: skip
    if len(pieces) > _MOST_PIECES:
        raise item.fault("pieces", f"at most {_MOST_PIECES}")
    if pieces and (inputs != 1 or pieces[-1].value or not all(p.value for p in pieces[:-1])):
        raise item.fault("pieces", "parts of a graph of one input, each but the last with a value")
    return replace(window, pieces=pieces)


def _piece(item: Reader, outputs: int) -> Piece:
    value = item.get("value", str, "")
    window = _window(item, 1, 1 if value else outputs)
    return Piece(window, _number(item, "macs_per_position", None), value)


def _window(item: Reader, inputs: int, outputs: int) -> Window:
    given = item.get("inputs", list)
    taken = tuple(_input(Reader(one, f"{item.where}.inputs")) for one in given)
    made, channels = item.get("outputs", list), item.get("channels", list)
    if len(taken) != inputs or len(made) != outputs or not all(_is_pair(p, 1) for p in made):
        raise item.fault("outputs", f"steps of {inputs} inputs and {outputs} outputs")
    if len(channels) != outputs or not all(type(n) is int and 0 < n <= _LARGEST for n in channels):
        raise item.fault("channels", f"numbers of channels of {outputs} outputs")
    steps = tuple((rows, columns) for rows, columns in made)
    return Window(taken, steps, tuple(channels), _number(item, "bytes", None))


def _number(item: Reader, key: str, default: float | None) -> float:
    size = item.value.get(key, default)
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < 1e15:
        raise item.fault(key, "a number >= 0")
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
