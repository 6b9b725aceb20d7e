"""Upenik et al. as their public code has it: ESRGAN on the decoded picture, beside the anchors."""

from __future__ import annotations

from pathlib import Path

from latentsr_export.load import PIXEL_SR, codec_parts, route_name
from latentsr_export.networks.rrdbnet import RRDBNet
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr
from latentsr_export.presets import cdsr
from latentsr_export.presets.preset import FULL, SMALL, Networks, Option, Preset, Role, Settings
from latentsr_export.presets.untrained import picture_network, sample, seeded
from latentsr_export.routes import Chain, make_routes
from latentsr_export.system import System, as_pixel_sr, pixel_spec


def _load(path: str | Path, settings: Settings) -> PixelSR:
    del settings
    return load_pixel_sr(path)


def _make(settings: Settings, networks: Networks) -> PixelSR:
    del networks
    sizes = (settings["features"], settings["blocks"], settings["growth"])
    network = seeded(lambda: RRDBNet(*sizes))
    return as_pixel_sr(picture_network(network, network.conv_last, sample(32)))


def _assumptions(networks: Networks, settings: Settings) -> list[str]:
    limited = "limited to 0..1" if settings["clamp"] else "not limited to 0..1"
    return [
        "The paper's text connects the SR network to the codec before entropy coding, its public "
        "code to the decoded picture: this preset is the code's, cdsr-latent the text's.",
        f"The decoded picture goes into the SR network {limited} and not rounded; in the public "
        "code forward() does not limit it, decompress() does.",
        *cdsr.assumptions(networks),
    ]


def _build(networks: Networks, settings: Settings) -> System:
    parts = codec_parts(networks["codec"])
    network: PixelSR = networks[PIXEL_SR]
    about = f"synthesis transform, then {network.name} trained on decoded pictures"
    route = route_name(PIXEL_SR, network.scale)
    graphs = {PIXEL_SR: pixel_spec(network, parts)}
    chains = [Chain(route, (PIXEL_SR,), network.scale, about, clamp=settings["clamp"])]
    cdsr.add_anchors(networks, parts, graphs, chains)
    return System(parts, graphs, make_routes(parts, chains), route)


PRESET = Preset(
    name="cdsr-decoded",
    paper=cdsr.PAPER,
    about="hyperprior codec; RRDBNet enlarges the decoded picture by 4, beside the anchors",
    roles={
        "codec": cdsr.CODEC,
        PIXEL_SR: Role("RRDBNet trained on the codec's pictures", _load, _make),
        **cdsr.ANCHORS,
    },
    options={
        **cdsr.OPTIONS,
        "features": Option("features of RRDBNet", 64, (), True),
        "blocks": Option("RRDBs of RRDBNet", 23, (), True),
        "growth": Option("growth of the dense blocks", 32, (), True),
        "clamp": Option("limit the decoded picture to 0..1 before RRDBNet", False),
    },
    sizes={FULL: {}, SMALL: {**cdsr.SMALL_CODEC, "features": 8, "blocks": 1, "growth": 4}},
    assumptions=_assumptions,
    build=_build,
)
