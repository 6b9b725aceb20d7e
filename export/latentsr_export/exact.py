"""Exact entropy parameters: hyper-synthesis as an integer-valued float32 graph, with its proof.

Post-training quantisation of a stack of convolutions with ReLU or LeakyReLU. Weights and
activations are integers held in float32. For every output channel Σ|w|·max|x| + |b| < 2^24, so
every partial sum is an integer that float32 holds exactly, in any order of summation; with
|w|, |x| <= 2047 also with TF32 or FP16 inputs. Algorithms that are off by less than ½ (Winograd)
are put right by the rounding before each shift. Shifts are powers of two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr.errors import ExportError

LIMIT = 1 << 24
LARGEST = 2047
# Least weight magnitude that still says something about the network it came from.
LEAST_WEIGHT = 3
OUTPUT_BITS = 10
_OUTPUT_RANGE = float(1 << 20)
_QUANTILE = 0.9999


class IntegerLayer(nn.Module):
    """One convolution on integers: round, activate, shift by powers of two, round, clip.

    shuffle: factor of the pixel shuffle that follows (1: none).
    """

    shift: Tensor

    def __init__(
        self, layer: nn.Module, slope: float | None, shift: Tensor, top: float, shuffle: int = 1
    ) -> None:
        super().__init__()
        self.layer, self.slope, self.top, self.shuffle = layer, slope, top, shuffle
        self.register_buffer("shift", shift.reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Integers (N, C, H, W) to integers of magnitude up to `top`."""
        acc = torch.round(self.layer(x))
        if self.slope:
            # One product, correctly rounded, wherever it runs: IEEE 754 leaves no choice.
            acc = nn.functional.leaky_relu(acc, self.slope)
        # ReLU is the clipping's lower end: shifts are positive and keep the sign.
        bottom = 0.0 if self.slope == 0 else -self.top
        made = torch.clamp(torch.round(acc * self.shift), bottom, self.top)
        return nn.functional.pixel_shuffle(made, self.shuffle) if self.shuffle > 1 else made


