"""Sizes of latents: what a padded picture asks for, and what so few bytes cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

from entropy_cases import tables_from_rows
from latentsr.chunks import Chunk
from latentsr.errors import CorruptStream
from latentsr.pipeline.chunk_size import check_plausible, latent_shape, least_bits

SQUARE = Chunk("y", "gaussian", 5, 16, 16, "y")
OBLONG = Chunk("y", "gaussian", 5, 16, 8, "y")


def test_shapes() -> None:
    assert latent_shape(SQUARE, (64, 32)) == (1, 5, 4, 2)
    assert latent_shape(OBLONG, (64, 32)) == (1, 5, 4, 4)


@pytest.mark.parametrize("size", [(65, 64), (64, 65), (72, 64)])
def test_one_side_that_does_not_fit_is_enough(size: tuple[int, int]) -> None:
    with pytest.raises(CorruptStream, match="expected multiples of 16; decode"):
        latent_shape(SQUARE, size)
    if size[0] % 16:
        with pytest.raises(CorruptStream, match="multiples of 16 rows, 8 columns"):
            latent_shape(OBLONG, size)


def test_the_cheapest_symbol_of_a_row() -> None:
    # Of 2^16 states: a half, and all but two, the escape's among them.
    rows = [[0, 1 << 14, 3 << 14, 1 << 16], [0, 1, (1 << 16) - 1, 1 << 16]]
    tables = tables_from_rows(rows, [0, 0])
    found = least_bits(tables)
    assert found[0] == 1
    assert found[1] == pytest.approx(-np.log2(1 - 2**-15))


def test_bytes_that_cannot_hold_the_picture() -> None:
    """8 bytes more than bits say are let through, for the coder's own state."""
    shape = (1, 5, 5, 20)
    check_plausible(SQUARE, 12, shape, bits=1.6)
    with pytest.raises(CorruptStream, match="found 11 bytes, expected at least 20"):
        check_plausible(SQUARE, 11, shape, bits=1.6)
