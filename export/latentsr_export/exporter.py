"""The exporter's whole contract: checkpoints in, one checked bundle out.

load → recognise → take apart → trace → parity → pack. Needs torch, compressai and onnx.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import latentsr
from latentsr.bundle import DEMO, Bundle
from latentsr.errors import CheckpointError, ExportError
from latentsr.image import to_rgb8
from latentsr_export.certain_scales import skip_small_scales
from latentsr_export.checkpoint import load_state, source_hash
from latentsr_export.exact_context import add_exact_context
from latentsr_export.exact_parts import add_exact
from latentsr_export.exact_passes import add_exact_passes
from latentsr_export.fp16.variants import write_with_fp16
from latentsr_export.neighbour_statistics import add_neighbours
from latentsr_export.networks.factorized import with_table_buffers
from latentsr_export.pack import check_target, write_bundle
from latentsr_export.parity import check_parity
from latentsr_export.parts import CodecParts, GraphSpec
from latentsr_export.pixel_sr import load_pixel_sr
from latentsr_export.registry import find_codec, find_latent_sr
from latentsr_export.routes import make_routes
from latentsr_export.storage import round_weights, store_half
from latentsr_export.trace import count_macs, describe, trace
from latentsr_export.zoo import is_zoo_name, load_zoo

Progress = Callable[[str], None]
# Only these: rounding the codec's own weights would move its latents away from CompressAI's.
SR_GRAPHS = ("latent_sr", "pixel_sr")
_PICTURE = DEMO.parent / "coffee.png"


def export(
    checkpoint: str | Path,
    output: str | Path,
    latent_sr: str | Path | None = None,
    pixel_sr: str | Path | None = None,
    pictures: Sequence[str | Path] | None = None,
    half_weights: bool = False,
    exact: bool = True,
    skip_scale: float = 0.0,
    progress: Progress = lambda text: None,
    random_weights: bool = False,
    fp16: bool = False,
) -> Bundle:
    """Write a bundle from trained checkpoints.

    checkpoint: file with a codec's state dict, or ``compressai:ARCHITECTURE/METRIC/QUALITY``.
    latent_sr, pixel_sr: files with SR networks; each adds a route. pictures: for the parity
    check, by default crops of the shipped picture. half_weights: store the SR networks' weights
    as FP16 (computed in FP32). exact: add integer-valued twins of the entropy-parameter graphs,
    calibrated on the pictures. skip_scale: symbols of scales up to this become 0 and are not
    coded (0: all are coded). progress: called with a line per step. random_weights: say in the
    manifest that the weights were not trained, which every report then repeats. fp16: add FP16
    variants of the graphs, calibrated on the pictures; see `fp16.variants`.
    Raises CheckpointError for weights that are not known, ExportError for graphs that fail.
    """
    output = Path(output)
    check_target(output)
    parts = skip_small_scales(_codec(checkpoint, progress), skip_scale)
    shown = [to_rgb8(path) for path in pictures or [_PICTURE]]
    parts = add_neighbours(parts, shown)
    if exact and parts.entropy_graphs:
        progress("making the entropy parameters exact")
        parts = _exact(parts, shown)
    specs = dict(parts.graphs)
    scales: dict[str, int] = {}
    if latent_sr is not None:
        specs["latent_sr"] = _latent_sr(Path(latent_sr), parts)
        scales["latent"] = 4
    if pixel_sr is not None:
        network = load_pixel_sr(pixel_sr)
        if network.multiple_of > 1:
            raise ExportError(
                f"pixel SR network takes only certain sizes: found multiples of "
                f"{network.multiple_of} for {network.name}, expected any size; export another one"
            )
        specs["pixel_sr"] = GraphSpec(network.module, ("x",), ("hr",), 3, 1, "synthesis")
        scales["pixel"] = network.scale
    graphs = {}
    for name, spec in specs.items():
        progress(f"tracing {name}")
        if half_weights and name in SR_GRAPHS:
            round_weights(spec.module)
        half = half_weights and name in (*SR_GRAPHS, *parts.exact.values())
        graphs[name] = store_half(trace(name, spec)) if half else trace(name, spec)
    progress("checking parity against torch")
    parity = check_parity(specs, graphs, _parity_crops(shown), parts)
    manifest = _manifest(output.stem, parts, specs, graphs, parity, scales)
    manifest["random_weights"] = random_weights
    manifest["source"] = _sources(codec=checkpoint, latent_sr=latent_sr, pixel_sr=pixel_sr)
    progress("writing the bundle")
    if fp16:
        return write_with_fp16(output, manifest, graphs, parts.tensors, shown, progress)
    return write_bundle(output, manifest, graphs, parts.tensors)


def _exact(parts: CodecParts, pictures: Sequence[np.ndarray]) -> CodecParts:
    if parts.passes is not None:
        return add_exact_passes(parts, pictures)
    add = add_exact if parts.context is None else add_exact_context
    return add(parts, pictures)


def _codec(checkpoint: str | Path, progress: Progress) -> CodecParts:
    progress(f"loading {checkpoint}")
    state = load_zoo(str(checkpoint)) if is_zoo_name(checkpoint) else load_state(checkpoint)
    family = find_codec(state, str(checkpoint))
    try:
        network = family.build(with_table_buffers(state))
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"weights do not fit {family.NAME}: found {str(error).splitlines()[-1].strip()[:200]}, "
            "expected CompressAI's names and shapes; save the model's own state_dict()"
        ) from None
    _ready(network)
    return family.parts(network)


def _ready(network: nn.Module) -> None:
    """Evaluation mode, and those entropy tables made that the checkpoint was saved without."""
    network.eval()
    model: Any = network
    model.update()


def _latent_sr(path: Path, parts: CodecParts) -> GraphSpec:
    state = load_state(path)
    network = find_latent_sr(state, str(path)).from_state_dict(state).eval()
    channels = parts.channels[1]
    if network.latent_channels != channels:
        raise CheckpointError(
            f"latent SR decoder does not fit the codec: found {network.latent_channels} input "
            f"channels in {path}, expected {channels}; train it on this codec's latent"
        )
    return GraphSpec(network, ("y_hat",), ("hr",), channels, 16, "analysis", True)


def _parity_crops(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Two crops of different shape of the first two pictures: large SR networks take their time."""
    first, second = pictures[0], pictures[-1]
    return [first[-128:, -192:], second[:384:2, :256:2]]


