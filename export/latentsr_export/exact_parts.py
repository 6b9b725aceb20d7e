"""Adding exact twins to a codec's parts: calibration, choice of levels, and what they cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsr.digits import apart
from latentsr.entropy import Coder, scale_indexes
from latentsr.entropy.tables import Tables
from latentsr.errors import ExportError
from latentsr_export.exact import Exact, quantise, thresholds
from latentsr_export.parts import CodecParts, GraphSpec, Predicted

# Largest rate that exactness may cost, in per cent of the bytes of y on the calibration pictures.
GATE = 0.5
# Hidden levels to try: more levels leave fewer bits for weights, so wide networks want fewer.
LEVELS = (255, 511, 1023)
_REDUCTIONS = (1, 2, 4)
Latents = list[tuple[Tensor, Tensor]]


def add_exact(parts: CodecParts, one: Predicted, pictures: Sequence[np.ndarray]) -> CodecParts:
    """Parts with an integer-valued twin of a chunk's graph, its thresholds and its notes.

    pictures: uint8 (H, W, 3), for calibration, also reduced by 2 and 4. Raises ExportError where
    the bound cannot be kept or the cost exceeds 0.5 % of the bytes of the chunk.
    """
    spec = parts.graphs[one.graph]
    latents = [(one.of(y), z_hat) for y, z_hat in latents_of(parts, pictures)]
    means = "means" in spec.outputs
    sequential: Any = spec.module.h_s if means else spec.module
    # Quantised before y is coded: the float bytes are the same for all levels.
    table = parts.tensors[f"{one.chunk}.scale_table"]
    limits = thresholds(table)
    coder = coder_of(parts, one)
    before = _coded(coder, latents, spec.module, table)
    medians = torch.from_numpy(parts.tensors["z.medians"].copy())
    tried: list[tuple[int, int, Exact]] = []
    faults = []
    for levels in LEVELS:
        try:
            made = quantise(sequential, [z_hat for _, z_hat in latents], medians, means, levels)
        except ExportError as error:
            faults.append(error)
            continue
        tried.append((_coded(coder, latents, made.module, limits), levels, made))
    if not tried:
        raise faults[0]
    after, levels, best = min(tried, key=lambda entry: entry[:2])
    cost = 100 * (after / before - 1)
    if cost > GATE:
        raise ExportError(
            f"exact entropy parameters cost too much: found {apart(cost, GATE, 2)} % more bytes, "
            f"expected at most {GATE} %; calibrate on pictures like yours, or export without the "
            "exact graph"
        )
    twin = GraphSpec(
        best.module, spec.inputs, spec.outputs, spec.channels, spec.stride, spec.feed, spec.rounded
    )
    note = {"hidden_levels": levels, "rate_cost_percent": round(cost, 4), "proof": best.proof}
    return with_twin(parts, one, twin, {f"{one.chunk}.thresholds": limits}, note)


def with_twin(
    parts: CodecParts,
    one: Predicted,
    twin: GraphSpec,
    tensors: Mapping[str, np.ndarray],
    note: Mapping[str, Any],
) -> CodecParts:
    """Parts with a chunk's exact graph, the tensors that go with it, and what is to be said."""
    key = "exact" if len(parts.predicted) == 1 else f"exact {one.chunk}"
    return dataclasses.replace(
        parts,
        graphs={**parts.graphs, one.twin: twin},
        entropy_graphs=(*parts.entropy_graphs, one.twin),
        tensors={**parts.tensors, **tensors},
        exact={**parts.exact, one.graph: one.twin},
        notes={**parts.notes, key: dict(note)},
    )


def coder_of(parts: CodecParts, one: Predicted) -> Coder:
    """The coder of a chunk's tables."""
    cdf, length, offset = (parts.tensors[f"{one.chunk}.{k}"] for k in ("cdf", "length", "offset"))
    return Coder(Tables(cdf, length, offset))


def latents_of(parts: CodecParts, pictures: Sequence[np.ndarray]) -> Latents:
    """y and ẑ of the pictures at full, half and quarter size."""
    medians = torch.from_numpy(parts.tensors["z.medians"]).reshape(1, -1, 1, 1)
    latents = []
    for picture in pictures:
        whole = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float() / 255
        for reduction in (r for r in _REDUCTIONS if r <= min(picture.shape[:2])):
            x = torch.nn.functional.avg_pool2d(whole, reduction) if reduction > 1 else whole
            pad = (0, -x.shape[3] % parts.multiple, 0, -x.shape[2] % parts.multiple)
            with torch.no_grad():
                x = torch.nn.functional.pad(x, pad, mode="replicate")
                y = parts.graphs["analysis"].module(x)
                z = parts.graphs["hyper_analysis"].module(y)
            latents.append((y, torch.round(z - medians) + medians))
    return latents


def _coded(coder: Coder, latents: Latents, module: Any, table: np.ndarray) -> int:
    """Bytes of y over all latents with the scales (and means) of one network."""
    total = 0
    for y, z_hat in latents:
        with torch.no_grad():
            made = module(z_hat)
        scales, means = made if isinstance(made, tuple) else (made, 0.0)
        symbols = torch.round(y - means).to(torch.int32).numpy()
        indexes = scale_indexes(scales.contiguous().numpy(), table)
        total += len(coder.encode(symbols, indexes))
    return total