class ExactParameters(nn.Module):
    """ẑ (N, C, h, w) to scales as integers in units of 2^-10 and, where there are, means.

    Or to a context model's features, signed integers in the same units.

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
        if not self.means:
            return torch.clamp(x, min=0)
        scales, means = x.chunk(2, 1)
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
    limit = _input_limit(calibration, medians)
    layers: list[IntegerLayer] = []
    proof: list[dict[str, Any]] = []
    scale = 1.0
    tops = torch.cat([torch.full_like(medians, limit), torch.ones(1)]).double()
    values = list(calibration)
    pairs = _pairs(h_s)
    for number, (layer, slope, shuffle) in enumerate(pairs):
        last = number == len(pairs) - 1
        with torch.no_grad():
            values = [_activate(layer(value), slope, shuffle) for value in values]
        widened = _with_ones(layer, medians) if number == 0 else layer
        integer, exponents, entry = _integer_layer(widened, scale, tops, f"h_s layer {number}")
        after = float(1 << OUTPUT_BITS) if last else 2.0 ** _exponent(values, levels)
        shift = after * torch.exp2(-exponents) / scale
        top_after = _OUTPUT_RANGE if last else float(levels)
        # The last activation is undone by the thresholds on scales, and means have none.
        layers.append(IntegerLayer(integer, None if last else slope, shift, top_after, shuffle))
        proof.append(entry)
        channels = layer.out_channels // shuffle**2
        scale, tops = after, torch.full((channels,), top_after).double()
    return Exact(ExactParameters(layers, medians, limit, means, features).eval(), proof)


def thresholds(scale_table: np.ndarray) -> np.ndarray:
    """Integer thresholds for the scales of `ExactParameters`: scale > t where σ > table entry."""
    return np.floor(scale_table.astype(np.float64) * (1 << OUTPUT_BITS)).astype(np.float32)


def _pairs(h_s: nn.Module) -> list[tuple[Any, float | None, int]]:
    """Convolutions, each with the slope of its activation and the factor of its pixel shuffle."""
    pairs: list[tuple[Any, float | None, int]] = []
    for module in _flat(h_s):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            pairs.append((module, None, 1))
        elif isinstance(module, (nn.ReLU, nn.LeakyReLU)) and pairs:
            slope = 0.0 if isinstance(module, nn.ReLU) else module.negative_slope
            pairs[-1] = (pairs[-1][0], slope, pairs[-1][2])
        elif isinstance(module, nn.PixelShuffle) and pairs:
            pairs[-1] = (*pairs[-1][:2], module.upscale_factor)
        else:
            raise ExportError(
                f"hyper-synthesis cannot be made exact: found {type(module).__name__}, expected "
                "convolutions with ReLU or LeakyReLU; export without the exact graph"
            )
    return pairs


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        yield from _flat(child) if isinstance(child, nn.Sequential) else (child,)


def _input_limit(calibration: Sequence[Tensor], medians: Tensor) -> float:
    """Where symbols of z are clipped: twice what calibration shows, so that weights keep bits."""
    centre = medians.reshape(1, -1, 1, 1)
    most = max(float((value - centre).abs().max()) for value in calibration)
    return float(min(max(round(2 * most), 7), LARGEST))


def _with_ones(layer: Any, medians: Tensor) -> Any:
    """The layer for symbols and a channel of ones, in place of symbols plus medians."""
    transposed = isinstance(layer, nn.ConvTranspose2d)
    made = _like(layer, layer.in_channels + 1)
    weight = layer.weight.detach()
    shape = (-1, 1, 1, 1) if transposed else (1, -1, 1, 1)
    channels = 0 if transposed else 1
    constant = (weight.double() * medians.double().reshape(shape)).sum(channels, keepdim=True)
    with torch.no_grad():
        made.weight.copy_(torch.cat([weight, constant.float()], channels))
        made.bias.copy_(layer.bias)
    return made


def _activate(x: Tensor, slope: float | None, shuffle: int) -> Tensor:
    x = nn.functional.pixel_shuffle(x, shuffle) if shuffle > 1 else x
    return x if slope is None else nn.functional.leaky_relu(x, slope)


def _exponent(values: Sequence[Tensor], levels: int) -> int:
    """Largest e such that nearly all magnitudes times 2^e stay within the levels."""
    magnitudes = np.concatenate([value.abs().flatten().numpy() for value in values])
    most = float(np.quantile(magnitudes, _QUANTILE))
    return int(np.floor(np.log2(levels / max(most, 1e-6))))


def _integer_layer(
    layer: Any, scale: float, tops: Tensor, name: str
) -> tuple[nn.Module, Tensor, dict[str, Any]]:
    """The layer with integer weights, its exponents, and its line of the proof.

    tops: (Cin,), largest magnitude of each input channel.
    """
    transposed = isinstance(layer, nn.ConvTranspose2d)
    weight = layer.weight.detach().transpose(0, 1) if transposed else layer.weight.detach()
    weight, bias = weight.double(), layer.bias.detach().double()
    exponents = torch.stack([
        torch.tensor(_channel_exponent(w, float(b), scale, tops, layer, name))
        for w, b in zip(weight, bias, strict=True)
    ]).double()  # fmt: skip
    factor = torch.exp2(exponents)
    integers = torch.round(weight * factor.reshape(-1, 1, 1, 1))
    offset = torch.round(bias * factor * scale)
    sums = [
        _largest_sum(w, tops, layer) + abs(float(b)) for w, b in zip(integers, offset, strict=True)
    ]
    if not max(sums) < LIMIT:
        raise ExportError(f"bound broken in {name}: found {max(sums):.0f}, expected < {LIMIT}")
    made = _like(layer, layer.in_channels)
    with torch.no_grad():
        made.weight.copy_((integers.transpose(0, 1) if transposed else integers).float())
        made.bias.copy_(offset.float())
    entry = {
        "layer": name, "largest_input": int(tops.max()), "largest_sum": int(max(sums)),
        "limit": LIMIT,
        "largest_weight": int(integers.abs().max()),
        "least_channel_weight": int(integers.abs().flatten(1).max(1).values.min()),
    }  # fmt: skip
    return made, exponents.float(), entry


def _channel_exponent(
    weight: Tensor, bias: float, scale: float, tops: Tensor, layer: Any, name: str
) -> int:
    """Largest power of two for one output channel that keeps the bound."""
    for exponent in range(24, -25, -1):
        factor = 2.0**exponent
        integers = torch.round(weight * factor)
        total = _largest_sum(integers, tops, layer) + abs(round(bias * factor * scale))
        if total < LIMIT and float(integers.abs().max()) <= LARGEST:
            if float(weight.abs().max()) > 0 and float(integers.abs().max()) < LEAST_WEIGHT:
                break
            return exponent
    raise ExportError(
        f"{name} cannot be made exact: found too many terms for sums below 2^24, expected weights "
        f"of at least {LEAST_WEIGHT}; export without the exact graph"
    )


def _largest_sum(integers: Tensor, tops: Tensor, layer: Any) -> float:
    """Largest Σ|w|·max|x| that one output position of a channel sees; integers: (Cin, kh, kw)."""
    magnitudes = integers.abs() * tops.reshape(-1, 1, 1)
    if not isinstance(layer, nn.ConvTranspose2d):
        return float(magnitudes.sum())
    # A transposed convolution of stride s meets, at each position, one tap in s by s.
    step_h, step_w = layer.stride
    return max(
        float(magnitudes[:, i::step_h, j::step_w].sum())
        for i in range(step_h)
        for j in range(step_w)
    )


def _like(layer: Any, in_channels: int) -> Any:
    options = {"stride": layer.stride, "padding": layer.padding}
    if isinstance(layer, nn.ConvTranspose2d):
        options["output_padding"] = layer.output_padding
    return type(layer)(in_channels, layer.out_channels, layer.kernel_size, **options)
