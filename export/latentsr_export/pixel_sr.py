"""Pixel super-resolution networks: ours first, then whatever the library spandrel recognises.

To add a network: one file in `networks/` with NAME, KIND, `scale`, `detect` and
`from_state_dict`, and one line in PIXEL_SR_NETWORKS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.checkpoint import load_state
from latentsr_export.networks.edsr import EDSR
from latentsr_export.networks.rlfn import RLFN

PIXEL_SR_NETWORKS: tuple[type[EDSR] | type[RLFN], ...] = (EDSR, RLFN)


@dataclass(frozen=True)
class PixelSR:
    """A pixel SR network ready for export.

    module: in eval mode, float32 RGB (N, 3, H, W) in 0..1 to (N, 3, scale*H, scale*W) in about
    0..1, not clamped. minimum, multiple_of: what H and W must be. parameters: how many numbers
    the module holds. source: ``latentsr`` for our own networks, else ``spandrel``.
    """

    module: nn.Module
    scale: int
    name: str
    parameters: int
    source: str
    minimum: int = 1
    multiple_of: int = 1


def load_pixel_sr(path: str | Path) -> PixelSR:
    """Network of a checkpoint file, recognised by the names and shapes of its tensors.

    Raises CheckpointError for files that cannot be read (see `checkpoint.load_state`), networks
    nobody knows, and networks that do not enlarge RGB pictures.
    """
    state = load_state(path)
    network = recognise_own(state, str(path)) or _from_spandrel(state, str(path))
    if network.scale < 2:
        raise CheckpointError(
            f"network does not enlarge pictures: found {network.name} of scale {network.scale} in "
            f"{path}, expected scale 2 or more"
        )
    network.module.eval().requires_grad_(False)
    return network


def recognise_own(state: Mapping[str, Tensor], name: str) -> PixelSR | None:
    """One of our own networks with this state dict, or None; `name` is for messages.

    Raises CheckpointError where the names are a network's and the shapes are not.
    """
    for kind in PIXEL_SR_NETWORKS:
        if kind.detect(state):
            try:
                module = kind.from_state_dict(state)
            except CheckpointError as error:
                raise CheckpointError(f"{error} (read as {kind.NAME} from {name})") from None
            minimum = int(getattr(module, "MINIMUM", 1))
            return PixelSR(module, module.scale, kind.NAME, _count(module), "latentsr", minimum)
    return None


def _from_spandrel(state: Mapping[str, Tensor], name: str) -> PixelSR:
    descriptor = _describe(dict(state), name)
    kind = descriptor.architecture.name
    channels = (descriptor.input_channels, descriptor.output_channels)
    if descriptor.purpose != "SR" or descriptor.scale < 2:
        raise CheckpointError(
            f"network does not enlarge pictures: found {kind} for {descriptor.purpose}, scale "
            f"{descriptor.scale} in {name}, expected a super-resolution network"
        )
    if channels != (3, 3):
        raise CheckpointError(
            f"network is not for RGB: found {kind} with {channels[0]} input and {channels[1]} "
            f"output channels in {name}, expected 3 and 3"
        )
    needs = descriptor.size_requirements
    if needs.square:
        raise CheckpointError(
            f"network wants square pictures: found {kind} in {name}, expected any height and width"
        )
    fold_branches(descriptor.model.eval())
    # The descriptor's own call pads and clamps, which is the route's business here; this is the
    # part of it that brings values to 0..1 where the network works on others.
    module = _Called(descriptor.model, descriptor._call_fn)
    return PixelSR(
        module, int(descriptor.scale), kind, _count(module), "spandrel",
        max(1, int(needs.minimum)), int(needs.multiple_of),
    )  # fmt: skip


def _describe(state: dict[str, Tensor], name: str) -> Any:
    try:
        from spandrel import MAIN_REGISTRY, UnsupportedModelError
    except ImportError:
        raise CheckpointError(
            f"network is not one of ours: found {_keys(state)} in {name}, expected one of "
            f"{_known()}; `pip install spandrel` to try the networks it knows"
        ) from None
    try:
        return MAIN_REGISTRY.load(state)
    except UnsupportedModelError:
        raise CheckpointError(
            f"checkpoint holds no known pixel SR network: found {_keys(state)} in {name}, expected "
            f"one of {_known()}, or any that spandrel knows"
        ) from None
    except Exception as error:  # half-matching shapes make its readers raise nearly anything
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise CheckpointError(
            f"weights do not fit the network they look like: found {first} in {name}, expected a "
            f"complete checkpoint of one of {_known()}, or any that spandrel knows"
        ) from None


class _Called(nn.Module):
    """A network behind the function that calls it with values in 0..1."""

    def __init__(self, network: nn.Module, call: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, x: Tensor) -> Tensor:
        """Enlarged picture; shapes and ranges as in PixelSR."""
        return self.call(self.network, x)


@torch.no_grad()
def fold_branches(network: nn.Module) -> None:
    """Replace training-time branches by the one convolution that they amount to, in place.

    Knows the convention of SPAN and its kin: a block with `update_params()`, which computes
    `eval_conv`, and `has_relu` for a leaky ReLU of slope 0.05 after it.
    """
    for name, block in list(network.named_children()):
        update, folded = getattr(block, "update_params", None), getattr(block, "eval_conv", None)
        if not callable(update) or not isinstance(folded, nn.Module):
            fold_branches(block)
            continue
        update()
        if getattr(block, "has_relu", False):
            folded = nn.Sequential(folded, nn.LeakyReLU(0.05))
        setattr(network, name, folded)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _known() -> str:
    return ", ".join(network.NAME for network in PIXEL_SR_NETWORKS)


def _keys(state: Mapping[str, Tensor]) -> str:
    return f"keys {', '.join(list(state)[:3])} … ({len(state)} tensors)"
