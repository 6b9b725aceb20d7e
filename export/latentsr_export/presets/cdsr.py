"""What both readings of Upenik et al. share: paper, codec, and the decoded anchors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from latentsr_export.load import load_codec
from latentsr_export.parts import CodecParts, GraphSpec
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr
from latentsr_export.presets.preset import Networks, Option, Role, Settings
from latentsr_export.presets.untrained import edsr, latent_of, scale_hyperprior
from latentsr_export.routes import Chain
from latentsr_export.system import as_pixel_sr, pixel_spec

PAPER = (
    "Upenik, Testolina, Ebrahimi: Towards super resolution in the compressed domain of "
    "learning-based image codecs. SPIE Applications of Digital Image Processing XLIV, 2021"
)
# (N, M) of CompressAI's bmshj2018-hyperprior, by its quality.
_CHANNELS = {q: (128, 192) if q <= 5 else (192, 320) for q in range(1, 9)}
OPTIONS = {
    "quality": Option("CompressAI's quality, which sets N and M", 6, tuple(_CHANNELS), True),
    "codec_features": Option("N of the codec; 0: that of the quality", 0, (), True),
    "codec_latent": Option("M of the codec; 0: that of the quality", 0, (), True),
    "edsr_features": Option("features of the anchor EDSR", 64, (), True),
    "edsr_blocks": Option("residual blocks of the anchor EDSR", 16, (), True),
}
SMALL_CODEC = {"codec_features": 8, "codec_latent": 12, "edsr_features": 8, "edsr_blocks": 1}


def _untrained_codec(settings: Settings, networks: Networks) -> nn.Module:
    del networks
    n, m = _CHANNELS[settings["quality"]]
    return scale_hyperprior(settings["codec_features"] or n, settings["codec_latent"] or m)


def _anchor(path: str | Path, settings: Settings) -> PixelSR:
    del settings
    return load_pixel_sr(path)


def _untrained_edsr(settings: Settings, networks: Networks) -> PixelSR:
    del networks
    return as_pixel_sr(edsr(settings["edsr_features"], settings["edsr_blocks"], 4))


CODEC = Role(
    "bmshj2018-hyperprior, frozen", lambda path, settings: load_codec(path), _untrained_codec
)
ANCHORS: Mapping[str, Role] = {
    "srgan": Role("anchor: SRGAN or SRResNet on the decoded picture", _anchor, None, False),
    "edsr": Role("anchor: EDSR on the decoded picture", _anchor, _untrained_edsr, False),
    "wdsr": Role("anchor: WDSR on the decoded picture", _anchor, None, False),
    "esrgan": Role("anchor: ESRGAN as published, on the decoded picture", _anchor, None, False),
}


def add_anchors(
    networks: Networks, parts: CodecParts, graphs: dict[str, GraphSpec], chains: list[Chain]
) -> None:
    """Graph and route of each anchor that is there."""
    for name in ANCHORS:
        if name in networks:
            network = networks[name]
            about = f"decoded anchor: synthesis transform, then {network.name}"
            graphs[name] = pixel_spec(network, parts)
            route = f"{name}_x{network.scale}"
            chains.append(Chain(route, (name,), network.scale, about))


def assumptions(networks: Networks) -> list[str]:
    """What the paper leaves open of the codec, the reduction and the anchors."""
    channels = latent_of(networks["codec"]).shape[1]
    found = [
        f"The codec's latent has {channels} channels: the paper does not fix the quality of "
        "bmshj2018-hyperprior; its figure shows 6, the public options are 4 and 8.",
        "Sides are padded to multiples of 64 to the right and below by repeating the border, and "
        "cropped after enlarging; the public code pads with zeros.",
        "encode_hr reduces by 4 with Pillow's bicubic, which widens its kernel against aliasing; "
        "sides that 4 does not divide are filled up with the border first. The paper says bicubic.",
    ]
    anchors = [name for name in ANCHORS if name in networks]
    if anchors:
        found.append(
            f"Anchors ({', '.join(anchors)}) get the decoded picture limited to 0..1, not rounded "
            "to 8 bits; their sizes are those of the checkpoints, the paper names none."
        )
    return found
