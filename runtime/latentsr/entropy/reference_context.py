"""Plain reference of context models on integers: the oracle of `_kernels.ContextModel`.

For each position of the latent a small network tells the scales and means of its M symbols from
the latent decoded before it and from the hyperprior's *features*, integers in units of 2^-10.
Everything that decides a distribution is an integer of 32 bits; here sums are int64, and leaving
32 bits is an error. `F` is `mean_bits`, `tops` and the other settings are in
`latentsr.entropy.context_tensors`; >> rounds down::

    input    x = clamp(q, ±input_top) inside the latent, 0 outside; q = (symbol << F) + mean
    layer 0  requantise(bias + Σ_t w[t] · x(position + tap t), shift, top)
    layer 1  leaky(requantise((clamp(f, ±feature_top) << lift) + w · a, shift, top))
    layer k  leaky(requantise(bias + w · a, shift, top))
    layer L  (bias + w · a + (1 << (shift - 1))) >> shift, clamped to ±2^20:
             M scales in units of 2^-10 and, behind them, M means in units of 2^-F
    requantise(acc, shift, top) = clamp((acc + (1 << (shift - 1))) >> shift, ±top)
    leaky(r) = (r · slope + 2^15) >> 16 where r < 0, else r

A symbol's table row is the number of thresholds below its scale. The decoder's latent is
float32(symbol) + float32(mean) · 2^-F; the encoder's symbol is rint(y - float32(mean) · 2^-F).

Positions are coded in *fronts*: the position (h, w) belongs to the front w + slope · h, where the
slope is so small as the taps allow for none to reach into its own front or a later one. A front's
positions are known together; they follow each other by rising h, each with all its channels.
Source of the network: Minnen et al. 2018 (arXiv 1809.02736); of the order: the usual wavefront.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy.context_tensors import ContextTensors

Integers = NDArray[np.int64]
SUM_LIMIT = 1 << 31
PARAMETER_TOP = 1 << 20


def fronts(taps: NDArray[np.int32], height: int, width: int) -> Iterator[tuple[Integers, Integers]]:
    """Rows and columns of the positions of each front, in coding order."""
    slope = max([0, *(int(dx) // -int(dy) + 1 for dy, dx in taps if dy < 0)])
    rows, columns = np.divmod(np.arange(height * width), width)
    front = columns + slope * rows
    order = np.lexsort((rows, front))
    for positions in np.split(order, np.flatnonzero(np.diff(front[order])) + 1):
        yield rows[positions], columns[positions]


@dataclass
class Latent:
    """A latent in the making, of M channels: symbols, means, and what the network sees of it."""

    model: ContextTensors
    thresholds: NDArray[np.float32]
    features: Integers
    symbols: Integers
    means: Integers
    seen: Integers
    reach: int

    @classmethod
    def empty(
        cls,
        model: ContextTensors,
        thresholds: NDArray[np.float32],
        features: NDArray[np.float32],
    ) -> Latent:
        """Nothing decoded yet. features: (C1, H, W), whole numbers; thresholds: (rows - 1,)."""
        whole = np.rint(features).astype(np.int64)
        assert np.array_equal(whole, features), "features must be integers"
        shape = (model.channels, *features.shape[1:])
        reach = int(np.abs(model.taps).max())
        around = np.zeros((shape[0], shape[1] + 2 * reach, shape[2] + 2 * reach), np.int64)
        zeros = np.zeros(shape, np.int64)
        return cls(model, thresholds, whole, zeros, zeros.copy(), around, reach)

    def parameters(self, rows: Integers, columns: Integers) -> tuple[Integers, Integers]:
        """Scales and means, (positions, M) each, from what is known."""
        model = self.model
        taps = [
            self.seen[:, rows + self.reach + dy, columns + self.reach + dx] for dy, dx in model.taps
        ]
        x = np.concatenate(taps).T  # (positions, T * M): tap after tap, each with its channels
        for k, weight in enumerate(model.weights):
            given = model.biases[k]
            start = self._lifted(rows, columns) if given is None else given.astype(np.int64)
            acc = start + _product(x, weight.reshape(len(weight), -1))
            top = PARAMETER_TOP if k == model.last else model.tops[k]
            x = requantise(acc, model.shifts[k], top)
            if 0 < k < model.last:
                x = np.where(x < 0, (x * model.slope + (1 << 15)) >> 16, x)
        return x[:, : model.channels], x[:, model.channels :]

    def _lifted(self, rows: Integers, columns: Integers) -> Integers:
        top = self.model.feature_top
        clipped = np.clip(self.features[:, rows, columns].T, -top, top)
        return clipped * (np.int64(1) << self.model.lift.astype(np.int64))

    def rows_of(self, scales: Integers) -> Integers:
        """Table row of each symbol."""
        found = np.searchsorted(self.thresholds, np.maximum(scales, 0), side="left")
        return found.astype(np.int64)

    def put(self, rows: Integers, columns: Integers, symbols: Integers, means: Integers) -> None:
        """Enter a front's symbols and means, (positions, M) each."""
        self.symbols[:, rows, columns], self.means[:, rows, columns] = symbols.T, means.T
        top = self.model.input_top
        q = (symbols << self.model.mean_bits) + means
        self.seen[:, rows + self.reach, columns + self.reach] = np.clip(q, -top, top).T

    def restored(self) -> NDArray[np.float32]:
        """The decoder's latent, float32 (M, H, W)."""
        return self.symbols.astype(np.float32) + self.float_means(self.means)

    def float_means(self, means: Integers) -> NDArray[np.float32]:
        """Means as float32 in quantisation steps."""
        return means.astype(np.float32) * np.float32(2.0**-self.model.mean_bits)


def requantise(acc: Integers, shift: NDArray[np.uint8], top: int) -> Integers:
    """Sums back to a range; the sum and its rounding must stay within 32 bits."""
    rounded = acc + (np.int64(1) << (shift.astype(np.int64) - 1))
    assert max(np.abs(acc).max(), np.abs(rounded).max()) < SUM_LIMIT, "a sum leaves 32 bits"
    return np.clip(rounded >> shift, -top, top)


def _product(x: Integers, weight: NDArray[np.int16]) -> Integers:
    """x · weightᵀ. In float64, which holds all integers here and their sums (far below 2^53)."""
    return np.rint(x.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.int64)


def encode(latent: Latent, y: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Fill an empty latent from y (M, H, W): symbols and table rows in the order of coding."""
    symbols, indexes = [], []
    for rows, columns in fronts(latent.model.taps, *y.shape[1:]):
        scales, means = latent.parameters(rows, columns)
        found = np.rint(y[:, rows, columns].T - latent.float_means(means)).astype(np.int64)
        latent.put(rows, columns, found, means)
        symbols.append(found.reshape(-1))
        indexes.append(latent.rows_of(scales).reshape(-1))
    return np.concatenate(symbols).astype(np.int32), np.concatenate(indexes).astype(np.uint8)


def decode(latent: Latent, read: Callable[[Integers], Integers]) -> None:
    """Fill an empty latent. read: the next symbols, one for each of the table rows it is given."""
    for rows, columns in fronts(latent.model.taps, *latent.symbols.shape[1:]):
        scales, means = latent.parameters(rows, columns)
        found = np.asarray(read(latent.rows_of(scales).reshape(-1)), np.int64)
        latent.put(rows, columns, found.reshape(means.shape), means)
