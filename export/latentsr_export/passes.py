"""Networks of codecs that decode y in a few passes: checkerboard halves and groups of channels.

He et al. 2021 (arXiv 2103.15306) decode the even half of a checkerboard first, then the odd one
with the even one as context. ELIC (He et al. 2022, arXiv 2203.10886) does so for one group of
channels after the other, with the groups before as context, too (Minnen and Singh 2020).

A half of (N, C, H, W) is (N, C, H, W/2): of each row the samples of one colour, left to right. The
even half holds the samples whose row plus column is even. Sides must be even.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

EVEN, ODD = 0, 1


@dataclass(frozen=True)
class Group:
    """What predicts one group of channels, as CompressAI's models have it.

    channels: of y. sources: the groups that `channel` sees, None for the first. spatial: the masked
    convolution. aggregation: 1x1 layers over spatial context, channel context and the hyperprior,
    in this order, to scales and means.
    """

    channels: int
    sources: tuple[int, ...]
    channel: nn.Sequential | None
    spatial: nn.Conv2d
    aggregation: nn.Sequential


@dataclass(frozen=True)
class Passes:
    """The hyper-synthesis and the groups in decoding order."""

    h_s: nn.Module
    groups: tuple[Group, ...]


class _MergeLast(torch.autograd.Function):
    """(N, C, H, W, 2) → (N, C, H, 2 W): in ONNX a Reshape that computes no shapes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return x.flatten(3, 4)

    @staticmethod
    def symbolic(graph: Any, x: Any) -> Any:
        """Zeros keep a dimension as it is."""
        shape = graph.op("Constant", value_t=torch.tensor([0, 0, 0, -1]))
        return graph.op("Reshape", x, shape)


def columns_in_turn(first: Tensor, second: Tensor) -> Tensor:
    """Two (N, C, H, W) to one (N, C, H, 2 W) with their columns in turn."""
    merged: Tensor = _MergeLast.apply(torch.stack((first, second), 4))
    return merged


def rows_in_turn(first: Tensor, second: Tensor) -> Tensor:
    """Two (N, C, H, W) to one (N, C, 2 H, W) with their rows in turn."""
    return columns_in_turn(first.transpose(2, 3), second.transpose(2, 3)).transpose(2, 3)


def half(x: Tensor, colour: int) -> Tensor:
    """One half (N, C, H, W/2) of a tensor (N, C, H, W)."""
    return rows_in_turn(x[:, :, 0::2, colour::2], x[:, :, 1::2, 1 - colour :: 2])


def whole(even: Tensor, odd: Tensor) -> Tensor:
    """The tensor (N, C, H, W) of two halves."""
    top = columns_in_turn(even[:, :, 0::2], odd[:, :, 0::2])
    bottom = columns_in_turn(odd[:, :, 1::2], even[:, :, 1::2])
    return rows_in_turn(top, bottom)


def groups_of(halves: Sequence[Tensor]) -> Tensor:
    """Groups (N, C, H, W) one behind the other, of their halves, even before odd."""
    even, odd = halves[0::2], halves[1::2]
    if len(even) == 1:
        return whole(even[0], odd[0])
    # All at once: engines take each slice of unknown size for some twenty nodes.
    return whole(torch.cat(list(even), 1), torch.cat(list(odd), 1))


class Halves(nn.Module):
    """A network's result as its even and its odd half."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, …) → two of (N, C, H, W/2)."""
        made = self.network(x)
        return half(made, EVEN), half(made, ODD)


