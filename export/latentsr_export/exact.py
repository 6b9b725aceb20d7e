"""Exact entropy parameters: hyper-synthesis as an integer-valued float32 graph, with its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.exact_layers import (
    LARGEST,
    OUTPUT_BITS,
    OUTPUT_RANGE,
    Chain,
    Grid,
    IntegerLayer,
    chain,
    like,
    pairs_of,
)
from latentsr_export.networks.halves import halves


class ExactParameters(nn.Module):
    """ẑ (N, C, h, w) to scales as integers in units of 2^-10 and, where there are, means.

    Or to features: signed integers that other exact graphs or a context model go on with.

    The network sees the symbols of z, small integers, and a channel of ones that carries what the
    medians add: a constant, but for the borders, where zeros are padded.
    """

    medians: Tensor

    def __init__(
        self,
        layers: Sequence[IntegerLayer],
        medians: Tensor,
        limit: float,
        means: bool,
        features: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.register_buffer("medians", medians.reshape(1, -1, 1, 1))
        self.limit, self.means, self.features = limit, means, features

    def forward(self, z_hat: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Scales (N, M, 4h, 4w); with means, scales and means of that shape; or features."""
        x = torch.clamp(torch.round(z_hat - self.medians), -self.limit, self.limit)
        x = torch.cat([x, x[:, :1] * 0 + 1], 1)
        for layer in self.layers:
            x = layer(x)
        if self.features:
            return x
        return with_units(*halves(x)) if self.means else torch.clamp(x, min=0)


def with_units(scales: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    """Integers in units of 2^-10 to scales, still such, and means."""
    return torch.clamp(scales, min=0), means * (1.0 / (1 << OUTPUT_BITS))


@dataclass
class Exact:
    """An exact graph's module, and what proves it: one entry for each layer."""

    module: ExactParameters
    proof: list[dict[str, Any]] = field(default_factory=list)


def quantise(
    h_s: nn.Module,
    calibration: Sequence[Tensor],
    medians: Tensor,
    means: bool,
    levels: int = 255,
    features: bool = False,
) -> Exact:
    """Quantise hyper-synthesis layers.

    h_s: a Sequential of Conv2d/ConvTranspose2d, each followed by PixelShuffle or not and by ReLU,
    LeakyReLU or nothing. features: the last layer makes features, neither scales nor means.
    calibration: ẑ of real pictures, float (1, C, h, w). medians: (C,), of z. levels: largest
    magnitude of hidden activations, up to 2047. Raises ExportError that names the layer where the
    bound leaves less than 3 as the largest weight.
    """
    # The last activation is undone by the thresholds on scales, and means have none.
    output = (float(1 << OUTPUT_BITS), OUTPUT_RANGE)
    made, limit = _from_symbols(h_s, calibration, medians, levels, output)
    module = ExactParameters(made.layers, medians, limit, means, features)
    return Exact(module.eval(), made.proof)


def quantise_side(
    h_s: nn.Module, calibration: Sequence[Tensor], medians: Tensor, levels: int
) -> tuple[Exact, Grid]:
    """The same for parameters that other exact graphs go on with, and what they stand for."""
    made, limit = _from_symbols(h_s, calibration, medians, levels, None)
    module = ExactParameters(made.layers, medians, limit, False, features=True)
    return Exact(module.eval(), made.proof), made.grid


def thresholds(scale_table: np.ndarray) -> np.ndarray:
    """Integer thresholds for the scales of `ExactParameters`: scale > t where σ > table entry."""
    return np.floor(scale_table.astype(np.float64) * (1 << OUTPUT_BITS)).astype(np.float32)


def _from_symbols(
    h_s: nn.Module,
    calibration: Sequence[Tensor],
    medians: Tensor,
    levels: int,
    output: tuple[float, float] | None,
) -> tuple[Chain, float]:
    """Integer layers over symbols of z and a channel of ones; and where symbols are clipped."""
    limit = _input_limit(calibration, medians)
    tops = torch.cat([torch.full_like(medians, limit), torch.ones(1)]).double()
    given = Grid(torch.ones_like(tops), tops)
    made = chain(
        pairs_of(h_s), given, list(calibration), levels, "h_s", output,
        lambda layer: _with_ones(layer, medians),
    )  # fmt: skip
    return made, limit


def _input_limit(calibration: Sequence[Tensor], medians: Tensor) -> float:
    """Where symbols of z are clipped: twice what calibration shows, so that weights keep bits."""
    centre = medians.reshape(1, -1, 1, 1)
    most = max(float((value - centre).abs().max()) for value in calibration)
    return float(min(max(round(2 * most), 7), LARGEST))


def _with_ones(layer: Any, medians: Tensor) -> Any:
    """The layer for symbols and a channel of ones, in place of symbols plus medians."""
    transposed = isinstance(layer, nn.ConvTranspose2d)
    made = like(layer, layer.in_channels + 1)
    weight = layer.weight.detach()
    shape = (-1, 1, 1, 1) if transposed else (1, -1, 1, 1)
    channels = 0 if transposed else 1
    constant = (weight.double() * medians.double().reshape(shape)).sum(channels, keepdim=True)
    with torch.no_grad():
        made.weight.copy_(torch.cat([weight, constant.float()], channels))
        made.bias.copy_(layer.bias)
    return made
