"""Suzuki et al.: two decoders of one latent, a mask between them, and an SR residual module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from latentsr_export.load import codec_parts, load_codec_of, ready
from latentsr_export.networks.suzuki import (
    DETAIL,
    ENCODER,
    HYPER,
    LATENT,
    MAIN,
    SelectiveDetail,
    Suzuki2021,
    enlarged_steps,
    native_steps,
)
from latentsr_export.presets.preset import FULL, SMALL, Networks, Option, Preset, Role, Settings
from latentsr_export.presets.untrained import sample, seeded, settle
from latentsr_export.routes import Chain, make_routes
from latentsr_export.system import System


def _load(path: str | Path, settings: Settings) -> nn.Module:
    del settings
    return load_codec_of(Suzuki2021.NAME, path)


def _make(settings: Settings, networks: Networks) -> nn.Module:
    del networks
    share = settings["share"]
    encoder, main, detail = (_narrowed(widths, share) for widths in (ENCODER, MAIN, DETAIL))
    network: Any = seeded(
        lambda: SelectiveDetail(
            encoder, main, detail, LATENT, HYPER, settings["features"], settings["blocks"]
        )
    )
    y = settle(network.encoder, network.encoder[-1], sample(), 3.0, 0.0)
    z = settle(network.h_a, network.h_a[-1], y, 2.0, 0.0)
    # Scales around 2.5; the means, the other half of the outputs, near 0.
    settle(network.h_s, network.h_s[-1], torch.round(z), 0.5, 0.0)
    with torch.no_grad():
        network.h_s[-1].bias[:LATENT] += 2.5
    half = torch.round(y)
    settle(network.main, network.main[-1], half[:, : LATENT // 2], 0.2, 0.5)
    settle(network.detail, network.detail[-1], half[:, LATENT // 2 :], 0.2, 0.5)
    return ready(network)


def _narrowed(widths: Sequence[int], share: float) -> tuple[int, ...]:
    return tuple(max(4, round(share * width)) for width in widths)


def _assumptions(networks: Networks, settings: Settings) -> list[str]:
    del settings
    net: Any = networks["codec"]
    main = net.main[0].in_channels
    rows, columns = net.context.kernel_size
    return [
        "Encoder and decoder bodies are 5x5 convolutions of stride 2 with GDN, in the hyperprior "
        "with LeakyReLU: the paper shows boxes only.",
        f"The first {main} channels of the latent go to the main decoder, the others to the "
        "selective-detail decoder: the paper gives 64 and 32 channels and no more.",
        f"The context is a causal convolution over {rows} rows and {columns} columns, its output "
        "is added to that of the hyperprior, and the sum is σ and μ without a further layer.",
        "z has a factorized prior, learned as in CompressAI; latents are rounded around their "
        "mean.",
        f"The SR residual module has {len(net.residual.blocks)} residual blocks of "
        f"{net.residual.head.out_channels} features and a sub-pixel convolution.",
        "The mask goes through a sigmoid; enlarging by 2 is bilinear, halving the mean of 2x2.",
        "The arithmetic coder is ours: the paper names none.",
    ]


def _build(networks: Networks, settings: Settings) -> System:
    del settings
    parts = codec_parts(networks["codec"])
    chains = [
        Chain("x2", (), 2, "main decoder and SR residual: the ×2 picture", latent=True,
              steps=enlarged_steps()),
        Chain("native", (), 1, "both decoders, blended by the mask at the source's size",
              latent=True, steps=native_steps()),
    ]  # fmt: skip
    return System(parts, {}, make_routes(parts, chains), "x2")


PRESET = Preset(
    name="suzuki-selective-detail",
    paper=(
        "Suzuki, Akutsu, Naruko, Tsubota, Aizawa: Learned image compression with super-resolution "
        "residual modules and DISTS optimization. CVPR Workshops, CLIC, 2021"
    ),
    about="one latent, a main and a selective-detail decoder with a mask, an SR residual module",
    roles={"codec": Role("the whole codec", _load, _make)},
    options={
        "share": Option("of the paper's features in the transforms", 1.0, (), True),
        "features": Option("features of the SR residual module", 64, (), True),
        "blocks": Option("residual blocks of the SR residual module", 8, (), True),
    },
    sizes={FULL: {}, SMALL: {"share": 0.05, "features": 4, "blocks": 1}},
    assumptions=_assumptions,
    build=_build,
)
