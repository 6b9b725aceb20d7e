"""Pixel super-resolution networks: ours first, then whatever the library spandrel recognises.

To add a network: one file in `networks/` with what PixelSRNetwork says, and one line in
PIXEL_SR_NETWORKS. SRVGG and RRDBNet on folded pixels (Real-ESRGAN x2) come from spandrel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentsr.errors import CheckpointError
from latentsr_export.checkpoint import load_state, without_owner
from latentsr_export.networks.carn import CARN
from latentsr_export.networks.edsr import EDSR
from latentsr_export.networks.imdn import IMDN
from latentsr_export.networks.msrresnet import MSRResNet
from latentsr_export.networks.rfdn import RFDN
from latentsr_export.networks.rlfn import RLFN
from latentsr_export.networks.rrdbnet import RRDBNet
from latentsr_export.networks.srresnet import SRResNet
from latentsr_export.networks.wdsr import WDSR
from latentsr_export.soundness import check_weights


class PixelSRNetwork(Protocol):
    """A network class of ours.

    NAME: as it stands in manifests and messages. scale: how much an instance enlarges. Classes may
    have MINIMUM, the shortest side that they take, and, where files hold several scales,
    `scales(state)`, which lists them, and `pick_scale(state, scale)`, which leaves one.
    """

    NAME: str
    KIND: str
    scale: int

    @staticmethod
    def detect(state: Mapping[str, Tensor]) -> bool:
        """Whether the keys are those of this network, in any of the layouts that it knows."""

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Any:
        """Network in eval mode, float32 RGB of about 0..1 in and out; CheckpointError if not."""


PIXEL_SR_NETWORKS: tuple[type[PixelSRNetwork], ...] = (
    EDSR, WDSR, MSRResNet, SRResNet, CARN, RFDN, IMDN, RLFN, RRDBNet,
)  # fmt: skip
# What some repositories wrap their network in, besides what `load_state` takes off itself.
_PREFIXES = ("net.",)


@dataclass(frozen=True)
class PixelSR:
    """A pixel SR network ready for export.

    module: in eval mode, float32 RGB (N, 3, H, W) in 0..1 to (N, 3, scale*H, scale*W) in about
    0..1, not clamped. minimum, multiple_of: what H and W must be. parameters: how many numbers
    the module holds. source: ``latentsr`` for our own networks, else ``spandrel``. scales: those
    that the file holds where it holds several, `scale` among them.
    """

    module: nn.Module
    scale: int
    name: str
    parameters: int
    source: str
    minimum: int = 1
    multiple_of: int = 1
    scales: tuple[int, ...] = ()


def load_pixel_sr(path: str | Path, scale: int | None = None) -> PixelSR:
    """Network of a checkpoint file, recognised by the names and shapes of its tensors.

    scale: which one to take where the file holds several (CARN), by default the largest; for other
    files the scale that the network must have. Raises CheckpointError for files that cannot be
    read (see `checkpoint.load_state`), networks nobody knows, networks that do not enlarge RGB
    pictures, and scales that the file does not hold.
    """
    state = load_state(path, strip=_PREFIXES)
    state = without_owner(
        state, lambda found: any(kind.detect(found) for kind in PIXEL_SR_NETWORKS)
    )
    network = recognise_own(state, str(path), scale) or _from_spandrel(state, str(path))
    if network.scale < 2 or scale not in (None, network.scale):
        wanted = "2 or more" if scale is None else scale
        raise CheckpointError(
            f"network does not enlarge pictures that much: found {network.name} of scale "
            f"{network.scale} in {path}, expected scale {wanted}; choose another file"
        )
    check_weights(network.module, str(path))
    network.module.eval().requires_grad_(False)
    return network


def recognise_own(
    state: Mapping[str, Tensor], name: str, scale: int | None = None
) -> PixelSR | None:
    """One of our own networks with this state dict, or None; `name` is for messages.

    scale: as in `load_pixel_sr`, looked at where `state` holds several. Raises CheckpointError
    where the names are a network's and the shapes or scales are not.
    """
    for kind in PIXEL_SR_NETWORKS:
        if kind.detect(state):
            try:
                return _own(kind, state, scale)
            except CheckpointError as error:
                raise CheckpointError(f"{error} (read as {kind.NAME} from {name})") from None
    return None


def _own(kind: type[PixelSRNetwork], state: Mapping[str, Tensor], scale: int | None) -> PixelSR:
    several: Any = kind
    scales: tuple[int, ...] = several.scales(state) if hasattr(kind, "pick_scale") else ()
    module = kind.from_state_dict(several.pick_scale(state, scale) if scales else state)
    minimum = int(getattr(module, "MINIMUM", 1))
    return PixelSR(
        module, module.scale, kind.NAME, _count(module), "latentsr", minimum, scales=scales
    )


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
    # The descriptor's own call also clamps, which is the route's business here; this is the part
    # of it that brings values to 0..1 where the network works on others.
    module: nn.Module = _Called(descriptor.model, descriptor._call_fn)
    # Real-ESRGAN x2 folds 2x2 pixels into one; the library asks for multiples of 4 whatever it is.
    multiple = int(getattr(descriptor.model, "shuffle_factor", None) or needs.multiple_of)
    if multiple > 1:
        module = _Padded(module, multiple, int(descriptor.scale))
    minimum = max(1, int(needs.minimum))
    return PixelSR(module, int(descriptor.scale), kind, _count(module), "spandrel", minimum)


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


class _Padded(nn.Module):
    """A network for multiples of some side: mirrors the last rows and columns, crops the result."""

    def __init__(self, network: nn.Module, multiple: int, scale: int) -> None:
        super().__init__()
        self.network, self.multiple, self.scale = network, multiple, scale

    def forward(self, x: Tensor) -> Tensor:
        """Enlarged picture; shapes and ranges as in PixelSR."""
        height, width = x.shape[2], x.shape[3]
        # Always padded, by none where all fits: a traced branch would hold for one size only.
        below, right = -height % self.multiple, -width % self.multiple
        made = self.network(F.pad(x, (0, right, 0, below), mode="reflect"))
        return made[:, :, : height * self.scale, : width * self.scale]


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
