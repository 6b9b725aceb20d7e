"""Channels in two halves, in a form that traces to plain slices."""

from __future__ import annotations

from torch import Tensor


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2M, H, W) to two of (N, M, H, W).

    `chunk` would be traced as nodes that compute M from the shape, and such a graph has no window.
    """
    half = int(x.shape[1]) // 2
    return x[:, :half], x[:, half:]
