"""`latentsr batch`: streams → enlarged pictures, over the workers of a Ray cluster."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from latentsr.cli.options import (
    BackendOption,
    BundleOption,
    JsonLinesOption,
    JsonOption,
    OutputOption,
    Precision,
    PrecisionOption,
    ResumeOption,
)


def batch(
    inputs: Annotated[list[str], typer.Argument(help="Streams, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    route: Annotated[
        str | None, typer.Option(help="Decode route; default: the bundle's for `upscale`.")
    ] = None,
    ray: Annotated[
        str, typer.Option(help="Address of a Ray cluster, or local for one on this machine.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Workers; default: the cluster's processors over threads.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Engine threads of each worker.")] = 1,
    backend: BackendOption = "ort",
    precision: PrecisionOption = Precision.fp32,
    as_json: JsonOption = False,
    as_lines: JsonLinesOption = False,
    resume: ResumeOption = False,
) -> None:
    """Enlarge many streams on many machines; pictures come back here, each written once."""
    from latentsr.cli.batch import Manner, engine_of, run_pairs
    from latentsr.codec import load
    from latentsr.deploy.ray_batch import IN_FLIGHT, RayWorkers, Task
    from latentsr.files import pair_up, read_stream, stream_suffixes, write_bytes

    manner = Manner(as_json, as_lines, None, resume, out=sys.stdout)
    with load(bundle, backend=backend, precision=precision) as codec:
        chosen = codec.bundle.manifest.upscale if route is None else route
        codec.bundle.route(chosen, "decode")
        suffixes = stream_suffixes(codec.bundle.manifest.file_model)
        pairs = pair_up(inputs, suffixes, output, f"_{chosen}.png")
        device = codec.options.device
        task = Task(chosen, ".png", codec.backend.name, precision, threads, device)
        # As `upscale` names its runs: one may go on with what the other began.
        what = {"upscale": chosen, "format": "latentsr", **engine_of(codec)}

        # Ray tells of dead workers on stdout; results are to be alone there.
        with (
            contextlib.redirect_stdout(sys.stderr),
            contextlib.closing(RayWorkers(codec.bundle, task, ray, workers)) as there,
        ):

            def job(source: Path, target: Path) -> dict[str, Any]:
                content, facts = there.picture(read_stream(source))
                write_bytes(target, content)
                return facts

            run_pairs(pairs, job, there.count * IN_FLIGHT, manner, what)
