"""CompressAI's autoregressive models for tests and benchmarks: likely statistics, arrays, symbols.

Random weights give scales near 0 and latents that round to 0, which codes nothing. `spread` scales
a model's layers so that latents and their scales reach from 0.1 to 20, as in trained models.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402
from compressai import ans, models  # noqa: E402

from latentsr_export.checkpoint import load_state  # noqa: E402

FAMILIES = {
    "mbt2018": models.JointAutoregressiveHierarchicalPriors,
    "cheng2020-anchor": models.Cheng2020Anchor,
    "cheng2020-attn": models.Cheng2020Attention,
}


def likely_scales(channels: int) -> torch.Tensor:
    """Deviations of latent channels: from 0.1 to 20, in any order."""
    scales = torch.exp(torch.linspace(np.log(0.1), np.log(20), channels))
    return scales[torch.randperm(channels)]


def stretch(
    layer: Any, made: torch.Tensor, deviations: torch.Tensor, means: torch.Tensor | float = 0.0
) -> None:
    """Let a last convolution, which made this (1, C, H, W), make channels of these statistics."""
    gain = deviations / made.std((0, 2, 3)).clamp_min(1e-6)
    layer.bias.copy_(means - (made.mean((0, 2, 3)) - layer.bias) * gain)
    layer.weight.mul_(gain[:, None, None, None])


def spread(family: str, channels: int, picture: torch.Tensor, seed: int = 0) -> Any:
    """A model with seeded weights whose statistics on the picture (1, 3, H, W) are likely ones."""
    torch.manual_seed(seed)
    kind = FAMILIES[family]
    network = (kind(channels, channels) if family == "mbt2018" else kind(channels)).eval()
    scales = likely_scales(channels)
    last = network.entropy_parameters[-1]
    with torch.no_grad():
        y = network.g_a(picture)
        analysis = [layer for layer in network.g_a if hasattr(layer, "weight")][-1]
        stretch(analysis, y, scales)
        seen = []
        hook = last.register_forward_hook(lambda *call: seen.append(call[2]))
        network(picture)
        hook.remove()
        wanted = torch.cat([scales, torch.zeros(channels)])
        stretch(last, seen[0], torch.cat([0.2 * scales, 0.3 * scales]), wanted)
    network.update(force=True)
    return network


def tensors(network: Any) -> dict[str, np.ndarray]:
    """The float context model under the names of a bundle's tensors; and `first.*`, torch's part.

    `first.weight` (C1, 2 M, 1, 1) and `first.bias` make features from the hyper-synthesis.
    """
    mask = network.context_prediction.mask[0, 0].numpy()
    places = np.argwhere(mask != 0)
    context = network.context_prediction.weight.detach().numpy()
    layers = [layer for layer in network.entropy_parameters if hasattr(layer, "weight")]
    weights = [layer.weight.detach().numpy()[:, :, 0, 0] for layer in layers]
    biases = [layer.bias.detach().numpy() for layer in layers]
    half = weights[0].shape[1] // 2
    found = {
        "y.context.taps": (places - np.array(mask.shape) // 2).astype(np.int32),
        "y.context.float.0.weight": np.stack([context[:, :, r, c] for r, c in places], 1),
        "y.context.float.0.bias": network.context_prediction.bias.detach().numpy(),
        "y.context.float.1.weight": weights[0][:, half:],
        "y.scale_table": network.gaussian_conditional.scale_table.numpy(),
        "first.weight": weights[0][:, :half, None, None],
        "first.bias": biases[0],
    }
    for k, (weight, bias) in enumerate(zip(weights[1:], biases[1:], strict=True), start=2):
        found[f"y.context.float.{k}.weight"] = weight
        found[f"y.context.float.{k}.bias"] = bias
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def features(network: Any, z_hat: torch.Tensor, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Float32 (C1, H, W) as the engine graph of a bundle would give them."""
    weight, bias = torch.from_numpy(arrays["first.weight"]), torch.from_numpy(arrays["first.bias"])
    with torch.no_grad():
        return torch.conv2d(network.h_s(z_hat), weight, bias)[0].numpy()


def compress(network: Any, picture: torch.Tensor) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """CompressAI's strings and shape, and the symbols and rows (M, H, W) that it coded."""
    coded: list[tuple[list[int], list[int]]] = []

    class Recorder(ans.BufferedRansEncoder):
        def encode_with_indexes(self, symbols: list[int], indexes: list[int], *rest: Any) -> None:
            coded.append((symbols, indexes))
            super().encode_with_indexes(symbols, indexes, *rest)

    with torch.no_grad(), mock.patch("compressai.models.google.BufferedRansEncoder", Recorder):
        out = network.compress(picture)
    height, width = (4 * side for side in out["shape"])
    planes = [
        np.array(values, np.int32).reshape(height, width, -1).transpose(2, 0, 1)
        for values in coded[0]
    ]
    return out, planes[0], planes[1]


def load(path: Path) -> Any:
    """The mbt2018 network of a checkpoint."""
    network = FAMILIES["mbt2018"].from_state_dict(load_state(path)).eval()
    network.update(force=True)
    return network
