"""CARN and CARN-M (Ahn et al. 2018, arXiv 1803.08664), with the key names of CARN-pytorch."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.networks.folding import State, fold_mean_shift
from latentsr_export.networks.layouts import has_all
from latentsr_export.networks.shapes import build, check_shape, shuffle_ratio

# Scale → the ratio of each pixel shuffle.
_STAGES = {2: (2,), 3: (3,), 4: (2, 2)}
_UPSAMPLER = re.compile(r"upsample\.up([234])\.")
_UNITS = 3  # cascaded units in a block and blocks in a network


class ResidualUnit(nn.Module):
    """Convolutions with ReLUs between, added to the input, ReLU.

    groups: None for CARN (3x3, 3x3), else CARN-M's (grouped 3x3, grouped 3x3, 1x1).
    """

    def __init__(self, features: int, groups: int | None) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(features, features, 3, padding=1, groups=groups or 1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1, groups=groups or 1),
        ]
        if groups is not None:
            layers += [nn.ReLU(), nn.Conv2d(features, features, 1)]
        self.body = nn.Sequential(*layers)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return self.act(self.body(x) + x)


class Fusion(nn.Module):
    """1x1 convolution and ReLU: `inputs` features to `features`."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, features, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, H, W) from (N, inputs, H, W)."""
        return self.body(x)


class Cascade(nn.Module):
    """Three units b1, b2, b3, each on a fusion c1, c2, c3 of all that came before.

    Where there is no b2, b1 stands for all three, as CARN-M shares it.
    """

    def __init__(self, features: int, units: list[nn.Module]) -> None:
        super().__init__()
        for index, unit in enumerate(units, 1):
            self.add_module(f"b{index}", unit)
        for index in range(1, _UNITS + 1):
            self.add_module(f"c{index}", Fusion(features * (index + 1), features))
        self.shared = len(units) == 1

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        before = out = x
        for index in range(1, _UNITS + 1):
            unit = self.get_submodule("b1" if self.shared else f"b{index}")
            before = torch.cat([before, unit(out)], dim=1)
            out = self.get_submodule(f"c{index}")(before)
        return out


class Upsampler(nn.Module):
    """Convolution, ReLU and pixel shuffle for each stage of the scale."""

    def __init__(self, features: int, scale: int, groups: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for ratio in _STAGES[scale]:
            wide = features * ratio * ratio
            layers += [nn.Conv2d(features, wide, 3, padding=1, groups=groups), nn.ReLU(),
                       nn.PixelShuffle(ratio)]  # fmt: skip
        self.up = nn.ModuleDict({"body": nn.Sequential(*layers)})

    def forward(self, x: Tensor) -> Tensor:
        """(N, features, scale*H, scale*W) from (N, features, H, W)."""
        return self.up["body"](x)


class CARN(Cascade):
    """RGB (N, 3, H, W) in 0..1 to RGB (N, 3, scale*H, scale*W) in about 0..1 (not clamped).

    groups: None for CARN, that of the residual units' convolutions for CARN-M.
    """

    NAME = "carn"
    KIND = "pixel_sr"
    mean: Tensor

    def __init__(
        self, features: int = 64, scale: int = 4, groups: int | None = None, up_groups: int = 1
    ) -> None:
        count = _UNITS if groups is None else 1
        blocks: list[nn.Module] = [
            Cascade(features, [ResidualUnit(features, groups) for _ in range(count)])
            for _ in range(_UNITS)
        ]
        super().__init__(features, blocks)
        self.scale = scale
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.entry = nn.Conv2d(3, features, 3, padding=1)
        self.upsample = Upsampler(features, scale, up_groups)
        self.exit = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Upscaled picture; see the class for shapes and ranges."""
        return self.exit(self.upsample(super().forward(self.entry(x - self.mean))))

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of a CARN or CARN-M checkpoint, of one scale or of three."""
        upsampler = any(key.startswith("upsample.up") for key in state)
        return upsampler and has_all(state, "entry.weight", "b1.b1.body.0.weight", "exit.weight")

    @staticmethod
    def scales(state: Mapping[str, Tensor]) -> tuple[int, ...]:
        """The scales that a file holds, ascending; none for a file of one scale."""
        return tuple(sorted({int(m[1]) for key in state if (m := _UPSAMPLER.match(key))}))

    @classmethod
    def pick_scale(cls, state: Mapping[str, Tensor], scale: int | None) -> State:
        """Weights of one scale, by default the largest, from a file that holds several.

        Files of one scale come back as they are. Raises CheckpointError where `scale` is missing.
        """
        held = cls.scales(state)
        if not held:
            return dict(state)
        wanted = held[-1] if scale is None else scale
        if wanted not in held:
            raise CheckpointError(
                f"network has other scales: found {', '.join(map(str, held))}, expected {wanted}; "
                "choose one of these"
            )
        ours = f"upsample.up{wanted}."
        return {
            key.replace(ours, "upsample.up."): tensor
            for key, tensor in state.items()
            if key.startswith(ours) or not _UPSAMPLER.match(key)
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> CARN:
        """Network in eval mode with sizes deduced from `state`; CheckpointError if inconsistent."""
        state = cls.pick_scale(state, None)
        if "mean" not in state:  # else written by us
            state = fold_mean_shift(state, "exit")
        features = int(check_shape(state, "entry.weight", (None, 3, 3, 3)).shape[0])
        shared = "b1.b1.body.4.weight" in state
        groups = _groups(state, "b1.b1.body.0.weight", features)
        up_groups = _groups(state, "upsample.up.body.0.weight", features)
        scale = _scale(state, features, features // up_groups)
        return build(state, cls, features, scale, groups if shared else None, up_groups)


def _groups(state: Mapping[str, Tensor], key: str, features: int) -> int:
    inputs = int(check_shape(state, key, (None, None, 3, 3)).shape[1])
    if features % inputs:
        raise CheckpointError(
            f"tensor {key!r} has a wrong shape: found {inputs} inputs, expected a divisor of "
            f"{features}"
        )
    return features // inputs


def _scale(state: Mapping[str, Tensor], features: int, inputs: int) -> int:
    ratios: list[int] = []
    while f"upsample.up.body.{3 * len(ratios)}.weight" in state:
        key = f"upsample.up.body.{3 * len(ratios)}.weight"
        ratios.append(shuffle_ratio(state, key, features, inputs))
    for scale, stages in _STAGES.items():
        if stages == tuple(ratios):
            return scale
    raise CheckpointError(
        f"CARN upsampler not understood: found pixel-shuffle stages {ratios}, expected one of "
        f"{[list(stages) for stages in _STAGES.values()]}"
    )
