"""Jin et al.: JPEG, a network that removes its artefacts, and an EDSR-like network after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from latentsr.errors import CheckpointError
from latentsr.jpeg import SUBSAMPLINGS
from latentsr_export.checkpoint import load_state
from latentsr_export.load import PIXEL_SR
from latentsr_export.networks.car import ArtefactRemoval, fold_batch_norm
from latentsr_export.networks.jpeg import Jpeg
from latentsr_export.parts import GraphSpec
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr
from latentsr_export.presets.preset import FULL, SMALL, Networks, Option, Preset, Role, Settings
from latentsr_export.presets.untrained import edsr, sample, seeded, settle
from latentsr_export.routes import Chain, make_routes
from latentsr_export.system import System, as_pixel_sr, pixel_spec

CAR = "car"


def _load_car(path: str | Path, settings: Settings) -> ArtefactRemoval:
    state = load_state(path)
    if not ArtefactRemoval.detect(state):
        raise CheckpointError(
            f"checkpoint holds no network for artefact removal: found keys "
            f"{', '.join(list(state)[:3])} … in {path}, expected those of {ArtefactRemoval.NAME}"
        )
    return ArtefactRemoval.from_state_dict(state, settings["first_relu"])


def _lively(network: ArtefactRemoval) -> ArtefactRemoval:
    """Weights that keep the features' size through all layers (He et al. 2015, arXiv 1502.01852).

    With torch's own, nothing of the picture is left behind 16 layers: the residual is the last
    bias, and a constant that moves 8-bit levels by halves lets every rounding tip over.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert network.tail.bias is not None
    nn.init.zeros_(network.tail.bias)
    return network


def _make_car(settings: Settings, networks: Networks) -> ArtefactRemoval:
    del networks
    sizes = (settings["car_features"], settings["car_layers"], settings["first_relu"])
    network = fold_batch_norm(seeded(lambda: _lively(ArtefactRemoval(*sizes))))
    settle(lambda x: network(x) - x, network.tail, sample(), 0.02, 0.0)
    return network


def _load_sr(path: str | Path, settings: Settings) -> PixelSR:
    del settings
    return load_pixel_sr(path)


def _make_sr(settings: Settings, networks: Networks) -> PixelSR:
    del networks
    return as_pixel_sr(edsr(settings["features"], settings["blocks"], settings["scale"]))


def _assumptions(networks: Networks, settings: Settings) -> list[str]:
    sr: Any = networks[PIXEL_SR]
    blocks = len(sr.module.body) - 1 if sr.name == "edsr" else "the checkpoint's"
    relu = "follows" if settings["first_relu"] else "does not follow"
    return [
        f"The scale is {sr.scale}: the paper does not state it.",
        f"The SR network has {blocks} residual blocks, EDSR's skip around them, and before the "
        "last 3x3 convolution one of 3x3 with pixel shuffle for each factor of 2 (or 3): the paper "
        "says sub-pixel convolution, and no number of blocks.",
        f"A ReLU {relu} the first convolution of the artefact removal: the paper names ReLU for "
        "the middle layers only; DnCNN, which it cites, has one.",
        "The residual that the artefact removal learns is added to its input.",
        "Between the two networks values are neither limited nor rounded.",
        f"Files are Pillow's baseline JPEG of quality {settings['quality']} with chroma "
        f"{settings['subsampling']}: the paper names the qualities 10, 20 and 30, no encoder and "
        "no subsampling.",
        f"encode_hr reduces by {sr.scale} with Pillow's bicubic, which widens its kernel against "
        "aliasing: the paper does not name the filter.",
    ]


def _build(networks: Networks, settings: Settings) -> System:
    parts = Jpeg(settings["quality"], settings["subsampling"]).parts()
    car: nn.Module = networks[CAR]
    sr: PixelSR = networks[PIXEL_SR]
    restore = GraphSpec(car, ("x",), ("restored",), 3, 1, "picture")
    enlarge = pixel_spec(sr, parts)
    after = GraphSpec(enlarge.module, ("x",), ("hr",), 3, 1, CAR)
    fused = GraphSpec(nn.Sequential(car, sr.module), ("x",), ("hr",), 3, 1, "picture")
    k, main = sr.scale, f"sr_x{sr.scale}"
    chains = [
        Chain(main, (CAR, PIXEL_SR), k, "artefact removal, then SR", clamp=False),
        Chain(f"fused_x{k}", ("fused",), k, "artefact removal and SR in one graph", clamp=False),
        Chain(f"decoded_x{k}", (PIXEL_SR,), k, "SR without artefact removal", clamp=False),
        Chain(CAR, (CAR,), 1, "artefact removal alone", clamp=False),
    ]
    graphs = {CAR: restore, PIXEL_SR: after, "fused": fused}
    return System(parts, graphs, make_routes(parts, chains), main)


PRESET = Preset(
    name="jin-jpeg-car-sr",
    paper=(
        "Jin, Park, Jeong: Super-resolution of compressed image by deep residual network. "
        "Hanyang University"
    ),
    about="JPEG files; a DnCNN-like network removes artefacts, an EDSR-like one enlarges",
    roles={
        CAR: Role("artefact removal", _load_car, _make_car),
        PIXEL_SR: Role("SR network after it", _load_sr, _make_sr),
    },
    options={
        "quality": Option("of the JPEG files", 10, tuple(range(1, 101))),
        "subsampling": Option("of the JPEG files", "4:2:0", SUBSAMPLINGS),
        "first_relu": Option("a ReLU after the artefact removal's first convolution", True),
        "scale": Option("of the SR network", 4, (2, 3, 4, 8), True),
        "features": Option("features of the SR network", 256, (), True),
        "blocks": Option("residual blocks of the SR network", 32, (), True),
        "car_features": Option("features of the artefact removal", 64, (), True),
        "car_layers": Option("middle layers of the artefact removal", 16, (), True),
    },
    sizes={FULL: {}, SMALL: {"features": 8, "blocks": 2, "car_features": 8, "car_layers": 2}},
    assumptions=_assumptions,
    build=_build,
)
