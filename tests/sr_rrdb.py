"""RRDBNet as BasicSR and the ESRGAN code before it write it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_reference import Maker, State, conv

_OLD = {
    "body.": "RRDB_trunk.", "rdb": "RDB", "conv_body": "trunk_conv", "conv_up1": "upconv1",
    "conv_up2": "upconv2", "conv_hr": "HRconv",
}  # fmt: skip


def rrdbnet(features: int, blocks: int, growth: int, inputs: int = 3) -> State:
    """BasicSR's names."""
    made = Maker(21)
    made.conv("conv_first", inputs, features, 3)
    for block in range(blocks):
        for dense in range(1, 4):
            name = f"body.{block}.rdb{dense}"
            for layer in range(1, 6):
                outputs = growth if layer < 5 else features
                made.conv(f"{name}.conv{layer}", features + (layer - 1) * growth, outputs, 3)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        made.conv(name, features, features, 3)
    made.conv("conv_last", features, 3, 3)
    return made.state


def middle_names(state: State) -> State:
    """As xinntao's ESRGAN, KAIR and BSRGAN write it."""
    renamed = {}
    for key, tensor in state.items():
        for new, old in _OLD.items():
            key = key.replace(new, old)  # noqa: PLW2901 - one rename after the other
        renamed[key] = tensor
    return renamed


def run_rrdbnet(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    del scale  # there is one

    def lrelu(x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2)

    def dense(name: str, x: Tensor) -> Tensor:
        seen = x
        for layer in range(1, 5):
            seen = torch.cat([seen, lrelu(conv(s, f"{name}.conv{layer}", seen))], 1)
        return x + 0.2 * conv(s, f"{name}.conv5", seen)

    first = out = conv(s, "conv_first", x)
    for block in range(blocks):
        inner = out
        for number in range(1, 4):
            inner = dense(f"body.{block}.rdb{number}", inner)
        out = out + 0.2 * inner
    out = first + conv(s, "conv_body", out)
    for stage in ("conv_up1", "conv_up2"):
        out = lrelu(conv(s, stage, F.interpolate(out, scale_factor=2, mode="nearest")))
    return conv(s, "conv_last", lrelu(conv(s, "conv_hr", out)))
