"""A system written as a bundle: exact twins, tracing, parity, manifest, files."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import latentsr
from latentsr.bundle import DEMO, Bundle
from latentsr.errors import ExportError
from latentsr.image import to_rgb8
from latentsr_export.certain_scales import skip_small_scales
from latentsr_export.exact_context import add_exact_context
from latentsr_export.exact_parts import add_exact
from latentsr_export.exact_passes import add_exact_passes
from latentsr_export.fp16.variants import write_with_fp16
from latentsr_export.neighbour_statistics import add_neighbours
from latentsr_export.no_winograd import without_winograd
from latentsr_export.pack import check_target, write_bundle
from latentsr_export.parity import check_parity
from latentsr_export.parts import CodecParts, GraphSpec
from latentsr_export.pieces import window_with_pieces
from latentsr_export.storage import round_weights, store_half
from latentsr_export.system import System
from latentsr_export.trace import count_macs, describe, trace

Progress = Callable[[str], None]
PICTURE = DEMO.parent / "coffee.png"


@dataclass(frozen=True)
class Writing:
    """How a system is written.

    pictures: for calibration and the parity check, by default crops of the shipped picture.
    half_weights: store the SR networks' weights as FP16 (computed in FP32). exact: add
    integer-valued twins of the entropy-parameter graphs, calibrated on the pictures. skip_scale:
    symbols of scales up to this become 0 and are not coded (0: all are coded). progress: called
    with a line per step. fp16: add FP16 variants of the graphs, calibrated on the pictures; see
    `fp16.variants`.
    """

    pictures: Sequence[str | Path] | None = None
    half_weights: bool = False
    exact: bool = True
    skip_scale: float = 0.0
    progress: Progress = lambda text: None
    fp16: bool = False


def assemble(system: System, output: Path, how: Writing) -> Bundle:
    """Write a bundle; ExportError for graphs that fail, or places that are taken."""
    check_target(output)
    shown = [to_rgb8(path) for path in how.pictures or [PICTURE]]
    system = replace(system, parts=_prepared(system.parts, shown, how))
    specs = _specs(system)
    graphs = {}
    for name, spec in specs.items():
        how.progress(f"tracing {name}")
        graphs[name] = _traced(name, spec, system, how.half_weights)
    how.progress("checking parity against torch")
    parity = check_parity(specs, graphs, _parity_crops(shown), system.parts)
    manifest = _manifest(output.stem, system, specs, graphs, parity)
    how.progress("writing the bundle")
    tensors = system.parts.tensors
    if how.fp16:
        return write_with_fp16(output, manifest, graphs, tensors, shown, how.progress)
    return write_bundle(output, manifest, graphs, tensors)


def _prepared(parts: CodecParts, shown: Sequence[np.ndarray], how: Writing) -> CodecParts:
    """Certain zeros, neighbours' statistics and exact twins, as far as the codec has a use."""
    parts = add_neighbours(skip_small_scales(parts, how.skip_scale), shown)
    if not how.exact:
        _check_strings(parts)
    if not how.exact or not parts.entropy_graphs:
        return parts
    how.progress("making the entropy parameters exact")
    if parts.passes is not None:
        return add_exact_passes(parts, shown)
    for one in parts.predicted:
        add = add_exact if one.context is None else add_exact_context
        parts = add(parts, one, shown)
    return parts


def _check_strings(parts: CodecParts) -> None:
    """Without exact graphs only CompressAI's strings remain, which not every family has."""
    contexts = [one.chunk for one in parts.predicted if one.context is not None]
    if any(f"{chunk}.context.taps" not in parts.tensors for chunk in contexts):
        raise ExportError(
            f"{parts.family} needs exact graphs: found them left out, expected them, as its "
            "context model has no strings of CompressAI's; export with the exact graph"
        )


def _specs(system: System) -> dict[str, GraphSpec]:
    doubled = sorted(set(system.parts.graphs) & set(system.graphs))
    if doubled:
        raise ExportError(
            f"graphs have one name: found {doubled[0]} twice, expected different names; name the "
            "networks otherwise"
        )
    return {**system.parts.graphs, **system.graphs}


def _traced(name: str, spec: GraphSpec, system: System, half_weights: bool) -> bytes:
    # Not the codec's own: rounding its weights would move its latents away from CompressAI's.
    enlarging = name in system.graphs
    if half_weights and enlarging:
        round_weights(spec.module)
    exact = name in system.parts.exact.values()
    data = without_winograd(trace(name, spec)) if exact else trace(name, spec)
    return store_half(data) if half_weights and (enlarging or exact) else data


def _parity_crops(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Two crops of different shape of the first two pictures: large SR networks take their time."""
    first, second = pictures[0], pictures[-1]
    return [first[-128:, -192:], second[:384:2, :256:2]]


def _manifest(
    name: str,
    system: System,
    specs: Mapping[str, GraphSpec],
    graphs: Mapping[str, bytes],
    parity: Mapping[str, Any],
) -> dict[str, Any]:
    listed = {
        key: {
            "file": f"graphs/{key}.onnx", "inputs": list(spec.inputs),
            "outputs": list(spec.outputs), "channels": spec.channels, "stride": spec.stride,
            "precision": "fp32", "macs_per_position": count_macs(graphs[key], spec.feeds),
            "window": window_with_pieces(graphs[key]), **describe(graphs[key]),
            "parity": {"torch": parity[key]},
        }
        for key, spec in specs.items()
    }  # fmt: skip
    parts = system.parts
    channels = list(parts.channels)
    upscale = {} if system.upscale is None else {"upscale": system.upscale}
    return {
        "name": name,
        "codec": {"family": parts.family, "channels": channels, "multiple": parts.multiple},
        "graphs": listed,
        "entropy": {"graphs": list(parts.entropy_graphs), "chunks": list(parts.chunks),
                    "exact": dict(parts.exact)},
        "notes": dict(parts.notes),
        "routes": system.routes,
        **upscale,
        "created_by": _versions(),
        **system.facts,
    }  # fmt: skip


def _versions() -> dict[str, str]:
    packages = ("torch", "compressai", "onnx", "onnxruntime", "numpy")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"latentsr": latentsr.__version__, **found}
