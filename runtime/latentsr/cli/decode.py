"""`latentsr decode`: streams → the plain decoded pictures."""

from __future__ import annotations

from collections.abc import Callable
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


def decode(
    inputs: Annotated[list[str], typer.Argument(help="Streams, folders or globs.")],
    bundle: BundleOption = "demo",
    output: OutputOption = None,
    route: Annotated[str, typer.Option(help="Decode route of the bundle.")] = "lr",
    backend: BackendOption = "ort",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode streams to pictures at their coded size."""
    from latentsr.codec import load

    with load(bundle, backend=backend, threads=threads) as codec:
        codec.bundle.route(route, "decode")
        decode_files(
            inputs, output, ".png", as_json, lambda data: codec.decode(data, route),
            lambda: {"ms": codec.timeline.ms, "stages": codec.timeline.as_dict()},
        )  # fmt: skip


def decode_files(
    inputs: list[str],
    output: Path | None,
    ending: str,
    as_json: bool,
    picture_of: Callable[[bytes], Any],
    facts: Callable[[], dict[str, Any]],
) -> None:
    """Run `picture_of` over stream files and save each picture; `facts` go into the results."""
    from latentsr.cli.batch import run_jobs
    from latentsr.files import STREAMS, expand, name_outputs, read_stream
    from latentsr.image import save_rgb8

    files = expand(inputs, STREAMS)
    targets = name_outputs(files, output, ending)

    def job(source: Path, target: Path) -> dict[str, Any]:
        picture = picture_of(read_stream(source))
        save_rgb8(picture, target)
        return {"width": picture.shape[1], "height": picture.shape[0], **facts()}

    run_jobs(files, targets, job, as_json)
