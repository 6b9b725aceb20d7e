"""A context model as int16 weights and int32 sums, with the proof that no sum overflows.

Every layer's inputs are integers in units of a power of two; each output channel has the finest
power-of-two weights that the bound allows: Σ|w|·(largest input) + |bias| + rounding < 2^31, where
layer 1 has the lifted features in place of a bias. `latentsr.entropy.reference_context` says what
is computed from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr.entropy.context_tensors import ContextTensors
from latentsr.entropy.reference_context import PARAMETER_TOP
from latentsr.errors import ExportError
from latentsr_export.context_layers import ContextLayers
from latentsr_export.exact_layers import LEAST_WEIGHT, OUTPUT_BITS

SUM_LIMIT = 1 << 31
MOST = 32767  # of weights and activations
_SHIFTS = (1, 30)
_COARSER = 8  # how many times the units of a layer's outputs may be doubled
_MARGIN = 2  # how far beyond what calibration shows a value may go before it is clipped


@dataclass(frozen=True)
class Ranges:
    """Largest magnitudes in float: of the latent and each layer's outputs, and of the features."""

    values: Sequence[float]
    features: float


@dataclass(frozen=True)
class _Layer:
    """One layer's sizes in integers: units are exponents of two, `after` for each output."""

    name: str
    weight: NDArray[np.float64]
    bias: NDArray[np.float64] | None
    before: int
    after: NDArray[np.int64]
    input_top: int
    feature_top: int


@dataclass(frozen=True)
class _Channel:
    """One output channel: weights, bias, shift, the features' lift, its largest sum."""

    weight: NDArray[np.int64]
    bias: int
    shift: int
    lift: int
    total: int


@dataclass
class IntegerContext:
    """The tensors, and a line of the proof for each layer."""

    tensors: ContextTensors
    proof: list[dict[str, Any]] = field(default_factory=list)


def integer_context(
    layers: ContextLayers, ranges: Ranges, mean_bits: int, top: int
) -> IntegerContext:
    """Quantise a context model.

    mean_bits: means and the latent in front are integers in units of 2^-mean_bits, 1..12. top:
    largest magnitude of the activations between layers, up to 32767. Raises ExportError that
    names the layer where the bound leaves less than 3 as the largest weight of a channel.
    """
    last = len(layers.weights) - 1
    input_top = _top(ranges.values[0], mean_bits, MOST)
    feature_top = _top(ranges.features, OUTPUT_BITS, PARAMETER_TOP)
    before, largest_input = mean_bits, input_top
    made: list[list[_Channel]] = []
    proof = []
    for k, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        outputs = len(weight)
        if k == last:
            after = np.repeat([OUTPUT_BITS, mean_bits], outputs // 2)
        else:
            after = np.full(outputs, _exponent(ranges.values[k + 1], top))
        layer = _Layer(
            f"context layer {k}", weight.reshape(outputs, -1).astype(np.float64),
            None if bias is None else bias.astype(np.float64),
            before, after, largest_input, feature_top,
        )  # fmt: skip
        layer, channels = _channels(layer, k < last)
        proof.append(_proof(layer, channels))
        made.append(channels)
        before, largest_input = int(layer.after[0]), top
    slope = round(layers.slope * (1 << 16))
    settings = [mean_bits, slope, input_top, feature_top, *[top] * last]
    return IntegerContext(_tensors(layers, made, settings), proof)


def _top(largest: float, bits: int, most: int) -> int:
    """Where values are clipped: beyond what calibration shows, as an integer."""
    return min(max(round(_MARGIN * largest * (1 << bits)), 127), most)


def _exponent(largest: float, top: int) -> int:
    """Largest e such that calibration's magnitudes times 2^e stay within the top."""
    return math.floor(math.log2(top / max(largest, 2.0**-20)))


def _channels(layer: _Layer, hidden: bool) -> tuple[_Layer, list[_Channel]]:
    """All output channels; a hidden layer's outputs in coarser units where finer ones cannot be.

    Shifts go one way, so outputs cannot be finer than the sums: a layer whose weights are large
    though its outputs are small, as its inputs nearly always are 0, has no finer sums.
    """
    faults = []
    for coarser in range(_COARSER if hidden else 1):
        tried = replace(layer, after=layer.after - coarser)
        try:
            return tried, [_channel(tried, o) for o in range(len(layer.weight))]
        except ExportError as error:
            faults.append(error)
    raise faults[0]


def _channel(layer: _Layer, number: int) -> _Channel:
    """The output channel with the finest weights that keep the bound."""
    weight = layer.weight[number]
    change = layer.before - int(layer.after[number])  # shift = change + exponent of the weights
    for exponent in range(_SHIFTS[1] - change, _SHIFTS[0] - change - 1, -1):
        shift, lift = change + exponent, layer.before + exponent - OUTPUT_BITS
        if layer.bias is None and lift < 0:
            break
        integers = np.rint(weight * 2.0**exponent)
        bias = 0 if layer.bias is None else _scaled(layer.bias[number], layer.before + exponent)
        start = layer.feature_top << lift if layer.bias is None else abs(bias)
        largest = float(np.abs(integers).max())
        total = float(np.abs(integers).sum()) * layer.input_top + start + (1 << (shift - 1))
        if total < SUM_LIMIT and largest <= MOST:
            if largest < LEAST_WEIGHT and np.abs(weight).max() > 0:
                break
            used = lift if layer.bias is None else 0
            return _Channel(integers.astype(np.int64), bias, shift, used, int(total))
    raise ExportError(
        f"{layer.name} cannot be made exact: found no weights for output {number} that keep sums "
        f"below 2^31, expected some of at least {LEAST_WEIGHT}; calibrate on pictures like yours, "
        "or export without the exact graph"
    )


def _scaled(bias: float, exponent: int) -> int:
    return round(float(bias) * 2.0**exponent)


def _proof(layer: _Layer, channels: Sequence[_Channel]) -> dict[str, Any]:
    sums = max(channel.total for channel in channels)
    largest = [int(np.abs(channel.weight).max()) for channel in channels]
    if not sums < SUM_LIMIT:
        raise ExportError(f"bound broken in {layer.name}: found {sums}, expected < {SUM_LIMIT}")
    return {
        "layer": layer.name, "largest_input": layer.input_top, "largest_sum": sums,
        "limit": SUM_LIMIT, "largest_weight": max(largest), "least_channel_weight": min(largest),
    }  # fmt: skip


def _tensors(
    layers: ContextLayers, made: Sequence[Sequence[_Channel]], settings: Sequence[int]
) -> ContextTensors:
    weights = tuple(
        np.stack([channel.weight for channel in channels]).astype(np.int16).reshape(weight.shape)
        for channels, weight in zip(made, layers.weights, strict=True)
    )
    biases = tuple(
        None if bias is None else np.array([channel.bias for channel in channels], np.int32)
        for channels, bias in zip(made, layers.biases, strict=True)
    )
    shifts = tuple(np.array([c.shift for c in channels], np.uint8) for channels in made)
    lift = np.array([channel.lift for channel in made[1]], np.uint8)
    return ContextTensors(layers.taps, np.array(settings, np.int32), weights, biases, shifts, lift)
