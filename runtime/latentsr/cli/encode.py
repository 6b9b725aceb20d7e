"""`latentsr encode`: pictures → streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr.cli.options import (
    BackendOption,
    BundleOption,
    CoderOption,
    EntropyCoder,
    FileFormat,
    FileThreadsOption,
    FormatOption,
    JobsOption,
    JsonLinesOption,
    JsonOption,
    MemoryOption,
    OutputOption,
    Precision,
    PrecisionOption,
    ResumeOption,
)

if TYPE_CHECKING:
    from latentsr.tiling.shared import Allowance


def encode(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    file_format: FormatOption = FileFormat.latentsr,
    route: Annotated[
        str, typer.Option(help="Encode route, as `latentsr inspect` lists.")
    ] = "encode",
    backend: BackendOption = "ort",
    threads: FileThreadsOption = None,
    precision: PrecisionOption = Precision.fp32,
    coder: CoderOption = EntropyCoder.auto,
    memory: MemoryOption = None,
    as_json: JsonOption = False,
    as_lines: JsonLinesOption = False,
    jobs: JobsOption = None,
    resume: ResumeOption = False,
) -> None:
    """Compress pictures to streams (.lss, or .jpg where the bundle's streams are JPEG files), or to
    files of CompressAI's example (.bin).
    """
    from latentsr.cli.batch import Manner, run_jobs
    from latentsr.codec import Codec, load
    from latentsr.compressai_file import from_stream
    from latentsr.files import PICTURES, check_apart, pair_up, stream_suffixes, write_bytes
    from latentsr.image import to_rgb8
    from latentsr.pipeline.many import picture_budget

    manner = Manner(as_json, as_lines, jobs, resume, memory)
    foreign = file_format is FileFormat.compressai
    with load(bundle, backend=backend, threads=threads, precision=precision, coder=coder) as codec:
        codec.bundle.route(route, "encode")
        own = stream_suffixes(codec.bundle.manifest.file_model)[0]
        pairs = pair_up(inputs, PICTURES, output, ".bin" if foreign else own)

        def job(
            own: Codec, source: Path, target: Path, allowance: Allowance | None
        ) -> dict[str, Any]:
            check_apart(source, target)
            picture = to_rgb8(source)
            memory = picture_budget(own, picture, allowance)
            data = own.encode(picture, route, exact=not foreign, centred=foreign, memory=memory)
            parts = own.open_stream(data)
            if foreign:
                data = from_stream(own.bundle, parts)
            write_bytes(target, data)
            return {
                "width": parts.width,
                "height": parts.height,
                "bytes": len(data),
                "bpp": 8 * len(data) / (parts.width * parts.height),
                "ms": own.timeline.ms,
                "stages": own.timeline.as_dict(),
            }

        run_jobs(codec, pairs, job, manner, {"encode": route, "format": file_format})
