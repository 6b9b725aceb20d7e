"""Adding the integer path to codecs with context models: calibration, choices, and their cost.

The features come from an integer-valued graph (`latentsr_export.exact`), the rest of the parameter
path is integer arithmetic of the runtime (`latentsr_export.context_integers`). Calibration runs
the float model as CompressAI's `compress` does, with round(y - mean) + mean in front of the
context, and both are measured by the bytes that they make.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latentsr.entropy import Coder, scale_indexes
from latentsr.entropy.reference_context import Latent, encode
from latentsr.entropy.tables import Tables
from latentsr.errors import ExportError
from latentsr_export.context_integers import IntegerContext, Ranges, integer_context
from latentsr_export.context_layers import ContextLayers, FloatRun, run_float
from latentsr_export.exact import Exact, quantise, thresholds
from latentsr_export.exact_parts import FLOAT, LEVELS, TWIN, latents_of
from latentsr_export.parts import CodecParts

# Largest rate that exactness may cost, and what it should, in per cent of the bytes of y.
GATE, GOAL = 1.5, 0.5
# Bits of means behind the point, and largest activations, to choose from. With 6 bits the decoded
# latent is off by at most 1/128 of a quantisation step, 0.001 dB.
MEAN_BITS = (6, 7, 8)
TOPS = (2047, 8191)
_FIRST = (6, 4095)  # while the features' levels are chosen
Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class _Calibration:
    """One latent: y (M, H, W), ẑ (1, N, h, w), and the float run over it."""

    y: Floats
    z_hat: torch.Tensor
    features: Floats
    run: FloatRun


def add_exact_context(parts: CodecParts, pictures: Sequence[np.ndarray]) -> CodecParts:
    """Parts with the exact features graph, the context model's integers, thresholds and notes.

    pictures: uint8 (H, W, 3), for calibration, also reduced by 2 and 4. Raises ExportError where
    a bound cannot be kept or the cost exceeds 1.5 % of the bytes of y.
    """
    layers, chunk = parts.context, parts.chunks[-1]
    assert layers is not None
    spec = parts.graphs[FLOAT]
    found = [_calibrated(layers, spec.module, *pair) for pair in latents_of(parts, pictures)]
    ranges = _ranges(found)
    limits = thresholds(parts.tensors["y.scale_table"])
    coder = Coder(
        Tables(parts.tensors["y.cdf"], parts.tensors["y.length"], parts.tensors["y.offset"])
    )
    before = sum(_float_bytes(coder, c.run, parts.tensors["y.scale_table"]) for c in found)

    def cost(context: IntegerContext, features: Sequence[Floats]) -> int:
        return sum(
            _bytes(coder, context, limits, f, c.y) for f, c in zip(features, found, strict=True)
        )

    first = integer_context(layers, ranges, *_FIRST)
    twins = [(cost(first, values), level, twin, values) for level, twin, values in
             _feature_twins(parts, found)]  # fmt: skip
    _, level, twin, features = min(twins, key=lambda entry: entry[:2])
    tried = [(cost(made, features), bits, top, made) for bits, top, made in
             _contexts(layers, ranges)]  # fmt: skip
    after, bits, top, context = min(tried, key=lambda entry: entry[:3])
    percent = 100 * (after / before - 1)
    if percent > GATE:
        raise ExportError(
            f"exact context model costs too much: found {percent:.2f} % more bytes, expected at "
            f"most {GATE} %; calibrate on pictures like yours, or export without the exact graph"
        )
    note = {
        "hidden_levels": level, "mean_bits": bits, "activation_top": top,
        "rate_cost_percent": round(percent, 4), "rate_goal_percent": GOAL,
        "proof": [*twin.proof, *context.proof],
    }  # fmt: skip
    graph = dataclasses.replace(spec, module=twin.module)
    prefix = chunk["context"]["tensors"]
    return dataclasses.replace(
        parts,
        graphs={**parts.graphs, TWIN: graph},
        entropy_graphs=(*parts.entropy_graphs, TWIN),
        tensors={**parts.tensors, **context.tensors.named(prefix), "y.thresholds": limits},
        exact={FLOAT: TWIN},
        notes={**parts.notes, "exact": note},
    )


def _calibrated(
    layers: ContextLayers, module: Any, y: torch.Tensor, z_hat: torch.Tensor
) -> _Calibration:
    with torch.no_grad():
        features = module(z_hat)[0].numpy()
    return _Calibration(y[0].numpy(), z_hat, features, run_float(layers, features, y[0].numpy()))


def _ranges(found: Sequence[_Calibration]) -> Ranges:
    values = np.max([c.run.largest for c in found], axis=0)
    return Ranges(values.tolist(), max(float(np.abs(c.features).max()) for c in found))


def _feature_twins(
    parts: CodecParts, found: Sequence[_Calibration]
) -> Iterator[tuple[int, Exact, list[Floats]]]:
    """Exact features graphs of different hidden levels, and what each makes for all latents."""
    medians = torch.from_numpy(parts.tensors["z.medians"].copy())
    latents = [c.z_hat for c in found]
    module = parts.graphs[FLOAT].module
    faults = []
    for level in LEVELS:
        try:
            twin = quantise(module, latents, medians, False, level, features=True)
        except ExportError as error:
            faults.append(error)
            continue
        with torch.no_grad():
            yield level, twin, [twin.module(z_hat)[0].numpy() for z_hat in latents]
    if len(faults) == len(LEVELS):
        raise faults[0]


def _contexts(layers: ContextLayers, ranges: Ranges) -> Iterator[tuple[int, int, IntegerContext]]:
    for bits in MEAN_BITS:
        for top in TOPS:
            yield bits, top, integer_context(layers, ranges, bits, top)


def _float_bytes(coder: Coder, run: FloatRun, scale_table: np.ndarray) -> int:
    return len(coder.encode(run.symbols, scale_indexes(run.scales, scale_table), parts=1))


def _bytes(
    coder: Coder, context: IntegerContext, limits: np.ndarray, features: Floats, y: Floats
) -> int:
    latent = Latent.empty(context.tensors, limits[:-1], features)
    return len(coder.encode(*encode(latent, y), parts=1))
