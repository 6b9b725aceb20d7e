"""Do decoded symbols look like a picture's? A likelihood ratio over neighbours in the latent.

A coder that has lost its step goes on to draw symbols from the model: each typical for its scale,
none related to the next. A picture's latent keeps what the codec left in: in some channels a value
says something about the one beside it and below it. For channel c, with
x = symbol / sqrt(σ² + 1/12), the 1/12 for the rounding,

    picture: x ~ N(a_c left + b_c above, v_c)        out of step: x ~ N(0, 1)

a and b were measured on pictures by the exporter, v = 1 - R² is the share of the variance that they
leave over; beyond the border a neighbour counts as 0.
Symbols of scales below `LEAST_SCALE` are nearly always 0 and say nothing; they count as x = 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_SCALE = 0.5


class NeighbourModel:
    """The ratio for one latent of shape (1, C, h, w).

    Args:
        statistics: float32 (C, 3), columns a, b, v.
        scales: float32 (rows,), σ of each table row.
        indexes: table rows of the symbols, of the latent's shape.
    """

    def __init__(
        self,
        statistics: NDArray[np.float32],
        scales: NDArray[np.float32],
        indexes: NDArray[np.integer],
    ) -> None:
        _, channels, rows, self.width = indexes.shape
        self._area = rows * self.width
        self._left, self._above, self._spread = statistics.astype(np.float64).T
        sigma = scales.astype(np.float64)[indexes.reshape(-1).astype(np.int64)]
        self._factor = np.where(sigma >= LEAST_SCALE, _factor(sigma), 0.0).astype(np.float32)
        assert self._left.size == channels

    def score(self, first: int, symbols: NDArray[np.int32], before: NDArray[np.int32]) -> float:
        """Natural logarithm of the ratio for symbols number `first` and on (flat order).

        before: the symbols just in front of them, at least `width` of them where there are.
        """
        if not symbols.size:
            return 0.0
        history = before[-self.width :]
        begin = first - history.size
        x = np.concatenate([history, symbols]) * self._factor[begin : first + symbols.size]
        place = np.arange(first, first + symbols.size)
        channel, inside = np.divmod(place, self._area)
        own = x[history.size :]
        at = place - begin
        left = np.where(inside % self.width > 0, x[np.maximum(at - 1, 0)], 0.0)
        above = np.where(inside >= self.width, x[np.maximum(at - self.width, 0)], 0.0)
        spread = self._spread[channel]
        error = own - self._left[channel] * left - self._above[channel] * above
        ratio = 0.5 * (own * own - error * error / spread - np.log(spread))
        return float(ratio[self._factor[place] > 0].sum())


def measure(
    latents: list[tuple[NDArray[np.floating], NDArray[np.floating]]],
) -> NDArray[np.float32]:
    """Statistics of a codec from (symbols, σ) of pictures, each (1, C, h, w).

    Returns float32 (C, 3). Channels that say nothing get 0, 0, 1.
    """
    channels = latents[0][0].shape[1]
    products = np.zeros((channels, 3, 3))
    for symbols, sigma in latents:
        known = sigma >= LEAST_SCALE
        x = np.where(known, symbols * _factor(sigma.astype(np.float64)), 0.0)[0]
        left, above = np.zeros_like(x), np.zeros_like(x)
        left[:, :, 1:], above[:, 1:] = x[:, :, :-1], x[:, :-1]
        seen = np.stack([left, above, x]) * known[0]
        products += np.einsum("icyx,jcyx->cij", seen, seen)
    return np.stack([_fit(matrix) for matrix in products]).astype(np.float32)


def _factor(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / np.sqrt(sigma * sigma + 1 / 12)


def _fit(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares of x on its neighbours, drawn to nothing where there is little to see."""
    power, ridge = matrix[2, 2] + 10.0, 10.0
    weights = np.linalg.solve(matrix[:2, :2] + np.eye(2) * ridge, matrix[:2, 2])
    explained = 2 * weights @ matrix[:2, 2] - weights @ matrix[:2, :2] @ weights
    return np.array([*weights, np.clip(1 - explained / power, 0.05, 1.0)])
