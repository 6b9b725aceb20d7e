"""Tools of the pixel SR references: random weights under public names, and plain layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
DIV2K = torch.tensor([0.4488, 0.4371, 0.4040]).reshape(1, 3, 1, 1)


class Maker:
    """Random weights, collected under the names that a public network gives them."""

    def __init__(self, seed: int, biases: float = 0.1) -> None:
        self.state: State = {}
        self._generator = torch.Generator().manual_seed(seed)
        self._biases = biases

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)

    def conv(
        self, name: str, inputs: int, outputs: int, side: int, groups: int = 1, bias: bool = True
    ) -> None:
        fan = inputs // groups * side * side
        shape = (outputs, inputs // groups, side, side)
        self.state[f"{name}.weight"] = self.normal(*shape) / math.sqrt(fan)
        if bias:
            self.state[f"{name}.bias"] = self.normal(outputs) * self._biases

    def normed(self, name: str, inputs: int, outputs: int, side: int, new: bool = False) -> None:
        """A convolution under weight norm, in torch's old names or the new ones."""
        names = ("weight_g", "weight_v")
        if new:
            names = tuple(f"parametrizations.weight.original{i}" for i in (0, 1))
        self.state[f"{name}.{names[0]}"] = self.normal(outputs, 1, 1, 1).abs() * 0.5 + 0.2
        self.state[f"{name}.{names[1]}"] = self.normal(outputs, inputs, side, side)
        self.state[f"{name}.bias"] = self.normal(outputs) * self._biases

    def batch_norm(self, name: str, count: int) -> None:
        self.state[f"{name}.weight"] = self.normal(count) * 0.3 + 1
        self.state[f"{name}.bias"] = self.normal(count) * 0.1
        self.state[f"{name}.running_mean"] = self.normal(count) * 0.2
        self.state[f"{name}.running_var"] = self.normal(count).square() + 0.1
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def slope(self, name: str, count: int = 1) -> None:
        self.state[f"{name}.weight"] = self.normal(count) * 0.3

    def mean_shift(self, sub: str, add: str, value_range: float) -> None:
        for name, sign in ((sub, -1.0), (add, 1.0)):
            self.state[f"{name}.weight"] = torch.eye(3).reshape(3, 3, 1, 1)
            self.state[f"{name}.bias"] = sign * value_range * DIV2K.flatten()


def conv(state: Mapping[str, Tensor], name: str, x: Tensor, groups: int = 1) -> Tensor:
    """Convolution of stride 1 that keeps the size, weight norm by torch's own function."""
    for length, direction in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        if f"{name}.{length}" in state:
            v, g = state[f"{name}.{direction}"], state[f"{name}.{length}"]
            weight = torch._weight_norm(v, g, 0)
            break
    else:
        weight = state[f"{name}.weight"]
    bias = state.get(f"{name}.bias")
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=groups)


def batch_norm(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Batch norm in evaluation mode."""
    values = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *values, training=False)


def prelu(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.prelu(x, state[f"{name}.weight"])


def up(x: Tensor, ratio: int = 2) -> Tensor:
    return F.pixel_shuffle(x, ratio)
