"""Is a decoder in step? What a picture's own symbols say about its codec's distributions.

A decoder out of step draws symbols from the distributions that it decodes with, exactly. A
picture's symbols never follow them so well: scales are a little too large or small, tails heavier
than a Gaussian's. How this picture differs is learned from what was decoded of it, most of which
was in step; the logarithm of the likelihood ratio then tells, position by position, which of the
two an interval looks like. Where a model describes the picture perfectly it says nothing.

A symbol counts by its *class*: how large it is for its row. Rows are taken together in groups, so
that a table has few entries and learns little of chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy.tables import Tables

EDGES = np.array([0.6, 0.3, 0.1, 0.03, 0.003])
"""A symbol's class: how many of these the probability of one as large or larger lies below."""
GROUP = 4
"""Rows of a group."""
WIDEST = 256
"""Symbols from here on are of the last class."""
PRIOR = 200.0
"""Symbols of the distribution itself that every group is thought to have shown before."""
LARGEST = 2.0
"""What one position can say, in nats, so that strange spots in a picture do not decide alone."""


class Classes:
    """Classes of a set of tables' symbols, and how likely each is: fixed for a coder."""

    def __init__(self, tables: Tables) -> None:
        self.of_symbol = np.full((tables.rows, WIDEST), EDGES.size, np.intp)
        self.likely = np.zeros((tables.rows, EDGES.size + 1))
        for row in range(tables.rows):
            count = int(tables.length[row]) - 1
            size = np.diff(tables.cdf[row, : count + 1].astype(np.float64)) / (1 << 16)
            values = np.abs(np.arange(count) + int(tables.offset[row]))
            values[-1] = WIDEST - 1  # the escape
            mass = np.bincount(np.minimum(values, WIDEST - 1), size, WIDEST)
            above = mass[::-1].cumsum()[::-1]
            self.of_symbol[row] = (above[:, None] < EDGES).sum(1)
            self.likely[row] = np.bincount(self.of_symbol[row], mass, EDGES.size + 1)

    def look_up(self, symbols: NDArray[np.int32], rows: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Classes of flat symbols of the given rows."""
        return self.of_symbol[rows, np.minimum(np.abs(symbols.astype(np.int64)), WIDEST - 1)]


class Evidence:
    """Log-likelihood ratios, in step against out of step, as learned from one piece of a latent.

    Args:
        classes: of the tables. symbols, rows: flat, most of them decoded in step.
    """

    def __init__(
        self, classes: Classes, symbols: NDArray[np.int32], rows: NDArray[np.uint8]
    ) -> None:
        self._classes = classes
        count, kinds = classes.likely.shape
        groups = np.arange(count) // GROUP
        seen = np.zeros((groups[-1] + 1, kinds))
        np.add.at(seen, (groups[rows], classes.look_up(symbols, rows)), 1.0)
        expected = np.zeros_like(seen)
        np.add.at(expected, groups, classes.likely * np.bincount(rows, minlength=count)[:, None])
        total = np.maximum(expected.sum(1, keepdims=True), 1.0)
        usual = np.maximum(expected / total, 1e-5)
        found = (seen + PRIOR * usual) / (seen.sum(1, keepdims=True) + PRIOR)
        self._ratio = np.log(found / usual)[groups]

    def positions(
        self, symbols: NDArray[np.int32], rows: NDArray[np.uint8], channels: int
    ) -> NDArray[np.float64]:
        """What each position says, in nats; positive where it looks in step."""
        ratio = self._ratio[rows, self._classes.look_up(symbols, rows)]
        return np.clip(ratio.reshape(-1, channels).sum(1), -LARGEST, LARGEST)
