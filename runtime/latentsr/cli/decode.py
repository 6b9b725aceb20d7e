"""`latentsr decode`: streams → the plain decoded pictures."""

from __future__ import annotations

from collections.abc import Callable
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
    RegionOption,
    ResumeOption,
)

if TYPE_CHECKING:
    from latentsr.cli.batch import Manner
    from latentsr.codec import Codec
    from latentsr.tiling.shared import Allowance

    Write = Callable[[Codec, bytes, Path, int | None], tuple[int, int]]


def decode(
    inputs: Annotated[list[str], typer.Argument(help="Streams, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    file_format: FormatOption = FileFormat.latentsr,
    route: Annotated[str, typer.Option(help="Decode route of the bundle.")] = "lr",
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
    """Decode streams to pictures at their coded size."""
    from latentsr.cli.batch import Manner
    from latentsr.codec import load

    manner = Manner(as_json, as_lines, jobs, resume, memory)
    with load(bundle, backend=backend, threads=threads, precision=precision, coder=coder) as codec:
        codec.bundle.route(route, "decode")
        decode_files(
            inputs, output, ".png", manner, file_format, codec,
            picture_writer(route, region), what_of("decode", route, region),
        )  # fmt: skip


def picture_writer(route: str, region: str | None) -> Write:
    """What makes a picture file of a stream's bytes, within a budget where it is given one, and
    returns its width and height.

    Raises UsageError for a region that is none.
    """
    from latentsr.image import save_rgb8
    from latentsr.tiling.calls import parse_region, to_file

    box = parse_region(region)

    def write(codec: Codec, data: bytes, target: Path, memory: int | None) -> tuple[int, int]:
        if memory is not None or box is not None:
            return to_file(codec, data, codec.bundle.route(route, "decode"), target, memory, box)
        picture = codec.decode(data, route)
        save_rgb8(picture, target)
        return picture.shape[1], picture.shape[0]

    return write


def what_of(command: str, route: str, region: str | None) -> dict[str, Any]:
    """What decides a picture, for `decode_files`; a budget does not."""
    return {command: route} if region is None else {command: route, "region": region}


def decode_files(
    inputs: list[str],
    output: Path | None,
    ending: str,
    manner: Manner,
    file_format: FileFormat,
    codec: Codec,
    write: Write,
    what: dict[str, Any],
) -> None:
    """Run `write` over stream files.

    what: all that decides a picture besides the stream, the bundle and the engine.
    """
    from latentsr.cli.batch import run_jobs
    from latentsr.compressai_file import to_stream
    from latentsr.files import (
        COMPRESSAI_FILES,
        check_apart,
        check_free,
        pair_up,
        read_stream,
        stream_suffixes,
    )
    from latentsr.pipeline.many import stream_budget

    foreign = file_format is FileFormat.compressai
    own = stream_suffixes(codec.bundle.manifest.file_model)
    pairs = pair_up(inputs, COMPRESSAI_FILES if foreign else own, output, ending)

    def job(own: Codec, source: Path, target: Path, allowance: Allowance | None) -> dict[str, Any]:
        data = read_stream(source)
        data = to_stream(own.bundle, data) if foreign else data
        own.open_stream(data)  # what is no stream is said before what is wrong with the output
        check_apart(source, target)
        if output is None and target.stem == source.stem:
            check_free(target)
        width, height = write(own, data, target, stream_budget(own, data, allowance))
        timeline = own.timeline
        facts = {"width": width, "height": height, "ms": timeline.ms, "stages": timeline.as_dict()}
        for repair in own.repairs:
            facts |= {"doubtful_indexes": repair.doubtful, "repaired_indexes": repair.changed}
        return facts

    run_jobs(codec, pairs, job, manner, {**what, "format": file_format})
