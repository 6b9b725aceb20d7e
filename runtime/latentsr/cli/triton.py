"""`latentsr export-triton`: a bundle's route as a model for NVIDIA's Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentsr.cli.options import BackendOption, JsonOption, Precision, PrecisionOption
from latentsr.files import named_path


def export_triton(
    bundle: Annotated[str, typer.Argument(help="Bundle folder NAME.lsr, or demo.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model repository.", parser=named_path)
    ],
    route: Annotated[
        str | None, typer.Option(help="Decode route; default: the bundle's for `upscale`.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Model's name; default: bundle_route.")] = None,
    instances: Annotated[
        int | None, typer.Option(help="Requests at a time; default: processors over threads.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Engine threads of each instance.")] = 1,
    backend: BackendOption = "ort",
    precision: PrecisionOption = Precision.fp32,
    as_json: JsonOption = False,
) -> None:
    """Write a model repository: bytes in, picture out, on Triton's Python backend."""
    import json

    from latentsr.deploy import triton

    serving = triton.Serving(route, name, instances, threads, backend, precision)
    folder = triton.export_triton(bundle, output, serving)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if as_json:
        typer.echo(json.dumps({"model": folder.name, "output": str(folder), "bytes": size}))
    else:
        typer.echo(f"{folder}: {size} bytes (start tritonserver --model-repository={output})")
