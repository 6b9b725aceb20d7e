"""SRResNet and the SRGAN generator as public repositories write them, batch norm unfolded."""

from __future__ import annotations

import torch
from torch import Tensor

from sr_reference import Maker, State, batch_norm, conv, prelu, up

_STAGES = {2: (2,), 3: (3,), 4: (2, 2)}


def leftthomas(features: int, blocks: int, scale: int, norm: bool) -> State:
    """SRGAN by leftthomas, with a batch norm (`norm`) or a PReLU after the trunk."""
    made = Maker(7)
    made.conv("block1.0", 3, features, 9)
    made.slope("block1.1")
    for block in range(2, blocks + 2):
        for part in (1, 2):
            made.conv(f"block{block}.conv{part}", features, features, 3)
            made.batch_norm(f"block{block}.bn{part}", features)
        made.slope(f"block{block}.prelu")
    middle, last = f"block{blocks + 2}", f"block{blocks + 3}"
    made.conv(f"{middle}.0", features, features, 3)
    if norm:
        made.batch_norm(f"{middle}.1", features)
    else:
        made.slope(f"{middle}.1")
    for stage, ratio in enumerate(_STAGES[scale]):
        made.conv(f"{last}.{stage}.conv", features, features * ratio**2, 3)
        made.slope(f"{last}.{stage}.prelu")
    made.conv(f"{last}.{len(_STAGES[scale])}", features, 3, 9)
    return made.state


def run_leftthomas(s: State, x: Tensor, blocks: int, scale: int, norm: bool) -> Tensor:
    first = out = prelu(s, "block1.1", conv(s, "block1.0", x))
    for block in range(2, blocks + 2):
        name = f"block{block}"
        inner = prelu(
            s, f"{name}.prelu", batch_norm(s, f"{name}.bn1", conv(s, f"{name}.conv1", out))
        )
        out = out + batch_norm(s, f"{name}.bn2", conv(s, f"{name}.conv2", inner))
    middle, last = f"block{blocks + 2}", f"block{blocks + 3}"
    out = (batch_norm if norm else prelu)(s, f"{middle}.1", conv(s, f"{middle}.0", out)) + first
    for stage, ratio in enumerate(_STAGES[scale]):
        out = prelu(s, f"{last}.{stage}.prelu", up(conv(s, f"{last}.{stage}.conv", out), ratio))
    return (torch.tanh(conv(s, f"{last}.{len(_STAGES[scale])}", out)) + 1) / 2


def lornatang(features: int, blocks: int, scale: int) -> State:
    """SRGAN-PyTorch by Lornatang."""
    made = Maker(8)
    made.conv("conv1.0", 3, features, 9)
    made.slope("conv1.1")
    for block in range(blocks):
        name = f"trunk.{block}.rcb"
        for place in (0, 3):
            made.conv(f"{name}.{place}", features, features, 3, bias=False)
            made.batch_norm(f"{name}.{place + 1}", features)
        made.slope(f"{name}.2")
    made.conv("conv2.0", features, features, 3, bias=False)
    made.batch_norm("conv2.1", features)
    for stage in range(len(_STAGES[scale])):
        made.conv(f"upsampling.{stage}.upsample_block.0", features, features * 4, 3)
        made.slope(f"upsampling.{stage}.upsample_block.2")
    made.conv("conv3", features, 3, 9)
    return made.state


def run_lornatang(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    first = out = prelu(s, "conv1.1", conv(s, "conv1.0", x))
    for block in range(blocks):
        name = f"trunk.{block}.rcb"
        inner = prelu(s, f"{name}.2", batch_norm(s, f"{name}.1", conv(s, f"{name}.0", out)))
        out = out + batch_norm(s, f"{name}.4", conv(s, f"{name}.3", inner))
    out = batch_norm(s, "conv2.1", conv(s, "conv2.0", out)) + first
    for stage in range(len(_STAGES[scale])):
        name = f"upsampling.{stage}.upsample_block"
        out = prelu(s, f"{name}.2", up(conv(s, f"{name}.0", out)))
    return conv(s, "conv3", out)


def sgrvinod(features: int, blocks: int, scale: int) -> State:
    """SRGAN of a-PyTorch-Tutorial-to-Super-Resolution, in its wrapper `net`."""
    made = Maker(9)
    made.conv("net.conv_block1.conv_block.0", 3, features, 9)
    made.slope("net.conv_block1.conv_block.1")
    for block in range(blocks):
        for part in (1, 2):
            name = f"net.residual_blocks.{block}.conv_block{part}.conv_block"
            made.conv(f"{name}.0", features, features, 3)
            made.batch_norm(f"{name}.1", features)
        made.slope(f"net.residual_blocks.{block}.conv_block1.conv_block.2")
    made.conv("net.conv_block2.conv_block.0", features, features, 3)
    made.batch_norm("net.conv_block2.conv_block.1", features)
    for stage in range(len(_STAGES[scale])):
        made.conv(f"net.subpixel_convolutional_blocks.{stage}.conv", features, features * 4, 3)
        made.slope(f"net.subpixel_convolutional_blocks.{stage}.prelu")
    made.conv("net.conv_block3.conv_block.0", features, 3, 9)
    return made.state


def run_sgrvinod(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    x = (x - mean) / torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    first = out = prelu(
        s, "net.conv_block1.conv_block.1", conv(s, "net.conv_block1.conv_block.0", x)
    )
    for block in range(blocks):
        one, two = (f"net.residual_blocks.{block}.conv_block{part}.conv_block" for part in (1, 2))
        inner = prelu(s, f"{one}.2", batch_norm(s, f"{one}.1", conv(s, f"{one}.0", out)))
        out = out + batch_norm(s, f"{two}.1", conv(s, f"{two}.0", inner))
    name = "net.conv_block2.conv_block"
    out = batch_norm(s, f"{name}.1", conv(s, f"{name}.0", out)) + first
    for stage in range(len(_STAGES[scale])):
        name = f"net.subpixel_convolutional_blocks.{stage}"
        out = prelu(s, f"{name}.prelu", up(conv(s, f"{name}.conv", out)))
    return (torch.tanh(conv(s, "net.conv_block3.conv_block.0", out)) + 1) / 2
