"""Mending a stream of float scales: the plain search first, the guided one after it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy import beam
from latentsr.entropy.coder import Coder
from latentsr.entropy.neighbours import NeighbourModel
from latentsr.entropy.repair import Doubts, Repair, Search, costs
from latentsr.errors import CorruptStream

SEARCH_SECONDS = 0.5
BEAM_SECONDS = 8.0


def mend(
    repair: Repair,
    coder: Coder,
    data: bytes,
    indexes: NDArray[np.integer],
    doubts: Doubts,
    model: NeighbourModel | None,
) -> tuple[Repair, tuple[int, ...] | None]:
    """Look for the places whose index must change: what it took, and the places or None.

    Args:
        repair: of the chunk, with its number of doubts.
        coder, data: tables, and a stream of the `compressai` form that did not decode.
        indexes: as computed here, (1, C, h, w).
        doubts: of these indexes.
        model: guides the second search; None leaves it out.
    """
    start = time.perf_counter()
    try:
        places, tries = Search(coder, data, indexes, doubts).run(SEARCH_SECONDS)
        if places is None and model is not None:
            table = zip(doubts.places, doubts.others, costs(doubts), strict=True)
            ways = {int(place): (int(other), float(cost)) for place, other, cost in table}
            rows = indexes.reshape(-1).astype(np.int32)
            places = beam.search(coder, data, rows, ways, model, BEAM_SECONDS)
    except CorruptStream:
        places, tries = None, 0
    changed = len(places) if places is not None else 0
    seconds = time.perf_counter() - start
    return replace(repair, changed=changed, tries=tries, seconds=seconds), places
