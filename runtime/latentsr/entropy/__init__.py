"""Entropy coding: quantised distributions in, bytes out, and back without a doubt.

Read `reference` and `reference_lanes` to learn the stream forms, `tables` for what a
distribution is, and use `coder`, or `pieces` where a stream is coded piece by piece. `latents`
leads from a network's arrays to symbols and back.
"""

from latentsr.entropy.coder import Coder
from latentsr.entropy.latents import LatentSteps, ScaleTable, scale_indexes
from latentsr.entropy.pieces import PieceDecoder, PieceEncoder, Position
from latentsr.entropy.tables import Tables

__all__ = [
    "Coder",
    "LatentSteps",
    "PieceDecoder",
    "PieceEncoder",
    "Position",
    "ScaleTable",
    "Tables",
    "scale_indexes",
]
