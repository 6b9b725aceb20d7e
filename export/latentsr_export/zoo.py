"""CompressAI's own model zoo: `compressai:ARCHITECTURE/METRIC/QUALITY` → state dict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from latentsr.errors import CheckpointError

_NAME = re.compile(r"compressai:([a-z0-9-]+)/(mse|ms-ssim)/([1-8])")


def is_zoo_name(name: str | Path) -> bool:
    """Whether this names a zoo model rather than a file."""
    return str(name).startswith("compressai:")


def load_zoo(name: str) -> dict[str, Tensor]:
    """Weights of a zoo model, fetched (or taken from torch's cache) by CompressAI.

    Raises CheckpointError for names that the zoo has not, and where it cannot be reached.
    """
    from compressai.zoo import image_models

    match = _NAME.fullmatch(name)
    if match is None or match[1] not in image_models:
        raise CheckpointError(
            f"no such zoo model: found {name!r}, expected compressai:ARCHITECTURE/METRIC/QUALITY "
            "with mse or ms-ssim and 1..8, as in compressai:bmshj2018-hyperprior/mse/3"
        )
    architecture, metric, quality = match.groups()
    try:
        network: Any = image_models[architecture](
            quality=int(quality), metric=metric, pretrained=True, progress=False
        )
    except (ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"zoo model cannot be fetched: found {reason[0][:160]} for {name}, expected "
            "CompressAI's download server; connect to the network, or download the checkpoint "
            "elsewhere and pass the file"
        ) from None
    state: dict[str, Tensor] = network.state_dict()
    return state
