"""Folding what only training needs into the convolutions: weight norm, batch norm, value ranges.

All functions take a state dict and return another; none changes a tensor of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from latentsr.errors import CheckpointError
from latentsr_export.networks.shapes import check_shape

# Mean colour of DIV2K, which EDSR and its kin take off; public files often do not store it.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
# How torch names the length and the direction of a normalised weight: the old and the new way.
_WEIGHT_NORM = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
_SHIFTED = ".shifter"

State = dict[str, Tensor]


def fold_weight_norm(state: Mapping[str, Tensor]) -> State:
    """`state` with each normalised weight, g·v/|v| (Salimans and Kingma 2016), as one tensor.

    Raises CheckpointError for a length without direction, or of another shape than (Cout, 1, 1, 1).
    """
    folded = dict(state)
    for length, direction in _WEIGHT_NORM:
        for key in [key for key in state if key.endswith(f".{length}")]:
            stem = key.removesuffix(length)
            v = check_shape(folded, stem + direction, (None, None, None, None))
            g = check_shape(folded, key, (v.shape[0], 1, 1, 1))
            norm = v.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
            del folded[key], folded[stem + direction]
            folded[f"{stem}weight"] = v * (g / norm)
    return folded


def plain_keys(state: Mapping[str, Tensor]) -> set[str]:
    """The keys that `fold_weight_norm` gives, without the arithmetic: for recognising networks."""
    keys = set(state)
    for length, direction in _WEIGHT_NORM:
        lengths = {key for key in keys if key.endswith(f".{length}")}
        keys -= lengths | {key.removesuffix(length) + direction for key in lengths}
        keys |= {f"{key.removesuffix(length)}weight" for key in lengths}
    return keys


def fold_batch_norm(
    state: Mapping[str, Tensor], convolution: str, norm: str, eps: float = 1e-5
) -> State:
    """`state` with the batch norm that follows a convolution folded into it (evaluation mode).

    convolution, norm: what their keys begin with. eps: as the norm was made with.
    """
    folded = {k: v for k, v in state.items() if not k.startswith(f"{norm}.")}
    weight = check_shape(state, f"{convolution}.weight", (None, None, None, None))
    count = int(weight.shape[0])
    gamma, beta, mean, variance = (
        check_shape(state, f"{norm}.{name}", (count,))
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    bias = state.get(f"{convolution}.bias")
    if bias is None:
        bias = torch.zeros(count)
    else:
        check_shape(state, f"{convolution}.bias", (count,))
    gain = gamma / torch.sqrt(variance + eps)
    folded[f"{convolution}.weight"] = weight * gain.reshape(-1, 1, 1, 1)
    folded[f"{convolution}.bias"] = (bias - mean) * gain + beta
    return folded


def divide_range(
    state: Mapping[str, Tensor], value_range: float, gates: Iterable[str] = ()
) -> State:
    """Weights for values in 0..1 of a network that was made for 0..`value_range`.

    Convolutions, ReLUs, sums and linear resizing give c·f(x) for c·x once all biases are
    multiplied by c, too. So the biases are divided and the weights stay: no value grows or shrinks
    out of the range of FP16, and no multiplication is left. gates: what the keys of convolutions
    end with whose output goes into a sigmoid; they keep the bias and get larger weights.
    """
    endings = tuple(gates)
    scaled = dict(state)
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        if layer.endswith(endings) if endings else False:
            if kind == "weight":
                scaled[key] = tensor * value_range
        elif kind == "bias":
            scaled[key] = tensor / value_range
    return scaled


def fold_mean_shift(state: Mapping[str, Tensor], last: str) -> State:
    """`state` with the layers ``sub_mean`` and ``add_mean`` as ``mean`` and part of a bias.

    The result works on 0..1. Adding the mean goes into the bias of the convolution `last`. Taking
    it off cannot go into the first one, whose zero padding stands for the mean colour: it stays as
    a tensor (1, 3, 1, 1). Whether the network was made for 0..255 shows in the size of the mean.
    Raises CheckpointError for shifts that also scale.
    """
    given = {key.replace(_SHIFTED, ""): tensor for key, tensor in state.items()}
    means = {name: _shift(given, name) for name in ("sub_mean", "add_mean")}
    value_range = 1.0 if 0 < float(means["sub_mean"].abs().max()) <= 1 else 255.0
    folded = {k: v for k, v in given.items() if not k.startswith(("sub_mean.", "add_mean."))}
    bias = check_shape(folded, f"{last}.bias", (3,))
    folded[f"{last}.bias"] = bias + means["add_mean"]
    folded = divide_range(folded, value_range)
    folded["mean"] = (-means["sub_mean"] / value_range).reshape(1, 3, 1, 1)
    return folded


def _shift(state: Mapping[str, Tensor], name: str) -> Tensor:
    weight = check_shape(state, f"{name}.weight", (3, 3, 1, 1))
    if not torch.equal(weight.reshape(3, 3), torch.eye(3)):
        raise CheckpointError(
            f"mean shift does more than shift: found other weights than the identity in {name}, "
            "expected those of a network with a standard deviation of 1"
        )
    return check_shape(state, f"{name}.bias", (3,))
