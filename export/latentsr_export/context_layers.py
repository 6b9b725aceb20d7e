"""A context model's float layers, taken from CompressAI's masked and 1x1 convolutions.

Source: Minnen et al. 2018 (arXiv 1809.02736). The first 1x1 layer sees the hyperprior's output
beside the context prediction; its half over the hyperprior needs no decoded symbol and becomes
part of an engine graph, whose output we call features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from latentsr.entropy.reference_context import fronts
from latentsr.errors import ExportError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ContextLayers:
    """Layers 0 .. L in float32; shapes as in `latentsr.entropy.context_tensors`.

    biases: None for layer 1, whose bias is in the features. slope: of the LeakyReLU between the
    1x1 layers.
    """

    taps: NDArray[np.int32]
    weights: tuple[Floats, ...]
    biases: tuple[Floats | None, ...]
    slope: float

    def named(self, prefix: str) -> dict[str, np.ndarray]:
        """Tensors for `tables.safetensors`."""
        found: dict[str, np.ndarray] = {"taps": self.taps}
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            found[f"float.{k}.weight"] = weight
            if bias is not None:
                found[f"float.{k}.bias"] = bias
        return {f"{prefix}.{name}": tensor for name, tensor in found.items()}


def context_layers(prediction: Any, parameters: nn.Module) -> tuple[ContextLayers, nn.Conv2d]:
    """Layers of a context model, and the 1x1 convolution that makes features of h_s(ẑ).

    prediction: CompressAI's MaskedConv2d. parameters: Sequential of 1x1 convolutions with
    LeakyReLU or ReLU between. Raises ExportError for other layers.
    """
    convolutions, slope = stack_of(parameters)
    outputs = prediction.out_channels
    first = convolutions[0]
    hyper = first.in_channels - outputs
    features: Any = nn.Conv2d(hyper, first.out_channels, 1)
    with torch.no_grad():
        features.weight.copy_(first.weight[:, :hyper])
        features.bias.copy_(first.bias)
    taps, weight = _masked(prediction)
    flat = [_array(layer.weight)[:, :, 0, 0] for layer in convolutions]
    weights = (weight, np.ascontiguousarray(flat[0][:, hyper:]), *flat[1:])
    biases = (_array(prediction.bias), None, *(_array(c.bias) for c in convolutions[1:]))
    return ContextLayers(taps, weights, biases, slope), features


def stack_of(parameters: nn.Module, activation_first: bool = False) -> tuple[list[Any], float]:
    """The 1x1 convolutions, and the slope of the activations between them or before each."""
    modules: list[Any] = list(parameters.children())
    start = int(activation_first)
    convolutions, activations = modules[start::2], modules[1 - start :: 2]
    slopes = {getattr(a, "negative_slope", 0.0) for a in activations}
    if (
        len(convolutions) < 2 - start
        or len(activations) != len(convolutions) - 1 + start
        or len(slopes) != 1
        or not all(isinstance(c, nn.Conv2d) and c.kernel_size == (1, 1) for c in convolutions)
        or not all(isinstance(a, (nn.LeakyReLU, nn.ReLU)) for a in activations)
    ):
        raise ExportError(
            "context model has unknown layers: found "
            f"{[type(module).__name__ for module in modules]}, expected 1x1 convolutions with "
            "LeakyReLU between"
        )
    return convolutions, float(slopes.pop())


def _masked(prediction: Any) -> tuple[NDArray[np.int32], Floats]:
    """Taps before the middle in raster order, and their weights (C0, T, M)."""
    weight = _array(prediction.weight * prediction.mask)
    high, wide = weight.shape[2:]
    middle = high // 2, wide // 2
    places = [(i, j) for i in range(high) for j in range(wide) if (i, j) < middle]
    taps = np.array([(i - middle[0], j - middle[1]) for i, j in places], np.int32)
    kept = np.stack([weight[:, :, i, j] for i, j in places], axis=1)
    return taps, np.ascontiguousarray(kept)


def _array(tensor: torch.Tensor) -> Floats:
    return tensor.detach().numpy().astype(np.float32)


@dataclass(frozen=True)
class FloatRun:
    """A latent coded in float32 as CompressAI's `compress` does, front by front.

    largest: magnitudes of the layers' outputs before activation, and of the latent in front.
    symbols and scales are in coding order; latent is ŷ (M, H, W).
    """

    symbols: NDArray[np.int32]
    scales: Floats
    latent: Floats
    largest: tuple[float, ...]


def run_float(layers: ContextLayers, features: Floats, y: Floats) -> FloatRun:
    """Code y (M, H, W) with features (C1, H, W): ŷ = round(y - mean) + mean feeds the context."""
    reach = int(np.abs(layers.taps).max())
    seen = np.pad(np.zeros_like(y), ((0, 0), (reach, reach), (reach, reach)))
    symbols, scales = [], []
    largest = np.zeros(len(layers.weights) + 1)
    for rows, columns in fronts(layers.taps, *y.shape[1:]):
        taps = [seen[:, rows + reach + dy, columns + reach + dx] for dy, dx in layers.taps]
        outputs = _outputs(layers, np.concatenate(taps).T, features[:, rows, columns].T)
        scale, mean = np.split(outputs[-1], 2, axis=1)
        found = np.rint(y[:, rows, columns].T - mean)
        seen[:, rows + reach, columns + reach] = (found + mean).T
        magnitudes = [np.abs(a).max() for a in (found + mean, *outputs)]
        largest = np.maximum(largest, magnitudes)
        symbols.append(found.reshape(-1))
        scales.append(scale.reshape(-1))
    latent = seen[:, reach : reach + y.shape[1], reach : reach + y.shape[2]]
    coded = np.concatenate(symbols).astype(np.int32)
    return FloatRun(coded, np.concatenate(scales), latent, tuple(largest.tolist()))


def _outputs(layers: ContextLayers, x: Floats, features: Floats) -> list[Floats]:
    """Outputs of all layers before activation; x: (positions, T * M)."""
    outputs = []
    for k, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        start = features if bias is None else bias
        made = start + x @ weight.reshape(len(weight), -1).T
        outputs.append(made)
        x = made if k == 0 else np.where(made < 0, made * np.float32(layers.slope), made)
    return outputs
