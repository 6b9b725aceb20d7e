"""Guided repair: follows several readings of a stream at once and keeps the picture-like ones.

Reads from one doubtful index to the next. At each, every reading splits in two, one for each index
that it may be; after it, readings are ranked by how likely their changes are (see `repair`) and by
how much their symbols look like a picture's (see `neighbours`), and the best are kept. The work
grows with the length of the stream, not with the power of the number of doubts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy.coder import Coder
from latentsr.entropy.neighbours import NeighbourModel
from latentsr.entropy.pieces import PieceDecoder, Position
from latentsr.errors import CorruptStream

WIDTH = 32
"""Readings that are kept: 16 repaired five of six Kodak pictures with ten changes, 32 all."""


@dataclass(frozen=True)
class Reading:
    """One way to read the stream so far: score, changed places, and where it stands."""

    score: float
    changed: tuple[int, ...]
    position: Position
    tail: NDArray[np.int32]
    """The last symbols read, as many as the model's width."""


def search(
    coder: Coder,
    data: bytes,
    rows: NDArray[np.int32],
    doubts: dict[int, tuple[int, float]],
    model: NeighbourModel,
    seconds: float,
) -> tuple[int, ...] | None:
    """Places whose index must change for the stream to end right; None, also when time runs out.

    Args:
        coder, data: tables, and a stream of the `compressai` form.
        rows: flat indexes as computed here.
        doubts: place -> (the other index, cost of taking it).
        model: of the same symbols.

    Raises:
        CorruptStream: the data has no valid beginning.
    """
    reader = PieceDecoder(data)
    kept = [Reading(0.0, (), reader.position, np.empty(0, np.int32))]
    stops = [*sorted(doubts), rows.size]
    until = time.perf_counter() + seconds
    for at, stop in zip([0, *stops], stops, strict=False):
        if time.perf_counter() > until:
            return None
        piece = rows[at:stop]
        followed = [_follow(reader, coder, piece, at, model, reading) for reading in kept]
        if at in doubts:
            other, cost = doubts[at]
            piece = np.concatenate([[np.int32(other)], piece[1:]])
            changed = [_change(reading, at, cost) for reading in kept]
            followed += [_follow(reader, coder, piece, at, model, reading) for reading in changed]
        alive = [reading for reading in followed if reading is not None]
        kept = sorted(alive, key=lambda reading: -reading.score)[:WIDTH]
    for reading in kept:
        reader.position = reading.position
        try:
            reader.finish()
        except CorruptStream:
            continue
        return reading.changed
    return None


def _change(reading: Reading, place: int, cost: float) -> Reading:
    changed = (*reading.changed, place)
    return Reading(reading.score - cost, changed, reading.position, reading.tail)


def _follow(
    reader: PieceDecoder,
    coder: Coder,
    piece: NDArray[np.int32],
    at: int,
    model: NeighbourModel,
    reading: Reading,
) -> Reading | None:
    """The reading after the symbols of `piece`, of which `at` is the first's number.

    None where the stream ends before.
    """
    reader.position = reading.position
    try:
        symbols = reader.decode(coder, piece)
    except CorruptStream:
        return None
    score = reading.score + model.score(at, symbols, reading.tail)
    tail = np.concatenate([reading.tail, symbols])[-model.width :]
    return Reading(score, reading.changed, reader.position, tail)
