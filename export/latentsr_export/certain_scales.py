"""Certain zeros: which scales are so small that their symbols need not be coded at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from latentsr.errors import ExportError
from latentsr_export.parts import CodecParts

MAX_SCALE = 0.3
"""Largest threshold: of a Gaussian with this scale one symbol in ten is not 0."""


def skip_small_scales(parts: CodecParts, below: float) -> CodecParts:
    """Mark the rows of the Gaussian tables whose scale is at most `below` as certain.

    The encoder then sets their symbols to 0 and the `lanes` form leaves them out, as DCVC does
    with scales up to 0.15: faster, a little smaller, a little less exact. `below` = 0 marks none.
    Raises ExportError outside 0..`MAX_SCALE`, and for context models, whose positions are decoded
    one after the other, so that leaving symbols out would save little.
    """
    if not 0 <= below <= MAX_SCALE:
        raise ExportError(
            f"scale of certain zeros is out of range: found {below}, expected 0..{MAX_SCALE}; "
            "0.15 is usual"
        )
    if below > 0 and any(p.context is not None for p in parts.predicted):
        raise ExportError(
            f"certain zeros do not go with context models: found {below} for {parts.family}, "
            "expected 0; leave the option out"
        )
    chunks = tuple(_marked(chunk, parts, below) for chunk in parts.chunks)
    return replace(parts, chunks=chunks)


def _marked(chunk: dict, parts: CodecParts, below: float) -> dict:
    if chunk["model"] != "gaussian" or below == 0:
        return chunk
    table = parts.tensors[f"{chunk.get('tables', chunk['name'])}.scale_table"]
    return {**chunk, "skip": int(np.count_nonzero(table <= np.float32(below)))}
