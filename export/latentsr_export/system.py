"""What becomes one bundle: a codec's parts, the SR networks beside it, and the routes over both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from latentsr.errors import CheckpointError, ExportError
from latentsr_export.checkpoint import source_hash
from latentsr_export.parts import CodecParts, GraphSpec
from latentsr_export.pixel_sr import PixelSR
from latentsr_export.routes import Chain, Routes
from latentsr_export.zoo import is_zoo_name

LATENT_STRIDE = 16


@dataclass(frozen=True)
class System:
    """One bundle before it is traced.

    graphs: the networks beside the codec's own. upscale: the route that enlarges where none is
    named. facts: further fields of the manifest, as they are.
    """

    parts: CodecParts
    graphs: Mapping[str, GraphSpec]
    routes: Routes
    upscale: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def latent_spec(network: Any, parts: CodecParts, source: str) -> GraphSpec:
    """Graph of a latent SR decoder; CheckpointError where it is not for this codec's latent."""
    channels = parts.channels[-1]
    if "synthesis" not in parts.graphs or network.latent_channels != channels:
        raise CheckpointError(
            f"latent SR decoder does not fit the codec: found {network.latent_channels} input "
            f"channels in {source}, expected {channels}; train it on this codec's latent"
        )
    return GraphSpec(network, ("y_hat",), ("hr",), channels, LATENT_STRIDE, "analysis", True)


def latent_chain(scale: int) -> Chain:
    """The route of a latent SR decoder."""
    about = "latent SR decoder; never makes the low-resolution picture"
    return Chain(f"latent_x{scale}", ("latent_sr",), scale, about, latent=True)


def pixel_spec(network: PixelSR, parts: CodecParts) -> GraphSpec:
    """Graph of a network on decoded pictures; ExportError where it does not take every size."""
    if network.multiple_of > 1:
        raise ExportError(
            f"pixel SR network takes only certain sizes: found multiples of {network.multiple_of} "
            f"for {network.name}, expected any size; export another one"
        )
    return GraphSpec(network.module, ("x",), ("hr",), 3, 1, parts.pixel_feed)


def as_pixel_sr(module: nn.Module) -> PixelSR:
    """One of our own networks, made here, as `pixel_sr.load_pixel_sr` gives those of files."""
    network: Any = module.eval().requires_grad_(False)
    count = sum(parameter.numel() for parameter in module.parameters())
    return PixelSR(module, int(network.scale), str(network.NAME), count, "latentsr")


def sources(checkpoints: Mapping[str, str | Path | None]) -> dict[str, Any]:
    """Where weights came from, for the manifest, by role."""
    listed: dict[str, Any] = {}
    for role, path in checkpoints.items():
        if path is not None and is_zoo_name(path):
            listed[role] = {"zoo": str(path)}
        elif path is not None:
            listed[role] = {"file": Path(path).name, "sha256": source_hash(path)}
    return listed
