"""`latentsr encode`: pictures → streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latentsr.cli.options import (
    BackendOption,
    BundleOption,
    FileFormat,
    FormatOption,
    JsonOption,
    OutputOption,
    Precision,
    PrecisionOption,
    ThreadsOption,
)


def encode(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    file_format: FormatOption = FileFormat.latentsr,
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    precision: PrecisionOption = Precision.fp32,
    as_json: JsonOption = False,
) -> None:
    """Compress pictures to streams (.lss), or to files of CompressAI's example (.bin)."""
    from latentsr import stream as container
    from latentsr.cli.batch import run_jobs
    from latentsr.codec import load
    from latentsr.compressai_file import from_stream
    from latentsr.files import PICTURES, expand, name_outputs, write_bytes

    files = expand(inputs, PICTURES)
    foreign = file_format is FileFormat.compressai
    targets = name_outputs(files, output, ".bin" if foreign else ".lss")
    with load(bundle, backend=backend, threads=threads, precision=precision) as codec:

        def job(source: Path, target: Path) -> dict[str, Any]:
            data = codec.encode(source, exact=not foreign, centred=foreign)
            parts = container.unpack(data)
            if foreign:
                data = from_stream(codec.bundle, parts)
            write_bytes(target, data)
            return {
                "width": parts.width,
                "height": parts.height,
                "bytes": len(data),
                "bpp": 8 * len(data) / (parts.width * parts.height),
                "ms": codec.timeline.ms,
                "stages": codec.timeline.as_dict(),
            }

        run_jobs(files, targets, job, as_json)
