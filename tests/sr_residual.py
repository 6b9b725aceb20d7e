"""EDSR, WDSR and MSRResNet as their public repositories write them, unfolded."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from sr_reference import DIV2K, Maker, State, conv, up

_STAGES = {2: (2,), 3: (3,), 4: (2, 2)}


def edsr(features: int, blocks: int, scale: int, value_range: float = 255.0) -> State:
    """EDSR-PyTorch."""
    made = Maker(1, biases=0.1 * value_range)
    made.mean_shift("sub_mean", "add_mean", value_range)
    made.conv("head.0", 3, features, 3)
    for block in range(blocks):
        made.conv(f"body.{block}.body.0", features, features, 3)
        made.conv(f"body.{block}.body.2", features, features, 3)
    made.conv(f"body.{blocks}", features, features, 3)
    for stage, ratio in enumerate(_STAGES[scale]):
        made.conv(f"tail.0.{2 * stage}", features, features * ratio**2, 3)
    made.conv("tail.1", features, 3, 3)
    return made.state


def run_edsr(s: State, x: Tensor, blocks: int, scale: int, value_range: float = 255.0) -> Tensor:
    first = conv(s, "head.0", conv(s, "sub_mean", x * value_range))
    out, factor = first, 0.1 if first.shape[1] == 256 else 1.0
    for block in range(blocks):
        inner = F.relu(conv(s, f"body.{block}.body.0", out))
        out = conv(s, f"body.{block}.body.2", inner) * factor + out
    out = conv(s, f"body.{blocks}", out) + first
    for stage, ratio in enumerate(_STAGES[scale]):
        out = up(conv(s, f"tail.0.{2 * stage}", out), ratio)
    return conv(s, "add_mean", conv(s, "tail.1", out)) / value_range


def basicsr_edsr(features: int, blocks: int, scale: int) -> State:
    made = Maker(2, biases=25)
    made.conv("conv_first", 3, features, 3)
    for block in range(blocks):
        made.conv(f"body.{block}.conv1", features, features, 3)
        made.conv(f"body.{block}.conv2", features, features, 3)
    made.conv("conv_after_body", features, features, 3)
    for stage, ratio in enumerate(_STAGES[scale]):
        made.conv(f"upsample.{2 * stage}", features, features * ratio**2, 3)
    made.conv("conv_last", features, 3, 3)
    return made.state


def run_basicsr_edsr(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    first = out = conv(s, "conv_first", (x - DIV2K) * 255)
    for block in range(blocks):
        out = out + conv(s, f"body.{block}.conv2", F.relu(conv(s, f"body.{block}.conv1", out)))
    out = conv(s, "conv_after_body", out) + first
    for stage, ratio in enumerate(_STAGES[scale]):
        out = up(conv(s, f"upsample.{2 * stage}", out), ratio)
    return conv(s, "conv_last", out) / 255 + DIV2K


def wdsr(kind: str, features: int, blocks: int, scale: int, new: bool = False) -> State:
    """wdsr_ntire2018, kind "a" or "b", with weight norm in torch's old or new names."""
    made = Maker(3)
    made.normed("head.0", 3, features, 3, new)
    wide, linear = (4 * features, 0) if kind == "a" else (6 * features, int(0.8 * features))
    for block in range(blocks):
        name = f"body.{block}.body"
        if kind == "a":
            made.normed(f"{name}.0", features, wide, 3, new)
            made.normed(f"{name}.2", wide, features, 3, new)
        else:
            made.normed(f"{name}.0", features, wide, 1, new)
            made.normed(f"{name}.2", wide, linear, 1, new)
            made.normed(f"{name}.3", linear, features, 3, new)
    made.normed("tail.0", features, 3 * scale**2, 3, new)
    made.normed("skip.0", 3, 3 * scale**2, 5, new)
    return made.state


