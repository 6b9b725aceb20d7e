"""Pixel SR checkpoints → a network on RGB 0..1: our own network files first, then spandrel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.checkpoint import load_state
from latentsr_export.networks.edsr import EDSR
from latentsr_export.networks.rlfn import RLFN

# Networks that spandrel does not know; one line each, tried in this order.
PIXEL_SR_NETWORKS = (EDSR, RLFN)


@dataclass(frozen=True)
class PixelSR:
    """A pixel SR network: `module` takes and gives float32 RGB NCHW in 0..1, scale-fold larger."""

    module: nn.Module
    scale: int
    name: str
    parameters: int
    source: str


def load_pixel_sr(path: str | Path) -> PixelSR:
    """Recognise a checkpoint's network from its keys and shapes.

    Raises CheckpointError for files that cannot be read and networks that are not RGB SR.
    """
    state = load_state(path)
    for network in PIXEL_SR_NETWORKS:
        if network.detect(state):
            module = network.from_state_dict(state)
            return _made(module, module.scale, network.NAME, "latentsr")
    return _from_spandrel(state, path)


def _from_spandrel(state: Mapping[str, Tensor], path: str | Path) -> PixelSR:
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError

    try:
        found = MAIN_REGISTRY.load(dict(state))
    except UnsupportedModelError:
        raise _unknown(path, f"keys {', '.join(list(state)[:3])} …") from None
    except (RuntimeError, KeyError, ValueError, AssertionError, IndexError) as error:
        reason = (str(error).splitlines() or ["weights of the wrong shape"])[0]
        raise _unknown(path, reason[:160]) from None
    name = found.architecture.name
    if not isinstance(found, ImageModelDescriptor) or found.purpose not in ("SR", "FaceSR"):
        raise _unknown(path, f"{name}, which does not enlarge")
    if (found.input_channels, found.output_channels) != (3, 3) or found.scale < 2:
        channels = f"{found.input_channels} → {found.output_channels} channels"
        raise _unknown(path, f"{name} with {channels}, scale {found.scale}")
    if found.size_requirements.multiple_of > 1 or found.size_requirements.square:
        raise _unknown(path, f"{name}, which takes only certain sizes")
    return _made(found.model.float(), found.scale, name, "spandrel")


def _made(module: nn.Module, scale: int, name: str, source: str) -> PixelSR:
    parameters = sum(tensor.numel() for tensor in module.parameters())
    return PixelSR(module.eval().requires_grad_(False), scale, name, parameters, source)


def _unknown(path: str | Path, found: str) -> CheckpointError:
    own = ", ".join(network.NAME for network in PIXEL_SR_NETWORKS)
    return CheckpointError(
        f"checkpoint holds no known pixel SR network: found {found} in {path}, expected one of "
        f"{own}, or an RGB super-resolution network that spandrel knows; export another checkpoint"
    )
