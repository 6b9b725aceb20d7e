"""CARN, RFDN, IMDN and RLFN as their public repositories write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_reference import Maker, State, conv, up

_STAGES = {2: (2,), 3: (3,), 4: (2, 2)}


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.05)


def carn(features: int, groups: int | None, scales: tuple[int, ...]) -> State:
    """CARN-pytorch: CARN (groups None) or CARN-M; one scale, or all three in one file."""
    made = Maker(11)
    made.mean_shift("sub_mean.shifter", "add_mean.shifter", 1.0)
    made.conv("entry", 3, features, 3)
    for block in range(1, 4):
        for unit in range(1, 4 if groups is None else 2):
            name = f"b{block}.b{unit}.body"
            made.conv(f"{name}.0", features, features, 3, groups or 1)
            made.conv(f"{name}.2", features, features, 3, groups or 1)
            if groups is not None:
                made.conv(f"{name}.4", features, features, 1)
        for unit in range(1, 4):
            made.conv(f"b{block}.c{unit}.body.0", features * (unit + 1), features, 1)
        made.conv(f"c{block}.body.0", features * (block + 1), features, 1)
    for scale in scales:
        name = "upsample.up" if len(scales) == 1 else f"upsample.up{scale}"
        for stage, ratio in enumerate(_STAGES[scale]):
            wide = features * ratio**2
            made.conv(f"{name}.body.{3 * stage}", features, wide, 3, groups or 1)
    made.conv("exit", features, 3, 3)
    return made.state


def run_carn(s: State, x: Tensor, groups: int | None, scale: int) -> Tensor:
    def unit(name: str, x: Tensor) -> Tensor:
        out = F.relu(conv(s, f"{name}.body.0", x, groups or 1))
        out = conv(s, f"{name}.body.2", out, groups or 1)
        if groups is not None:
            out = conv(s, f"{name}.body.4", F.relu(out))
        return F.relu(out + x)

    def block(name: str, x: Tensor) -> Tensor:
        seen = out = x
        for index in range(1, 4):
            seen = torch.cat([seen, unit(f"{name}.b{1 if groups else index}", out)], dim=1)
            out = F.relu(conv(s, f"{name}.c{index}.body.0", seen))
        return out

    seen = out = conv(s, "entry", conv(s, "sub_mean.shifter", x))
    for index in range(1, 4):
        seen = torch.cat([seen, block(f"b{index}", out)], dim=1)
        out = F.relu(conv(s, f"c{index}.body.0", seen))
    name = "upsample.up" if "upsample.up.body.0.weight" in s else f"upsample.up{scale}"
    for stage, ratio in enumerate(_STAGES[scale]):
        out = up(F.relu(conv(s, f"{name}.body.{3 * stage}", out, groups or 1)), ratio)
    return conv(s, "add_mean.shifter", conv(s, "exit", out))


def _attention(made: Maker, name: str, features: int, wide: bool) -> None:
    inner = features // 4
    for layer, side in (("conv_f", 1), ("conv2", 3), ("conv3", 3)):
        made.conv(f"{name}.{layer}", inner, inner, side)
    for layer in ("conv_max", "conv3_") if wide else ():
        made.conv(f"{name}.{layer}", inner, inner, 3)
    made.conv(f"{name}.conv1", features, inner, 1)
    made.conv(f"{name}.conv4", inner, features, 1)


def _run_attention(s: State, name: str, x: Tensor, wide: bool) -> Tensor:
    full = conv(s, f"{name}.conv1", x)
    small = F.conv2d(full, s[f"{name}.conv2.weight"], s[f"{name}.conv2.bias"], stride=2)
    small = F.max_pool2d(small, 7, 3)
    if wide:
        small = F.relu(conv(s, f"{name}.conv_max", small))
        small = conv(s, f"{name}.conv3_", F.relu(conv(s, f"{name}.conv3", small)))
    else:
        small = conv(s, f"{name}.conv3", small)
    small = F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)
    return x * torch.sigmoid(conv(s, f"{name}.conv4", small + conv(s, f"{name}.conv_f", full)))


def rfdn(features: int, blocks: int, scale: int) -> State:
    made, half = Maker(12), features // 2
    made.conv("fea_conv", 3, features, 3)
    for block in range(1, blocks + 1):
        for step in range(1, 4):
            made.conv(f"B{block}.c{step}_d", features, half, 1)
            made.conv(f"B{block}.c{step}_r", features, features, 3)
        made.conv(f"B{block}.c4", features, half, 3)
        made.conv(f"B{block}.c5", half * 4, features, 1)
        _attention(made, f"B{block}.esa", features, wide=True)
    made.conv("c.0", features * blocks, features, 1)
    made.conv("LR_conv", features, features, 3)
    made.conv("upsampler.0", features, 3 * scale**2, 3)
    return made.state


def run_rfdn(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    first = out = conv(s, "fea_conv", x)
    outs = []
    for block in range(1, blocks + 1):
        kept = []
        for step in range(1, 4):
            kept.append(lrelu(conv(s, f"B{block}.c{step}_d", out)))
            out = lrelu(conv(s, f"B{block}.c{step}_r", out) + out)
        kept.append(lrelu(conv(s, f"B{block}.c4", out)))
        out = conv(s, f"B{block}.c5", torch.cat(kept, dim=1))
        out = _run_attention(s, f"B{block}.esa", out, wide=True)
        outs.append(out)
    out = lrelu(conv(s, "c.0", torch.cat(outs, dim=1)))
    return up(conv(s, "upsampler.0", conv(s, "LR_conv", out) + first), scale)


def rlfn(features: int, inner: int, blocks: int, scale: int) -> State:
    made = Maker(13)
    made.conv("fea_conv", 3, features, 3)
    for block in range(1, blocks + 1):
        for step, sides in (
            ("1", (features, inner)),
            ("2", (inner, inner)),
            ("3", (inner, features)),
        ):
            made.conv(f"B{block}.c{step}_r", *sides, 3)
        made.conv(f"B{block}.c5", features, features, 1)
        _attention(made, f"B{block}.esa", features, wide=False)
    made.conv("LR_conv", features, features, 3)
    made.conv("upsampler.0", features, 3 * scale**2, 3)
    return made.state


def authors_rlfn(state: State) -> State:
    """The same under the names of the authors' repository."""
    for ours, theirs in (("fea_conv.", "conv_1."), ("LR_conv.", "conv_2."), ("B", "block_")):
        state = {theirs + k[len(ours) :] if k.startswith(ours) else k: v for k, v in state.items()}
    return state


