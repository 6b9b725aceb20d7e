"""`latentsr upscale`: streams → enlarged pictures by a super-resolution route."""

from __future__ import annotations

from typing import Annotated

import typer

from latentsr.cli.options import (
    BackendOption,
    BundleOption,
    FileFormat,
    FormatOption,
    JsonOption,
    MemoryOption,
    OutputOption,
    Precision,
    PrecisionOption,
    RegionOption,
    ThreadsOption,
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
    threads: ThreadsOption = None,
    precision: PrecisionOption = Precision.fp32,
    memory: MemoryOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode streams to enlarged pictures, by default in the latent domain where there is one."""
    from latentsr.cli.decode import decode_files, picture_writer
    from latentsr.codec import load

    with load(bundle, backend=backend, threads=threads, precision=precision) as codec:
        chosen = codec.enlarging(route)
        decode_files(
            inputs, output, f"_{chosen}.png", as_json, file_format, codec,
            picture_writer(codec, chosen, memory, region),
        )  # fmt: skip
