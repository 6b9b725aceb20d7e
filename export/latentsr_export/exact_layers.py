"""Integer layers: convolutions on integers held in float32, and the bound that makes them exact.

Post-training quantisation of a chain of convolutions with ReLU or LeakyReLU. For every output
channel Σ|w|·max|x| + |b| < 2^24, so every partial sum is an integer that float32 holds exactly, in
any order of summation; with |w|, |x| <= 2047 also with TF32 or FP16 inputs. Algorithms that are off
by less than ½ (Winograd with tiles of 4x4) are put right by the rounding before each shift; larger
tiles are off by more, so `no_winograd` writes kernels that have none. Shifts are powers of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
OUTPUT_RANGE = float(1 << 20)
_QUANTILE = 0.9999
# A layer, the slope of its activation, and the factor of the pixel shuffle between them.
Pair = tuple[Any, float | None, int]


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


@dataclass(frozen=True)
class Grid:
    """What integers stand for: value times `scales`, magnitudes up to `tops`, by channel (C,)."""

    scales: Tensor
    tops: Tensor

    @classmethod
    def uniform(cls, channels: int, scale: float, top: float) -> Grid:
        """The same for all channels."""
        return cls(torch.full((channels,), scale).double(), torch.full((channels,), top).double())

    @classmethod
    def joined(cls, grids: Sequence[Grid]) -> Grid:
        """Of channels that are put one behind the other."""
        return cls(torch.cat([g.scales for g in grids]), torch.cat([g.tops for g in grids]))


@dataclass(frozen=True)
class Chain:
    """Integer layers in a row, what their results stand for, and a line of proof for each."""

    layers: list[IntegerLayer]
    grid: Grid
    proof: list[dict[str, Any]]


def chain(
    pairs: Sequence[Pair],
    given: Grid,
    values: Sequence[Tensor],
    levels: int,
    name: str,
    output: tuple[float, float] | None = None,
    widened: Callable[[Any], Any] = lambda layer: layer,
) -> Chain:
    """Quantise layers in a row.

    given: of the first layer's input. values: float inputs of real pictures, each (1, C, h, w).
    levels: largest magnitude of activations, up to 2047. output: scale and top of the last result,
    whose activation is left out; None for levels as after other layers. widened: what stands for
    the first layer among integers. Raises ExportError that names the layer where the bound leaves
    less than 3 as the largest weight.
    """
    layers: list[IntegerLayer] = []
    proof: list[dict[str, Any]] = []
    for number, (layer, activation, shuffle) in enumerate(pairs):
        last = number == len(pairs) - 1
        with torch.no_grad():
            values = [_activate(layer(value), activation, shuffle) for value in values]
        source = widened(layer) if number == 0 else layer
        integer, exponents, entry = _integer_layer(source, given, f"{name} layer {number}")
        result = output if last else None
        slope = activation if result is None else None
        after, top = result or (2.0 ** _exponent(values, levels), float(levels))
        shift = (after * torch.exp2(-exponents)).float()
        layers.append(IntegerLayer(integer, slope, shift, top, shuffle))
        proof.append(entry)
        given = Grid.uniform(layer.out_channels // shuffle**2, after, top)
    return Chain(layers, given, proof)


def pairs_of(network: nn.Module, what: str = "hyper-synthesis") -> list[Pair]:
    """Convolutions, each with the slope of its activation and the factor of its pixel shuffle."""
    pairs: list[Pair] = []
    for module in _flat(network):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            pairs.append((module, None, 1))
        elif isinstance(module, (nn.ReLU, nn.LeakyReLU)) and pairs:
            slope = 0.0 if isinstance(module, nn.ReLU) else module.negative_slope
            pairs[-1] = (pairs[-1][0], slope, pairs[-1][2])
        elif isinstance(module, nn.PixelShuffle) and pairs:
            pairs[-1] = (*pairs[-1][:2], module.upscale_factor)
        else:
            raise ExportError(
                f"{what} cannot be made exact: found {type(module).__name__}, expected "
                "convolutions with ReLU or LeakyReLU; export without the exact graph"
            )
    return pairs


def like(layer: Any, in_channels: int) -> Any:
    """A layer of the same kind and geometry for another number of inputs."""
    options = {"stride": layer.stride, "padding": layer.padding}
    if isinstance(layer, nn.ConvTranspose2d):
        options["output_padding"] = layer.output_padding
    return type(layer)(in_channels, layer.out_channels, layer.kernel_size, **options)


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        yield from _flat(child) if isinstance(child, nn.Sequential) else (child,)


def _activate(x: Tensor, slope: float | None, shuffle: int) -> Tensor:
    x = nn.functional.pixel_shuffle(x, shuffle) if shuffle > 1 else x
    return x if slope is None else nn.functional.leaky_relu(x, slope)


def _exponent(values: Sequence[Tensor], levels: int) -> int:
    """Largest e such that nearly all magnitudes times 2^e stay within the levels."""
    magnitudes = np.concatenate([value.abs().flatten().numpy() for value in values])
    most = float(np.quantile(magnitudes, _QUANTILE))
    return int(np.floor(np.log2(levels / max(most, 1e-6))))


def _integer_layer(layer: Any, given: Grid, name: str) -> tuple[nn.Module, Tensor, dict[str, Any]]:
    """The layer with integer weights, what exponents its sums have, and its line of the proof."""
    transposed = isinstance(layer, nn.ConvTranspose2d)
    weight = layer.weight.detach().transpose(0, 1) if transposed else layer.weight.detach()
    weight = weight.double() / given.scales.reshape(1, -1, 1, 1)
    bias = layer.bias.detach().double()
    most = 24 + int(given.scales.max().log2())
    exponents = torch.stack([
        torch.tensor(_channel_exponent(w, float(b), given.tops, layer, name, most))
        for w, b in zip(weight, bias, strict=True)
    ]).double()  # fmt: skip
    factor = torch.exp2(exponents)
    integers = torch.round(weight * factor.reshape(-1, 1, 1, 1))
    offset = torch.round(bias * factor)
    sums = [
        _largest_sum(w, given.tops, layer) + abs(float(b))
        for w, b in zip(integers, offset, strict=True)
    ]
    if not max(sums) < LIMIT:
        raise ExportError(f"bound broken in {name}: found {max(sums):.0f}, expected < {LIMIT}")
    made = like(layer, layer.in_channels)
    with torch.no_grad():
        made.weight.copy_((integers.transpose(0, 1) if transposed else integers).float())
        made.bias.copy_(offset.float())
    entry = {
        "layer": name, "largest_input": int(given.tops.max()), "largest_sum": int(max(sums)),
        "limit": LIMIT,
        "largest_weight": int(integers.abs().max()),
        "least_channel_weight": int(integers.abs().flatten(1).max(1).values.min()),
    }  # fmt: skip
    return made, exponents, entry


def _channel_exponent(
    weight: Tensor, bias: float, tops: Tensor, layer: Any, name: str, most: int
) -> int:
    """Largest power of two, up to 2^most, for one output channel that keeps the bound."""
    largest = float(weight.abs().max())
    if largest > 0:
        most = min(most, int(np.ceil(np.log2(LARGEST / largest))) + 1)
    for exponent in range(most, most - 60, -1):
        factor = 2.0**exponent
        integers = torch.round(weight * factor)
        total = _largest_sum(integers, tops, layer) + abs(round(bias * factor))
        if total < LIMIT and float(integers.abs().max()) <= LARGEST:
            if largest > 0 and float(integers.abs().max()) < LEAST_WEIGHT:
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
