"""`latentsr export`: checkpoints → a bundle."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from latentsr.errors import ExportError


def export(
    checkpoint: Annotated[
        str, typer.Argument(help="Codec checkpoint, or compressai:ARCHITECTURE/METRIC/QUALITY.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write, NAME.lsr.")],
    latent_sr: Annotated[
        Path | None, typer.Option(help="Checkpoint of a latent SR decoder for this codec.")
    ] = None,
    pixel_sr: Annotated[Path | None, typer.Option(help="Checkpoint of a pixel SR network.")] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="Picture for the parity check (repeatable).")
    ] = None,
    half_weights: Annotated[
        bool, typer.Option("--half-weights", help="Store SR weights as FP16, computed in FP32.")
    ] = False,
    exact: Annotated[
        bool, typer.Option(help="Add integer-valued graphs, for the same symbols everywhere.")
    ] = True,
    skip_scale: Annotated[
        float, typer.Option(help="Symbols of scales up to this become 0 and are not coded.")
    ] = 0.0,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Add FP16 variants of the graphs, for GPUs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")] = False,
) -> None:
    """Export trained checkpoints to a bundle that the runtime runs without torch."""
    # CompressAI and torch warn about their own deprecated calls on import.
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        from latentsr_export.exporter import export as export_bundle
    except ImportError as error:
        raise ExportError(
            f"exporter's libraries are missing: found no {error.name}, expected torch, compressai "
            "and onnx; run: pip install 'latentsr[export]'"
        ) from None

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    bundle = export_bundle(
        checkpoint, output, latent_sr, pixel_sr, picture, half_weights, exact, skip_scale, progress,
        fp16=fp16,
    )  # fmt: skip
    size = sum(file.size for file in bundle.manifest.files.values())
    if as_json:
        graphs = {n: dict(g.parity) for n, g in bundle.manifest.graphs.items()}
        facts = {"bundle": str(bundle.path), "bytes": size, "family": bundle.manifest.family,
                 "routes": list(bundle.manifest.routes), "parity": graphs}  # fmt: skip
        typer.echo(json.dumps(facts, indent=1))
    else:
        typer.echo(f"{bundle.path}: {size} bytes ({bundle.manifest.family})")
