"""Why exact graphs are written without kernels for Winograd: on integers within their bound it is
exact with tiles of 4x4 and off by more than the rounding forgives with tiles of 6x6, as cuDNN has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Tiles(NamedTuple):
    """Matrices for inputs, kernels and outputs of F(m x m, 3x3), Lavin & Gray 2016, 4.1 and 4.3."""

    inputs: Floats
    kernels: Floats
    outputs: Floats


def matrix(*rows: list[float]) -> Floats:
    return np.array(rows, np.float32)


SMALL = Tiles(
    matrix([1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]),
    matrix([1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]),
    matrix([1, 1, 1, 0], [0, 1, -1, -1]),
)
LARGE = Tiles(
    matrix([4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
           [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]),
    matrix([1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
           [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]),
    matrix([1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]),
)  # fmt: skip


def winograd(x: Floats, w: Floats, tiles: Tiles) -> Floats:
    """One tile of every output channel, in float32; x: (channels, side, side)."""
    kernels = (tiles.kernels @ w @ tiles.kernels.T).astype(np.float32)
    inputs = (tiles.inputs @ x @ tiles.inputs.T).astype(np.float32)
    sums = np.zeros(kernels[:, 0].shape, np.float32)
    for channel in range(len(x)):
        sums += kernels[:, channel] * inputs[channel]
    made: Floats = tiles.outputs @ sums @ tiles.outputs.T
    return made


def plain(x: Floats, w: Floats) -> NDArray[np.float64]:
    side = x.shape[1] - 2
    parts = [np.einsum("oc,cyx->oyx", w[:, :, i, j].astype(float), x[:, i : i + side, j : j + side])
             for i in range(3) for j in range(3)]  # fmt: skip
    made: NDArray[np.float64] = np.sum(parts, axis=0)
    return made


@pytest.mark.parametrize("tiles, exact", [(SMALL, True), (LARGE, False)], ids=["4x4", "6x6"])
def test_winograd_on_integers(tiles: Tiles, exact: bool) -> None:
    rng, worst = np.random.default_rng(1), 0.0
    w = np.rint(rng.normal(0, 25, (96, 64, 3, 3))).astype(np.float32)
    for _ in range(20):
        x = rng.integers(0, 1024, (64, *tiles.inputs.shape)).astype(np.float32)
        assert (np.abs(w).sum((1, 2, 3)) * 1023).max() < 1 << 24
        worst = max(worst, float(np.abs(winograd(x, w, tiles) - plain(x, w)).max()))
    assert (worst < 0.5) == exact
