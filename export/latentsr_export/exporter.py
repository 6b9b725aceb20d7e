"""The exporter's whole contract: checkpoints in, one checked bundle out.

load → recognise → take apart → trace → parity → pack. Needs torch, compressai and onnx.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentsr.bundle import Bundle
from latentsr_export.assemble import Progress, Writing, assemble
from latentsr_export.load import (
    Networks,
    by_name,
    codec_parts,
    load_codec,
    load_latent_sr,
    route_name,
)
from latentsr_export.pack import check_target
from latentsr_export.parts import CodecParts, GraphSpec
from latentsr_export.pixel_sr import load_pixel_sr
from latentsr_export.routes import Chain, make_routes
from latentsr_export.system import System, latent_chain, latent_spec, pixel_spec, sources


def export(
    checkpoint: str | Path,
    output: str | Path,
    latent_sr: str | Path | None = None,
    pixel_sr: Networks = None,
    pictures: Sequence[str | Path] | None = None,
    half_weights: bool = False,
    exact: bool = True,
    skip_scale: float = 0.0,
    progress: Progress = lambda text: None,
    random_weights: bool = False,
    pixel_sr_scale: int | None = None,
    fp16: bool = False,
) -> Bundle:
    """Write a bundle from trained checkpoints.

    checkpoint: file with a codec's state dict, or ``compressai:ARCHITECTURE/METRIC/QUALITY``.
    latent_sr, pixel_sr: files with SR networks; each adds a route. pixel_sr: one file, whose route
    is ``pixel_xK``, or several: a mapping from names to files, or a sequence of files and of
    (name, file); a network NAME has the route ``NAME_xK``. random_weights: say in the manifest
    that the weights were not trained, which every report then repeats. pixel_sr_scale: which to
    take of files that hold networks of several scales, by default the largest. The rest: see
    `assemble.Writing`.
    Raises CheckpointError for weights that are not known, ExportError for graphs that fail.
    """
    output = Path(output)
    check_target(output)
    progress(f"loading {checkpoint}")
    named = by_name(pixel_sr)
    parts = codec_parts(load_codec(checkpoint))
    graphs, chains = _networks(parts, latent_sr, named, pixel_sr_scale)
    given = {"codec": checkpoint, "latent_sr": latent_sr, **named}
    facts: dict[str, Any] = {"random_weights": random_weights, "source": sources(given)}
    upscale = next((chain.route for chain in chains), None)
    system = System(parts, graphs, make_routes(parts, chains), upscale, facts)
    how = Writing(pictures, half_weights, exact, skip_scale, progress, fp16)
    return assemble(system, output, how)


def _networks(
    parts: CodecParts,
    latent_sr: str | Path | None,
    pixel_sr: dict[str, str | Path],
    scale: int | None,
) -> tuple[dict[str, GraphSpec], list[Chain]]:
    graphs: dict[str, GraphSpec] = {}
    chains: list[Chain] = []
    if latent_sr is not None:
        decoder: Any = load_latent_sr(latent_sr)
        graphs["latent_sr"] = latent_spec(decoder, parts, str(latent_sr))
        chains.append(latent_chain(decoder.SCALE))
    for name, path in pixel_sr.items():
        network = load_pixel_sr(path, scale)
        graphs[name] = pixel_spec(network, parts)
        about = f"synthesis transform, then the pixel SR network {network.name}"
        chains.append(Chain(route_name(name, network.scale), (name,), network.scale, about))
    return graphs, chains
