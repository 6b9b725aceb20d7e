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
    JsonOption,
    OutputOption,
    Precision,
    PrecisionOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    import numpy as np

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
) -> None:
    """Decode streams to pictures at their coded size."""
    from latentsr.codec import load

    with load(bundle, backend=backend, threads=threads, precision=precision) as codec:
        codec.bundle.route(route, "decode")
        decode_files(
            inputs, output, ".png", as_json, file_format, codec,
            lambda data: codec.decode(data, route),
        )  # fmt: skip


def decode_files(
    inputs: list[str],
    output: Path | None,
    ending: str,
    as_json: bool,
    file_format: FileFormat,
    codec: Codec,
    picture_of: Callable[[bytes], np.ndarray],
) -> None:
    """Run `picture_of` over stream files and save each picture."""
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

    def job(source: Path, target: Path) -> dict[str, Any]:
        data = read_stream(source)
        picture = picture_of(to_stream(codec.bundle, data) if foreign else data)
        save_rgb8(picture, target)
        timeline = codec.timeline
        height, width = picture.shape[:2]
        facts = {"width": width, "height": height, "ms": timeline.ms, "stages": timeline.as_dict()}
        for repair in codec.repairs:
            facts |= {"doubtful_indexes": repair.doubtful, "repaired_indexes": repair.changed}
        return facts

    run_jobs(files, targets, job, as_json)
