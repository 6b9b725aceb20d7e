"""Whether a loaded network can work at all: finite weights, and entropy tables that fit it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from compressai.entropy_models import EntropyBottleneck, EntropyModel
from torch import Tensor, nn

from latentsr.entropy.latents import ScaleTable
from latentsr.entropy.tables import Tables
from latentsr.errors import BundleError, CheckpointError

# A row of 16-bit tables cannot hold more values. Training that diverged asks for millions, which
# `update()` would take gigabytes for.
_MOST_VALUES = 1 << 16
_REMEDY = "call update(force=True) on the trained model and save its state_dict() again"


def check_weights(network: nn.Module, source: str) -> None:
    """Raise CheckpointError for the first parameter that holds NaN or infinity.

    source: where it came from, for messages. Buffers may: some networks keep masks there.
    """
    for name, tensor in network.named_parameters():
        values = tensor.detach()
        wrong = values[~torch.isfinite(values)]
        if len(wrong):
            raise CheckpointError(
                f"weights are not finite: found {float(wrong[0])} in tensor {name!r} of {source} "
                f"({len(wrong)} such values), expected numbers; take a checkpoint from before "
                "training failed"
            )


def check_spread(network: nn.Module, source: str) -> None:
    """Raise CheckpointError where tables that are still to be made would have too many values."""
    for name, model in _entropy_models(network):
        if not isinstance(model, EntropyBottleneck) or len(model._offset):
            continue
        quantiles: Tensor = model.quantiles.detach()
        most = float((quantiles[:, 0, 2] - quantiles[:, 0, 0]).max())
        if most >= _MOST_VALUES:
            raise CheckpointError(
                f"entropy tables cannot be made: found quantiles {most:.6g} apart in {name} of "
                f"{source}, expected less than {_MOST_VALUES}; train on, with the auxiliary loss"
            )


def check_tables(network: nn.Module, source: str) -> None:
    """Raise CheckpointError where a checkpoint's own tables do not fit each other or the network.

    ``update()`` makes tables where there are none, and leaves those that came with a checkpoint.
    """
    for name, model in _entropy_models(network):
        bottleneck = isinstance(model, EntropyBottleneck)
        expected = model.channels if bottleneck else len(model.scale_table)
        parts = (model._quantized_cdf, model._cdf_length, model._offset)
        place = f"{name} of {source}"
        try:
            rows = Tables(*(part.numpy() for part in parts)).rows
            if not bottleneck and expected:
                ScaleTable(model.scale_table.numpy())
        except BundleError as error:
            raise CheckpointError(
                f"{str(error).partition(';')[0]} (in {place}); {_REMEDY}"
            ) from None
        if rows != expected:
            raise CheckpointError(
                f"entropy tables do not fit: found {rows} rows in {place}, expected {expected}, "
                f"one for each {'channel' if bottleneck else 'scale'}; {_REMEDY}"
            )


def _entropy_models(network: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, module in network.named_modules():
        if isinstance(module, EntropyModel):
            yield name, module
