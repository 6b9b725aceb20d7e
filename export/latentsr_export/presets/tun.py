"""Tun et al.: a learned resampler, Lee et al.'s context-adaptive codec, and EDSR behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from latentsr.errors import CheckpointError, ExportError
from latentsr_export.checkpoint import load_state
from latentsr_export.load import PIXEL_SR, codec_parts, load_codec_of, ready, route_name
from latentsr_export.networks.lee import LOG_OFFSET, ContextAdaptive, Lee2018
from latentsr_export.networks.resampler import MULTIPLE, Resampler
from latentsr_export.parts import GraphSpec, Step, graph_step
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr
from latentsr_export.presets.preset import FULL, SMALL, Networks, Option, Preset, Role, Settings
from latentsr_export.presets.untrained import edsr, sample, seeded, settle
from latentsr_export.routes import Chain, make_routes
from latentsr_export.system import System, as_pixel_sr, pixel_spec
from latentsr_export.train.resampler import initialise_as_triangle

RESAMPLER = "resampler"
# M2 of the hybrid model by quality; M1 is always 192.
_PLAIN = {7: 228, 8: 408, 9: 408}
_M1 = 192


def _load_resampler(path: str | Path, settings: Settings) -> Resampler:
    del settings
    state = load_state(path)
    if not Resampler.detect(state):
        raise CheckpointError(
            f"checkpoint holds no resampler: found keys {', '.join(list(state)[:3])} … in {path}, "
            "expected those of a kernel generation network (kgn.pth)"
        )
    return Resampler.from_state_dict(state)


def _make_resampler(settings: Settings, networks: Networks) -> Resampler:
    del networks
    network = seeded(lambda: Resampler(settings["scale"], settings["resampler_features"]))
    initialise_as_triangle(network)
    return network


def _load_codec(path: str | Path, settings: Settings) -> nn.Module:
    del settings
    return load_codec_of(Lee2018.NAME, path)


def _make_codec(settings: Settings, networks: Networks) -> nn.Module:
    del networks
    n = settings["codec_features"]
    m1, m2 = settings["context_channels"], settings["plain_channels"] or _PLAIN[settings["quality"]]
    network: Any = seeded(lambda: ContextAdaptive(n, m1, m2, 2 * m1))
    y = settle(network.g_a, network.g_a[-1], sample(), 3.0, 0.0)
    z = settle(network.h_a, network.h_a[-1], torch.round(y), 2.0, 0.0)
    settle(network.h_s[:-1], network.h_s[-2], torch.round(z), 1.0, 2.5)
    side, first = network.h_s(torch.round(z))[:, :m1], torch.round(y)[:, :m1]
    with torch.no_grad():
        network.z_scales.fill_(2.0)
        summed = network.estimator.latent(first) + network.estimator.hyper(side)
    layers = network.estimator.layers
    settle(layers, layers[-1], summed, 0.25, 0.0)
    with torch.no_grad():
        layers[-1].bias[:m1] += 1.0  # σ around e
    settle(network.g_s, network.g_s[-1], torch.round(y), 0.2, 0.5)
    return ready(network)


def _load_sr(path: str | Path, settings: Settings) -> PixelSR:
    del settings
    return load_pixel_sr(path)


def _make_sr(settings: Settings, networks: Networks) -> PixelSR:
    del networks
    return as_pixel_sr(edsr(settings["features"], settings["blocks"], settings["scale"]))


def _assumptions(networks: Networks, settings: Settings) -> list[str]:
    del settings
    codec, sr = networks["codec"], networks[PIXEL_SR]
    m1, n = codec.m1, codec.g_a[0].out_channels
    m2 = codec.h_s[-2].out_channels - m1
    return [
        f"The upscaler is {sr.name} with {sr.parameters} parameters: the paper says EDSR and no "
        "size; Sun & Chen, whose code it uses, have 32 blocks of 256 features.",
        f"The codec has {m1} channels with context and {m2} without, and {n} features.",
        "The estimator's inner layers are 1x1 with LeakyReLU(0.2); the original's are inside "
        "frozen graphs. Its outputs are the mean and the logarithm of the scale, as there.",
        "Latents are rounded around their predicted mean; the original rounds them themselves.",
        f"Scales are quantised to 64 steps (their logarithms compared from -{LOG_OFFSET:g}); the "
        "original makes a table for every symbol.",
        "Sides are padded to multiples of 64 at once, where the original pads to even sizes at "
        "each stage and cuts its decoder in four.",
        "Our container takes the place of the .cmp file, which has no magic, length or checksum.",
        f"Sides of the HR picture are filled up to multiples of {MULTIPLE} with the border "
        "repeated: the paper does not say what happens to other sizes.",
        "Samples that the resampler takes from beyond its reflected border come from the last "
        "pixel.",
    ]


def _build(networks: Networks, settings: Settings) -> System:
    del settings
    resampler: Resampler = networks[RESAMPLER]
    sr: PixelSR = networks[PIXEL_SR]
    if resampler.scale != sr.scale:
        raise ExportError(
            f"resampler and SR network do not fit: found reduction by {resampler.scale} and "
            f"enlargement by {sr.scale}, expected one scale; pass networks of one pair"
        )
    parts = codec_parts(networks["codec"])
    graphs = {
        RESAMPLER: GraphSpec(resampler, ("x",), ("low",), 3, 1, "picture", multiple=MULTIPLE),
        PIXEL_SR: pixel_spec(sr, parts),
    }
    route = route_name(PIXEL_SR, sr.scale)
    about = f"synthesis transform, then {sr.name} of the resampler's pair"
    made = make_routes(parts, [Chain(route, (PIXEL_SR,), sr.scale, about)])
    learned = {**made["encode_hr"], "about": f"HR picture, resampled by {sr.scale}, to stream"}
    learned["steps"] = [*_reduction(), *parts.enter, *parts.encode]
    routes = {**made, "encode_hr": learned, "encode_bicubic": made["encode_hr"]}
    return System(parts, graphs, routes, route)


def _reduction() -> tuple[Step, ...]:
    """From the HR picture to the LR one, of 8 bits as in the paper."""
    return (
        {"op": "pad", "in": "picture", "out": "x", "multiple": MULTIPLE},
        graph_step(RESAMPLER, ["x"], ["low"]),
        {"op": "picture", "in": "low", "out": "picture"},
    )


PRESET = Preset(
    name="tun-car-lee-edsr",
    paper=(
        "Tun, Konkitkriengkrai, Ruangsang, Aramvith: Compressed image super resolution using "
        "convolutional neural network. 2023"
    ),
    about="learned resampler, context-adaptive codec on the reduced picture, EDSR",
    roles={
        "codec": Role("Lee et al.'s hybrid codec", _load_codec, _make_codec),
        RESAMPLER: Role("kernel generation network", _load_resampler, _make_resampler),
        PIXEL_SR: Role("EDSR of the resampler's pair", _load_sr, _make_sr),
    },
    options={
        "scale": Option("of resampler and EDSR", 4, (2, 4), True),
        "quality": Option("of Lee et al.'s codec, which sets M2", 9, tuple(_PLAIN), True),
        "codec_features": Option("N of the codec", 192, (), True),
        "context_channels": Option("M1 of the codec", _M1, (), True),
        "plain_channels": Option("M2 of the codec; 0: that of the quality", 0, (), True),
        "resampler_features": Option("features of the resampler's first layer", 64, (), True),
        "features": Option("features of EDSR", 256, (), True),
        "blocks": Option("residual blocks of EDSR", 32, (), True),
    },
    sizes={
        FULL: {},
        SMALL: {
            "codec_features": 8,
            "context_channels": 8,
            "plain_channels": 6,
            "resampler_features": 4,
            "features": 8,
            "blocks": 1,
        },
    },
    assumptions=_assumptions,
    build=_build,
)
