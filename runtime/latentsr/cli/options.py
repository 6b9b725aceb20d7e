"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from latentsr.files import output_path


class Precision(StrEnum):
    """What graphs compute in."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class EntropyCoder(StrEnum):
    """What reads and writes the entropy-coded data."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class FileFormat(StrEnum):
    """Files that hold a compressed picture."""

    latentsr = "latentsr"
    compressai = "compressai"


BundleOption = Annotated[
    str, typer.Option("--bundle", "-m", help="Bundle folder NAME.lsr, or demo.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Output file, or folder for a folder or several inputs.",
        parser=output_path,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
JsonLinesOption = Annotated[
    bool, typer.Option("--jsonl", help="Print a line of JSON for each file as soon as it is done.")
]
JobsOption = Annotated[
    int | None, typer.Option(help="Files at a time; default: cores, shared with --threads.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Leave out what an earlier run did, and keep its journal.")
]
BackendOption = Annotated[str, typer.Option(help="Engine backend, with a device: ort:cuda.")]
ThreadsOption = Annotated[int | None, typer.Option(help="Engine threads; default: the library's.")]
FileThreadsOption = Annotated[
    int | None, typer.Option(help="Engine threads for each file; default: cores over jobs.")
]
FormatOption = Annotated[
    FileFormat, typer.Option("--format", help="Ours, or that of CompressAI's examples/codec.py.")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="fp16 for bundles exported with it; int8 where `latentsr build` made it."),
]
CoderOption = Annotated[
    EntropyCoder,
    typer.Option(help="What codes our streams for engines on a GPU; auto: it, if they are large."),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(help="Work in tiles, all files in work within so much memory: 1GiB."),
]
RegionOption = Annotated[
    str | None,
    typer.Option(metavar="X,Y,W,H", help="Make this part of the output only, in its pixels."),
]