def run_wdsr(s: State, x: Tensor, kind: str, blocks: int, scale: int) -> Tensor:
    x = (x * 255 - DIV2K * 255) / 127.5
    out = conv(s, "head.0", x)
    for block in range(blocks):
        inner = F.relu(conv(s, f"body.{block}.body.0", out))
        for layer in (2,) if kind == "a" else (2, 3):
            inner = conv(s, f"body.{block}.body.{layer}", inner)
        out = out + inner
    made = up(conv(s, "tail.0", out), scale) + up(conv(s, "skip.0", x), scale)
    return (made * 127.5 + DIV2K * 255) / 255


def named_wdsr_b(features: int, blocks: int, scale: int) -> State:
    """WDSR-B without weight norm, each convolution under a name of its own."""
    made = Maker(4)
    made.conv("head", 3, features, 3)
    for block in range(blocks):
        made.conv(f"body.{block}.conv1", features, 6 * features, 1)
        made.conv(f"body.{block}.conv2", 6 * features, int(0.8 * features), 1)
        made.conv(f"body.{block}.conv3", int(0.8 * features), features, 3)
    made.conv("tail", features, 3 * scale**2, 3)
    made.conv("skip", 3, 3 * scale**2, 5)
    return made.state


def run_named_wdsr_b(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    x = (x * 255 - DIV2K * 255) / 127.5
    out = conv(s, "head", x)
    for block in range(blocks):
        inner = conv(s, f"body.{block}.conv2", F.relu(conv(s, f"body.{block}.conv1", out)))
        out = out + conv(s, f"body.{block}.conv3", inner)
    made = up(conv(s, "tail", out) + conv(s, "skip", x), scale)
    return (made * 127.5 + DIV2K * 255) / 255


def grey_wdsr(features: int, blocks: int, scale: int) -> State:
    """WDSR-A of ychfan/wdsr: head and tail in `body`, 0.5 taken off."""
    made = Maker(5)
    made.normed("body.0", 3, features, 3)
    for block in range(1, blocks + 1):
        made.normed(f"body.{block}.body.0", features, 4 * features, 3)
        made.normed(f"body.{block}.body.2", 4 * features, features, 3)
    made.normed(f"body.{blocks + 1}", features, 3 * scale**2, 3)
    made.normed("skip.0", 3, 3 * scale**2, 5)
    return made.state


def run_grey_wdsr(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    out = conv(s, "body.0", x - 0.5)
    for block in range(1, blocks + 1):
        out = out + conv(s, f"body.{block}.body.2", F.relu(conv(s, f"body.{block}.body.0", out)))
    out = conv(s, f"body.{blocks + 1}", out) + conv(s, "skip.0", x - 0.5)
    return up(out, scale) + 0.5


def msrresnet(features: int, blocks: int, scale: int) -> State:
    """BasicSR."""
    made = Maker(6)
    made.conv("conv_first", 3, features, 3)
    for block in range(blocks):
        made.conv(f"body.{block}.conv1", features, features, 3)
        made.conv(f"body.{block}.conv2", features, features, 3)
    for stage, ratio in enumerate(_STAGES[scale], 1):
        made.conv(f"upconv{stage}", features, features * ratio**2, 3)
    made.conv("conv_hr", features, features, 3)
    made.conv("conv_last", features, 3, 3)
    return made.state


def older_msrresnet(state: State) -> State:
    """The same under the names of mmsr and KAIR."""
    pairs = (("body.", "recon_trunk."), ("conv_hr.", "HRconv."))
    for new, old in pairs:
        state = {k.replace(new, old) if k.startswith(new) else k: v for k, v in state.items()}
    return state


def run_msrresnet(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    out = F.leaky_relu(conv(s, "conv_first", x), 0.1)
    for block in range(blocks):
        out = out + conv(s, f"body.{block}.conv2", F.relu(conv(s, f"body.{block}.conv1", out)))
    for stage, ratio in enumerate(_STAGES[scale], 1):
        out = F.leaky_relu(up(conv(s, f"upconv{stage}", out), ratio), 0.1)
    out = conv(s, "conv_last", F.leaky_relu(conv(s, "conv_hr", out), 0.1))
    return out + F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
