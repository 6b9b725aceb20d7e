"""Upenik et al. as the paper's text has it: ESRGAN's trunk on the latent, without synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from latentsr_export.load import codec_parts, load_latent_sr
from latentsr_export.networks.latent_sr import HEAD_STAGES, LatentSR
from latentsr_export.presets import cdsr
from latentsr_export.presets.preset import FULL, SMALL, Networks, Option, Preset, Role, Settings
from latentsr_export.presets.untrained import latent_of, picture_network, seeded
from latentsr_export.routes import Chain, make_routes
from latentsr_export.system import System, latent_chain, latent_spec

_WIDTHS = (64, 64, 48, 32, 24, 16)


def _load(path: str | Path, settings: Settings) -> nn.Module:
    del settings
    return load_latent_sr(path)


def _make(settings: Settings, networks: Networks) -> nn.Module:
    latent = latent_of(networks["codec"])
    features, growth = settings["features"], settings["growth"]
    widths = [min(width, features) for width in _WIDTHS]
    network = seeded(
        lambda: LatentSR(latent.shape[1], features, settings["blocks"], growth, widths)
    )
    return picture_network(network, network.conv_last, latent)


def _assumptions(networks: Networks, settings: Settings) -> list[str]:
    del settings
    decoder: Any = networks["latent_sr"]
    entry = (
        f"How {decoder.latent_channels} channels at stride 16 enter ESRGAN is not stated: the "
        "first convolution takes them, the trunk runs on the latent's grid, and "
    )
    head = (
        f"{HEAD_STAGES} stages of 3x3 convolution, pixel shuffle by 2 and LeakyReLU take the place "
        "of ESRGAN's two upsampling stages."
        if isinstance(decoder, LatentSR)
        else f"the head is that of {decoder.NAME}."
    )
    return [
        "The paper's text connects the SR network to the codec before entropy coding, its public "
        "code to the decoded picture: this preset is the text's, cdsr-decoded the code's.",
        entry + head,
        "The SR network gets the rounded latent, which is what a decoder has; the paper trains "
        "without entropy coding and does not say whether it rounds.",
        *cdsr.assumptions(networks),
    ]


def _build(networks: Networks, settings: Settings) -> System:
    del settings
    parts = codec_parts(networks["codec"])
    decoder: Any = networks["latent_sr"]
    graphs = {"latent_sr": latent_spec(decoder, parts, "the latent SR decoder")}
    chains: list[Chain] = [latent_chain(decoder.SCALE)]
    cdsr.add_anchors(networks, parts, graphs, chains)
    return System(parts, graphs, make_routes(parts, chains), chains[0].route)


PRESET = Preset(
    name="cdsr-latent",
    paper=cdsr.PAPER,
    about="hyperprior codec; an RRDB trunk takes the latent to the picture of 4 times the size",
    roles={
        "codec": cdsr.CODEC,
        "latent_sr": Role("the SR network on the codec's latent", _load, _make),
        **cdsr.ANCHORS,
    },
    options={
        **cdsr.OPTIONS,
        "features": Option("features of the trunk", 64, (), True),
        "blocks": Option("RRDBs of the trunk", 23, (), True),
        "growth": Option("growth of the dense blocks", 32, (), True),
    },
    sizes={FULL: {}, SMALL: {**cdsr.SMALL_CODEC, "features": 16, "blocks": 1, "growth": 8}},
    assumptions=_assumptions,
    build=_build,
)
