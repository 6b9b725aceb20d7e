"""Entropy coding: quantised distributions in, bytes out, and back without a doubt.

Read `reference` and `reference_lanes` to learn the stream forms, `tables` for what a
distribution is, and use `coder`, or `pieces` where a stream is coded piece by piece.
"""

from latentsr.entropy.coder import Coder, scale_indexes
from latentsr.entropy.pieces import PieceDecoder, PieceEncoder, Position
from latentsr.entropy.tables import Tables

__all__ = ["Coder", "PieceDecoder", "PieceEncoder", "Position", "Tables", "scale_indexes"]
