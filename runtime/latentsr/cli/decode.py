"""`latentsr decode`: streams → the plain decoded pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentsr.cli.options import (
    BackendOption,
    BundleOption,
    FileFormat,
    FormatOption,
    JobsOption,
    JsonLinesOption,
    JsonOption,
    OutputOption,
    Precision,
    PrecisionOption,
    ResumeOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    import numpy as np

    from latentsr.cli.batch import Manner
    from latentsr.codec import Codec


def decode(
    inputs: Annotated[list[str], typer.Argument(help="Streams, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    file_format: FormatOption = FileFormat.latentsr,
    route: Annotated[str, typer.Option(help="Decode route of the bundle.")] = "lr",
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    precision: PrecisionOption = Precision.fp32,
    as_json: JsonOption = False,
    as_lines: JsonLinesOption = False,
    jobs: JobsOption = None,
    resume: ResumeOption = False,
) -> None:
    """Decode streams to pictures at their coded size."""
    from latentsr.cli.batch import Manner
    from latentsr.codec import load

    manner = Manner(as_json, as_lines, jobs, resume)
    with load(bundle, backend=backend, threads=threads, precision=precision) as codec:
        codec.bundle.route(route, "decode")
        decode_files(
            inputs, output, ".png", manner, file_format, codec,
            lambda own, data: own.decode(data, route), {"decode": route},
        )  # fmt: skip


def decode_files(
    inputs: list[str],
    output: Path | None,
    ending: str,
    manner: Manner,
    file_format: FileFormat,
    codec: Codec,
    picture_of: Callable[[Codec, bytes], np.ndarray],
    what: dict[str, Any],
) -> None:
    """Run `picture_of` over stream files and save each picture.

    what: all that decides a picture besides the stream, the bundle and the engine.
    """
    from latentsr.cli.batch import run_jobs
    from latentsr.compressai_file import to_stream
    from latentsr.files import (
        COMPRESSAI_FILES,
        expand,
        name_outputs,
        read_stream,
        stream_suffixes,
    )
    from latentsr.image import save_rgb8

    foreign = file_format is FileFormat.compressai
    own = stream_suffixes(codec.bundle.manifest.file_model)
    files = expand(inputs, COMPRESSAI_FILES if foreign else own)
    targets = name_outputs(files, output, ending)

    def job(own: Codec, source: Path, target: Path) -> dict[str, Any]:
        data = read_stream(source)
        picture = picture_of(own, to_stream(own.bundle, data) if foreign else data)
        save_rgb8(picture, target)
        timeline = own.timeline
        height, width = picture.shape[:2]
        facts = {"width": width, "height": height, "ms": timeline.ms, "stages": timeline.as_dict()}
        for repair in own.repairs:
            facts |= {"doubtful_indexes": repair.doubtful, "repaired_indexes": repair.changed}
        return facts

    run_jobs(codec, files, targets, job, manner, {**what, "format": file_format})
