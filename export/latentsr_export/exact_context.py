"""Adding the integer path to codecs with context models: calibration, choices, and their cost.

The features come from an integer-valued graph (`latentsr_export.exact`), the rest of the parameter
path is integer arithmetic of the runtime (`latentsr_export.context_integers`). Calibration runs
the float model as CompressAI's `compress` does, with round(y - mean) + mean in front of the
context, and both are measured by the bytes that they make.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from latentsr.digits import apart
from latentsr.entropy import scale_indexes
from latentsr.entropy.context import ContextCoder
from latentsr.errors import ExportError
from latentsr_export.context_integers import IntegerContext, Ranges, integer_context
from latentsr_export.context_layers import ContextLayers, FloatRun, run_float
from latentsr_export.exact import Exact, quantise, thresholds
from latentsr_export.exact_parts import LEVELS, coder_of, latents_of, with_twin
from latentsr_export.parts import CodecParts, Predicted

# Largest rate that exactness may cost, and what it should, in per cent of the bytes of y.
GATE, GOAL = 1.5, 0.5
# Bits of means behind the point, and largest activations, to choose from. With 6 bits the decoded
# latent is off by at most 1/128 of a quantisation step, 0.001 dB.
MEAN_BITS = (6, 7, 8)
TOPS = (2047, 8191)
_FIRST = (6, 4095)  # while the features' levels are chosen
Floats = NDArray[np.float32]


Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True)
class _Calibration:
    """One latent: y (M, H, W), ẑ (1, N, h, w), and the float run over it."""

    y: Floats
    z_hat: torch.Tensor
    features: Floats
    run: FloatRun


def add_exact_context(
    parts: CodecParts, one: Predicted, pictures: Sequence[np.ndarray]
) -> CodecParts:
    """Parts with the exact features graph, the context model's integers, thresholds and notes.

    pictures: uint8 (H, W, 3), for calibration, also reduced by 2 and 4. Raises ExportError where
    a bound cannot be kept or the cost exceeds 1.5 % of the bytes of the chunk.
    """
    measure = _Measure(parts, one, pictures)
    first = integer_context(measure.layers, measure.ranges, *_FIRST)
    level, twin, features = _least(
        (partial(_features_twin, parts, one, measure, level) for level in LEVELS),
        lambda entry: (measure.bytes_of(first, entry[2]), entry[0]),
    )
    choices = [(bits, top) for bits in MEAN_BITS for top in TOPS]
    context = _least(
        (partial(integer_context, measure.layers, measure.ranges, *c) for c in choices),
        lambda made: measure.bytes_of(made, features),
    )
    note = _note(measure, context, features)
    note |= {"hidden_levels": level, "proof": [*twin.proof, *context.proof]}
    prefix = next(c for c in parts.chunks if c["name"] == one.chunk)["context"]["tensors"]
    tensors = {
        **context.tensors.named(prefix), f"{one.chunk}.thresholds": measure.thresholds
    }  # fmt: skip
    spec = dataclasses.replace(parts.graphs[one.graph], module=twin.module)
    return with_twin(parts, one, spec, tensors, note)


class _Measure:
    """Latents of real pictures, and the bytes that float and integers make of them."""

    def __init__(self, parts: CodecParts, one: Predicted, pictures: Sequence[np.ndarray]) -> None:
        assert one.context is not None
        self.layers: ContextLayers = one.context
        module, table = parts.graphs[one.graph].module, parts.tensors[f"{one.chunk}.scale_table"]
        self._coder = coder_of(parts, one)
        self.thresholds = thresholds(table)
        self.found = [
            self._calibrated(module, one.of(y), z_hat) for y, z_hat in latents_of(parts, pictures)
        ]
        values = np.max([c.run.largest for c in self.found], axis=0)
        self.ranges = Ranges(
            values.tolist(), max(float(np.abs(c.features).max()) for c in self.found)
        )
        self.float_bytes = sum(self._float(c.run, table) for c in self.found)

    def _calibrated(self, module: Any, y: torch.Tensor, z_hat: torch.Tensor) -> _Calibration:
        with torch.no_grad():
            features = module(z_hat)[0].numpy()
        run = run_float(self.layers, features, y[0].numpy())
        return _Calibration(y[0].numpy(), z_hat, features, run)

    def _float(self, run: FloatRun, scale_table: np.ndarray) -> int:
        indexes = scale_indexes(run.scales, scale_table)
        return len(self._coder.encode(run.symbols, indexes, parts=1))

    def bytes_of(self, context: IntegerContext, features: Sequence[Floats]) -> int:
        """Bytes of all latents with these integers."""
        coder = ContextCoder(context.tensors, self.thresholds, self._coder)
        return sum(len(coder.encode(f, c.y)[0]) for f, c in zip(features, self.found, strict=True))


def _least(made: Iterable[Callable[[], Made]], cost: Callable[[Made], Any]) -> Made:
    """The cheapest of what can be made; the first refusal where nothing can."""
    tried: list[tuple[Any, int, Made]] = []
    faults = []
    for number, make in enumerate(made):
        try:
            one = make()
        except ExportError as error:
            faults.append(error)
        else:
            tried.append((cost(one), number, one))
    if not tried:
        raise faults[0]
    return min(tried, key=lambda entry: entry[:2])[2]


def _features_twin(
    parts: CodecParts, one: Predicted, measure: _Measure, level: int
) -> tuple[int, Exact, list[Floats]]:
    """The exact features graph of some hidden levels, and what it gives for all latents."""
    medians = torch.from_numpy(parts.tensors["z.medians"].copy())
    latents = [c.z_hat for c in measure.found]
    twin = quantise(parts.graphs[one.graph].module, latents, medians, False, level, features=True)
    with torch.no_grad():
        return level, twin, [twin.module(z_hat)[0].numpy() for z_hat in latents]


def _note(measure: _Measure, context: IntegerContext, features: Sequence[Floats]) -> dict[str, Any]:
    """What the manifest says of the choices and their cost; ExportError beyond the gate."""
    percent = 100 * (measure.bytes_of(context, features) / measure.float_bytes - 1)
    if percent > GATE:
        raise ExportError(
            f"exact context model costs too much: found {apart(percent, GATE, 2)} % more bytes, "
            f"expected at most {GATE} %; calibrate on pictures like yours, or export without the "
            "exact graph"
        )
    tensors = context.tensors
    return {
        "mean_bits": tensors.mean_bits, "activation_top": tensors.tops[0],
        "rate_cost_percent": round(percent, 4), "rate_goal_percent": GOAL,
    }  # fmt: skip