def run_rlfn(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    first = out = conv(s, "fea_conv", x)
    for block in range(1, blocks + 1):
        inner = out
        for step in range(1, 4):
            inner = lrelu(conv(s, f"B{block}.c{step}_r", inner))
        out = conv(s, f"B{block}.c5", inner + out)
        out = _run_attention(s, f"B{block}.esa", out, wide=False)
    return up(conv(s, "upsampler.0", conv(s, "LR_conv", out) + first), scale)


def imdn(features: int, blocks: int, scale: int) -> State:
    """The authors' IMDN."""
    made, part = Maker(14), features // 4
    made.conv("fea_conv", 3, features, 3)
    for block in range(1, blocks + 1):
        name = f"IMDB{block}"
        made.conv(f"{name}.c1", features, features, 3)
        made.conv(f"{name}.c2", features - part, features, 3)
        made.conv(f"{name}.c3", features - part, features, 3)
        made.conv(f"{name}.c4", features - part, part, 3)
        made.conv(f"{name}.c5", features, features, 1)
        made.conv(f"{name}.cca.conv_du.0", features, features // 4, 1)
        made.conv(f"{name}.cca.conv_du.2", features // 4, features, 1)
    made.conv("c.0", features * blocks, features, 1)
    made.conv("LR_conv", features, features, 3)
    made.conv("upsampler.0", features, 3 * scale**2, 3)
    return made.state


def run_imdn(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    first = out = conv(s, "fea_conv", x)
    part = out.shape[1] // 4
    outs = []
    for block in range(1, blocks + 1):
        name, rest, kept = f"IMDB{block}", out, []
        for layer in ("c1", "c2", "c3"):
            made = lrelu(conv(s, f"{name}.{layer}", rest))
            kept.append(made[:, :part])
            rest = made[:, part:]
        both = torch.cat([*kept, conv(s, f"{name}.c4", rest)], dim=1)
        deviation = both.std(dim=(2, 3), keepdim=True, unbiased=False)
        gate = deviation + both.mean(dim=(2, 3), keepdim=True)
        gate = conv(s, f"{name}.cca.conv_du.2", F.relu(conv(s, f"{name}.cca.conv_du.0", gate)))
        out = conv(s, f"{name}.c5", both * torch.sigmoid(gate)) + out
        outs.append(out)
    out = lrelu(conv(s, "c.0", torch.cat(outs, dim=1)))
    return up(conv(s, "upsampler.0", conv(s, "LR_conv", out) + first), scale)


def kair_imdn(features: int, blocks: int, scale: int) -> State:
    """IMDN of KAIR and the NTIRE challenges: no attention, no fusion."""
    made, part = Maker(15), features // 4
    made.conv("model.0", 3, features, 3)
    for block in range(blocks):
        name = f"model.1.sub.{block}"
        made.conv(f"{name}.conv1.0", features, features, 3)
        made.conv(f"{name}.conv2.0", features - part, features, 3)
        made.conv(f"{name}.conv3.0", features - part, features, 3)
        made.conv(f"{name}.conv4", features - part, part, 3)
        made.conv(f"{name}.conv1x1", features, features, 1)
    made.conv(f"model.1.sub.{blocks}", features, features, 3)
    made.conv("model.2", features, 3 * scale**2, 3)
    return made.state


def run_kair_imdn(s: State, x: Tensor, blocks: int, scale: int) -> Tensor:
    first = out = conv(s, "model.0", x)
    part = out.shape[1] // 4
    for block in range(blocks):
        name, rest, kept = f"model.1.sub.{block}", out, []
        for layer in ("conv1.0", "conv2.0", "conv3.0"):
            made = lrelu(conv(s, f"{name}.{layer}", rest))
            kept.append(made[:, :part])
            rest = made[:, part:]
        kept.append(conv(s, f"{name}.conv4", rest))
        out = out + conv(s, f"{name}.conv1x1", torch.cat(kept, dim=1))
    out = conv(s, f"model.1.sub.{blocks}", out) + first
    return up(conv(s, "model.2", out), scale)