class Split(nn.Module):
    """y to its groups' halves, even before odd."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)

    def forward(self, y: Tensor) -> tuple[Tensor, ...]:
        """(N, M, H, W) → for each group two of (N, C, H, W/2)."""
        halves = (torch.split(half(y, colour), self.channels, 1) for colour in (EVEN, ODD))
        return tuple(made for group in zip(*halves, strict=True) for made in group)


class Join(nn.Module):
    """What `Split` made, put together."""

    def forward(self, *halves: Tensor) -> Tensor:
        """→ (N, M, H, W)."""
        return groups_of(halves)


class ChannelContext(nn.Module):
    """Decoded groups to what they say of the next one, in halves."""

    def __init__(self, network: nn.Module, enter: nn.Module) -> None:
        super().__init__()
        self.network, self.enter = network, enter

    def forward(self, *halves: Tensor) -> tuple[Tensor, Tensor]:
        """Halves of the groups, even before odd → two of (N, 2 C, H, W/2)."""
        made = self.network(self.enter(groups_of(halves)))
        return half(made, EVEN), half(made, ODD)


class SpatialContext(nn.Module):
    """The masked convolution from the even half to the odd one, without the taps that are 0.

    layer: as `spatial_layer` makes it, or on integers. channels: C of y.
    """

    def __init__(self, layer: nn.Module, enter: nn.Module, channels: int) -> None:
        super().__init__()
        self.layer, self.enter, self.outputs = layer, enter, 2 * channels

    def forward(self, even: Tensor) -> Tensor:
        """(N, C, H, W/2) → (N, 2 C, H, W/2)."""
        upper, lower = torch.split(self.layer(self.enter(even)), self.outputs, 1)
        return rows_in_turn(upper, lower)


class Pass(nn.Module):
    """Parameters of one half: of the even one without spatial context, of the odd one with it."""

    def __init__(
        self, aggregation: nn.Module, leave: nn.Module, spatial: SpatialContext | None
    ) -> None:
        super().__init__()
        self.aggregation, self.leave, self.spatial = aggregation, leave, spatial

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Hyperprior, channel context if any, even half of ŷ if odd → scales, means (N, C, …)."""
        side, *more = given
        context = [self.spatial(more.pop())] if self.spatial is not None else []
        seen = [*context, *more, side]
        joined = torch.cat(seen, 1) if len(seen) > 1 else side
        scales, means = self.leave(self.aggregation(joined))
        return scales, means


class Parameters(nn.Module):
    """Scales and means of a tensor that has the one behind the other.

    channels: of each; as `chunk` would find them, but as a constant of the graph.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 2 C, H, W) → two of (N, C, H, W)."""
        scales, means = torch.split(x, self.channels, 1)
        return scales, means


def spatial_layer(masked: nn.Conv2d) -> nn.Conv2d:
    """A 5x5 checkerboard convolution as one of 6x3 with stride (2, 1) on the even half.

    For each two rows of the odd half it gives 2 C channels for the upper one, then 2 C for the
    lower. A sample of the odd half lies in column 2 j + 1 of an even row, 2 j of an odd one; its
    neighbour (dy, dx) is in column j + (dx + 1) // 2 of the even half, or j + dx // 2.
    """
    weight = masked.weight.detach() * getattr(masked, "mask", torch.ones(()))
    outputs, inputs = weight.shape[:2]
    made: Any = nn.Conv2d(inputs, 2 * outputs, (6, 3), (2, 1), (2, 1))
    bias: Any = masked.bias
    with torch.no_grad():
        made.weight.zero_()
        for row in (0, 1):
            kernel = made.weight[row * outputs : (row + 1) * outputs]
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    if (dy + dx) % 2:
                        column = (dx + 1 - row) // 2 if dy % 2 == 0 else dx // 2
                        kernel[:, :, row + dy + 2, column + 1] = weight[:, :, dy + 2, dx + 2]
        made.bias.copy_(torch.cat([bias.detach()] * 2))
    layer: nn.Conv2d = made
    return layer


def without_spatial(aggregation: nn.Sequential, channels: int) -> nn.Sequential:
    """The 1x1 layers for positions whose spatial context is 0: less its `channels` inputs."""
    first: Any = aggregation[0]
    made: Any = nn.Conv2d(first.in_channels - channels, first.out_channels, 1)
    with torch.no_grad():
        made.weight.copy_(first.weight[:, channels:])
        made.bias.copy_(first.bias)
    return nn.Sequential(made, *list(aggregation)[1:])


def modules(passes: Passes) -> dict[str, nn.Module]:
    """The float networks by the names of their graphs."""
    found: dict[str, nn.Module] = {"entropy_parameters": Halves(passes.h_s)}
    for k, group in enumerate(passes.groups):
        context = 2 * group.channels
        if group.channel is not None:
            found[f"channel_{k}"] = ChannelContext(group.channel, nn.Identity())
        even = without_spatial(group.aggregation, context)
        leave, enter = Parameters(group.channels), nn.Identity()
        spatial = SpatialContext(spatial_layer(group.spatial), enter, group.channels)
        found[f"anchor_{k}"] = Pass(even, leave, None)
        found[f"rest_{k}"] = Pass(group.aggregation, leave, spatial)
    return found
