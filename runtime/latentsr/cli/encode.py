"""`latentsr encode`: pictures → streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latentsr.cli.options import (
    BackendOption,
    BundleOption,
    JsonOption,
    OutputOption,
    ThreadsOption,
)


def encode(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compress pictures to streams (.lss)."""
    from latentsr import stream as container
    from latentsr.cli.batch import run_jobs
    from latentsr.codec import load
    from latentsr.files import PICTURES, expand, name_outputs, write_bytes

    files = expand(inputs, PICTURES)
    targets = name_outputs(files, output, ".lss")
    with load(bundle, backend=backend, threads=threads) as codec:

        def job(source: Path, target: Path) -> dict[str, Any]:
            data = codec.encode(source)
            write_bytes(target, data)
            parts = container.unpack(data)
            return {
                "width": parts.width,
                "height": parts.height,
                "bytes": len(data),
                "bpp": 8 * len(data) / (parts.width * parts.height),
                "ms": codec.timeline.ms,
                "stages": codec.timeline.as_dict(),
            }

        run_jobs(files, targets, job, as_json)