def _manifest(
    name: str,
    parts: CodecParts,
    specs: dict[str, GraphSpec],
    graphs: dict[str, bytes],
    parity: dict[str, Any],
    scales: dict[str, int],
) -> dict[str, Any]:
    listed = {
        key: {
            "file": f"graphs/{key}.onnx", "inputs": list(spec.inputs),
            "outputs": list(spec.outputs), "channels": spec.channels, "stride": spec.stride,
            "precision": "fp32", "macs_per_position": count_macs(graphs[key], spec.feeds),
            **describe(graphs[key]), "parity": {"torch": parity[key]},
        }
        for key, spec in specs.items()
    }  # fmt: skip
    n, m = parts.channels
    return {
        "name": name,
        "codec": {"family": parts.family, "channels": [n, m], "multiple": parts.multiple},
        "graphs": listed,
        "entropy": {"graphs": list(parts.entropy_graphs), "chunks": list(parts.chunks),
                    "exact": dict(parts.exact)},
        "notes": dict(parts.notes),
        "routes": make_routes(parts, scales),
        "created_by": _versions(),
    }  # fmt: skip


def _versions() -> dict[str, str]:
    packages = ("torch", "compressai", "onnx", "onnxruntime", "numpy")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"latentsr": latentsr.__version__, **found}


def _sources(**checkpoints: str | Path | None) -> dict[str, Any]:
    listed = {}
    for role, path in checkpoints.items():
        if path is not None and is_zoo_name(path):
            listed[role] = {"zoo": str(path)}
        elif path is not None:
            listed[role] = {"file": Path(path).name, "sha256": source_hash(path)}
    return listed
