"""From checkpoint files to networks: codecs, latent SR decoders, and several pixel SR networks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from latentsr.errors import CheckpointError, ExportError
from latentsr_export.checkpoint import load_state, without_owner
from latentsr_export.networks.factorized import with_table_buffers
from latentsr_export.parts import CodecParts
from latentsr_export.registry import CODECS, LATENT_SR, find_codec, find_latent_sr
from latentsr_export.soundness import check_spread, check_tables, check_weights
from latentsr_export.zoo import is_zoo_name, load_zoo

PIXEL_SR = "pixel_sr"
# Routes and graphs are named after networks; those names are the codec's.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TAKEN = ("latent", "latent_sr", "encode", "lr", "bicubic", "lanczos")
Path_ = str | Path
Networks = Path_ | Mapping[str, Path_] | Sequence[Path_ | tuple[str, Path_]] | None


def load_codec(checkpoint: str | Path) -> nn.Module:
    """CompressAI's model of a checkpoint or zoo name, in eval mode with entropy tables."""
    state = load_zoo(str(checkpoint)) if is_zoo_name(checkpoint) else load_state(checkpoint)
    state = without_owner(state, lambda found: any(family.detect(found) for family in CODECS))
    family = find_codec(state, str(checkpoint))
    try:
        network = family.build(with_table_buffers(state))
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"weights do not fit {family.NAME}: found {str(error).splitlines()[-1].strip()[:200]}, "
            "expected CompressAI's names and shapes; save the model's own state_dict()"
        ) from None
    check_weights(network, str(checkpoint))
    check_spread(network, str(checkpoint))
    network = ready(network)
    check_tables(network, str(checkpoint))
    return network


def load_codec_of(family: str, checkpoint: str | Path) -> nn.Module:
    """As `load_codec`, for systems of one family; CheckpointError where it is another."""
    network = load_codec(checkpoint)
    found = find_codec(network.state_dict(), str(checkpoint)).NAME
    if found != family:
        raise CheckpointError(
            f"codec is of another family: found {found} in {checkpoint}, expected {family}; pass a "
            "checkpoint of that family"
        )
    return network


def ready(network: nn.Module) -> nn.Module:
    """Evaluation mode, and those entropy tables made that the checkpoint was saved without."""
    model: Any = network.eval()
    model.update()
    return network


def codec_parts(network: nn.Module) -> CodecParts:
    """A codec's parts; its transforms are folded in place."""
    return find_codec(network.state_dict(), type(network).__name__).parts(network)


def load_latent_sr(path: str | Path) -> nn.Module:
    """A latent SR decoder in eval mode; CheckpointError for what is none."""
    state = without_owner(
        load_state(path), lambda found: any(kind.detect(found) for kind in LATENT_SR)
    )
    network: nn.Module = find_latent_sr(state, str(path)).from_state_dict(state).eval()
    check_weights(network, str(path))
    return network


def by_name(pixel_sr: Networks) -> dict[str, Path_]:
    """Pixel SR networks by graph name, in the order given.

    A single path, and the first one of a sequence that has no name, is ``pixel_sr``. Raises
    ExportError for names that are doubled, malformed or the codec's.
    """
    if pixel_sr is None:
        return {}
    if isinstance(pixel_sr, (str, Path)):
        return {PIXEL_SR: pixel_sr}
    given: list[Any] = list(pixel_sr.items() if isinstance(pixel_sr, Mapping) else pixel_sr)
    found: dict[str, Path_] = {}
    for item in given:
        name, path = item if isinstance(item, tuple) else (PIXEL_SR, item)
        if not _NAME.fullmatch(str(name)) or name in _TAKEN or name in found:
            known = f" (given already: {', '.join(found)})" if name in found else ""
            raise ExportError(
                f"name of a pixel SR network cannot be used: found {name!r}{known}, expected "
                "at most 32 small letters, digits and _, a letter first, not "
                f"{', '.join(_TAKEN)}; write NAME=FILE with another name"
            )
        found[str(name)] = path
    return found


def route_name(name: str, scale: int) -> str:
    """Name of the route of a pixel SR network: ``pixel_x4``, ``edsr_x4``."""
    return f"{'pixel' if name == PIXEL_SR else name}_x{scale}"
