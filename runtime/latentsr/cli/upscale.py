"""`latentsr upscale`: streams → enlarged pictures by a super-resolution route."""

from __future__ import annotations

from typing import Annotated

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
    RegionOption,
    ResumeOption,
)


def upscale(
    inputs: Annotated[list[str], typer.Argument(help="Streams, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    file_format: FormatOption = FileFormat.latentsr,
    route: Annotated[
        str | None, typer.Option(help="Route, as `latentsr inspect` lists; default: the bundle's.")
    ] = None,
    backend: BackendOption = "ort",
    threads: FileThreadsOption = None,
    precision: PrecisionOption = Precision.fp32,
    coder: CoderOption = EntropyCoder.auto,
    memory: MemoryOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
    as_lines: JsonLinesOption = False,
    jobs: JobsOption = None,
    resume: ResumeOption = False,
) -> None:
    """Decode streams to enlarged pictures, by default in the latent domain where there is one."""
    from latentsr.cli.batch import Manner
    from latentsr.cli.decode import decode_files, picture_writer, what_of
    from latentsr.codec import load

    manner = Manner(as_json, as_lines, jobs, resume, memory)
    with load(bundle, backend=backend, threads=threads, precision=precision, coder=coder) as codec:
        chosen = codec.bundle.manifest.upscale if route is None else route
        codec.enlarging_route(chosen)
        decode_files(
            inputs, output, f"_{chosen}.png", manner, file_format, codec,
            picture_writer(chosen, region), what_of("upscale", chosen, region),
        )  # fmt: skip
