"""Public key layouts of SRResNet and the SRGAN generator, and what lies around each network.

leftthomas/SRGAN: tanh, brought to 0..1. Lornatang/SRGAN-PyTorch: 0..1, not bounded (it clamps).
sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution: input normalised as for ImageNet, tanh.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentsr.errors import CheckpointError
from latentsr_export.networks.folding import State, fold_batch_norm
from latentsr_export.networks.layouts import Rule, has_all, rename
from latentsr_export.networks.shapes import check_shape, count_blocks

_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Counters that batch norm keeps for training.
_TRAINING = ".num_batches_tracked"
# Batch norms are called norm1, norm2 and norm once a layout's rules are applied.
_NORMS = re.compile(r"(.+)\.norm(\d?)\.weight")


@dataclass(frozen=True)
class Layout:
    """One repository's names.

    needed: keys by which it is recognised. rules: its names to those of `srresnet`, for a state
    dict. bounded: whether the network ends in tanh. normalised: whether it takes ImageNet's values.
    """

    needed: tuple[str, ...]
    rules: Callable[[Mapping[str, Tensor]], list[Rule]]
    bounded: bool
    normalised: bool = False

    def plain(self, state: Mapping[str, Tensor]) -> State:
        """Own names, batch norms folded, input and output in 0..1.

        Raises CheckpointError for batch norms that are missing or do not fit their convolutions.
        """
        kept = {key: tensor for key, tensor in state.items() if not key.endswith(_TRAINING)}
        own = rename(kept, self.rules(kept))
        if not ("middle.act.weight" in own or "middle.norm.weight" in own):
            raise CheckpointError(
                "checkpoint lacks what follows the trunk's last convolution: expected a batch norm "
                "or a PReLU; save the whole network"
            )
        for match in [match for key in own if (match := _NORMS.fullmatch(key))]:
            stem, number = match[1], match[2]
            own = fold_batch_norm(own, f"{stem}.conv{number}", f"{stem}.norm{number}")
        if self.bounded:  # (tanh(y) + 1) / 2 is the sigmoid of 2y
            own = {k: v * 2 if k.startswith("tail.") else v for k, v in own.items()}
        return _normalised(own) if self.normalised else own


def find_layout(state: Mapping[str, Tensor]) -> Layout | None:
    """The layout whose keys these are."""
    return next((layout for layout in LAYOUTS if has_all(state, *layout.needed)), None)


def _normalised(state: State) -> State:
    weight = check_shape(state, "head.conv.weight", (None, 3, None, None))
    deviation = torch.tensor(_IMAGENET_DEVIATION).reshape(1, 3, 1, 1)
    mean = torch.tensor(_IMAGENET_MEAN).reshape(1, 3, 1, 1)
    return {**state, "head.conv.weight": weight / deviation, "mean": mean}


def _leftthomas(state: Mapping[str, Tensor]) -> list[Rule]:
    blocks = count_blocks(state, "block{}.conv1.weight", first=2)
    middle, up = blocks + 2, blocks + 3
    stages = count_blocks(state, f"block{up}.{{}}.conv.weight")
    # Older files have a PReLU after the trunk where newer ones have a batch norm.
    after = "norm" if f"block{middle}.1.running_mean" in state else "act"

    def residual(match: re.Match[str]) -> str:
        name = match[2].replace("bn", "norm").replace("prelu", "act")
        return f"blocks.{int(match[1]) - 2}.{name}.{match[3]}"

    return [
        (r"block1\.0\.(\w+)", r"head.conv.\1"),
        (r"block1\.1\.(\w+)", r"head.act.\1"),
        (rf"block{middle}\.0\.(\w+)", r"middle.conv.\1"),
        (rf"block{middle}\.1\.(\w+)", rf"middle.{after}.\1"),
        (rf"block{up}\.(\d+)\.conv\.(\w+)", r"up.\1.conv.\2"),
        (rf"block{up}\.(\d+)\.prelu\.(\w+)", r"up.\1.act.\2"),
        (rf"block{up}\.{stages}\.(\w+)", r"tail.\1"),
        (r"block(\d+)\.(conv[12]|bn[12]|prelu)\.(\w+)", residual),
    ]


def _lornatang(_: Mapping[str, Tensor]) -> list[Rule]:
    parts = ("conv1", "norm1", "act", "conv2", "norm2")
    return [
        (r"conv1\.0\.(\w+)", r"head.conv.\1"),
        (r"conv1\.1\.(\w+)", r"head.act.\1"),
        *((rf"trunk\.(\d+)\.rcb\.{i}\.(\w+)", rf"blocks.\1.{p}.\2") for i, p in enumerate(parts)),
        (r"conv2\.0\.(\w+)", r"middle.conv.\1"),
        (r"conv2\.1\.(\w+)", r"middle.norm.\1"),
        (r"upsampling\.(\d+)\.upsample_block\.0\.(\w+)", r"up.\1.conv.\2"),
        (r"upsampling\.(\d+)\.upsample_block\.2\.(\w+)", r"up.\1.act.\2"),
        (r"conv3\.(\w+)", r"tail.\1"),
    ]


def _sgrvinod(_: Mapping[str, Tensor]) -> list[Rule]:
    block = r"residual_blocks\.(\d+)\.conv_block{}\.conv_block\.{}\.(\w+)"
    return [
        (r"conv_block1\.conv_block\.0\.(\w+)", r"head.conv.\1"),
        (r"conv_block1\.conv_block\.1\.(\w+)", r"head.act.\1"),
        (block.format(1, 0), r"blocks.\1.conv1.\2"),
        (block.format(1, 1), r"blocks.\1.norm1.\2"),
        (block.format(1, 2), r"blocks.\1.act.\2"),
        (block.format(2, 0), r"blocks.\1.conv2.\2"),
        (block.format(2, 1), r"blocks.\1.norm2.\2"),
        (r"conv_block2\.conv_block\.0\.(\w+)", r"middle.conv.\1"),
        (r"conv_block2\.conv_block\.1\.(\w+)", r"middle.norm.\1"),
        (r"subpixel_convolutional_blocks\.(\d+)\.conv\.(\w+)", r"up.\1.conv.\2"),
        (r"subpixel_convolutional_blocks\.(\d+)\.prelu\.(\w+)", r"up.\1.act.\2"),
        (r"conv_block3\.conv_block\.0\.(\w+)", r"tail.\1"),
    ]


LAYOUTS = (
    Layout(("block1.0.weight", "block1.1.weight", "block2.bn1.weight"), _leftthomas, True),
    Layout(("conv1.0.weight", "trunk.0.rcb.0.weight", "conv3.weight"), _lornatang, False),
    Layout(
        ("conv_block1.conv_block.0.weight", "residual_blocks.0.conv_block1.conv_block.0.weight"),
        _sgrvinod, True, True,
    ),
)  # fmt: skip
