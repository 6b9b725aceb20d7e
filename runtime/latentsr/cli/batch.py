"""What encode, decode and upscale share: many files at a time, results in order, going on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from latentsr.cli import EXIT_BAD_INPUT
from latentsr.cli.progress import tracked
from latentsr.errors import LatentSRError, UsageError
from latentsr.journal import Journal, bundle_identity
from latentsr.pipeline.many import crew_of
from latentsr.pipeline.schedule import ordered

if TYPE_CHECKING:
    from latentsr.codec import Codec

EXIT_INTERRUPTED = 130
_AHEAD = 64  # results are a few numbers here: a large picture need not hold the others up

Job = Callable[["Codec", Path, Path], dict[str, Any]]
Result = dict[str, Any]


@dataclass(frozen=True)
class Manner:
    """How a run over files goes, as its options say; see `latentsr.cli.options`."""

    as_json: bool = False
    as_lines: bool = False
    jobs: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.as_json and self.as_lines:
            raise UsageError("output has one form: found --json and --jsonl, expected one of them")


def run_jobs(
    codec: Codec,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    job: Job,
    manner: Manner,
    what: Mapping[str, Any],
) -> None:
    """Run `job(codec, input, output)` for each pair, several at a time, and print the results.

    They go to stdout in the inputs' order, each as soon as it and those before it are there. A
    LatentSRError of one file is reported on stderr, the others go on, and the exit code is 2 at
    the end. With `as_lines` a result is a line of JSON, with `as_json` stdout is one JSON list at
    the end; failed files have a key `error`. what: the command and its route, for the journal of
    runs over several files (see `latentsr.journal`), which an interrupted run leaves behind.
    """
    pairs = list(zip(inputs, outputs, strict=True))
    worker, crew = crew_of(codec, manner.jobs, len(pairs))
    journal = None
    if manner.resume or len(pairs) > 1:
        journal = Journal({**what, **_engine(codec)}, manner.resume)

    def one(pair: tuple[Path, Path]) -> Result:
        return _run_one(worker, *pair, job, journal)

    kept: list[Result] = []  # for the one list only: a run may have any number of files
    shown = failed = 0
    try:
        with closing(ordered(one, pairs, crew.jobs, _AHEAD)) as results:
            for shown, result in enumerate(tracked(results, len(pairs)), 1):  # noqa: B007
                failed += "error" in result
                _print(result, manner)
                if manner.as_json:
                    kept.append(result)
    except KeyboardInterrupt:
        print(
            f"interrupted: {shown} of {len(pairs)} files were reported; give the same command "
            "with --resume to go on",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if journal is not None:
        journal.close()
    if manner.as_json:
        typer.echo(json.dumps(kept, indent=1))
    if failed:
        raise typer.Exit(EXIT_BAD_INPUT)


def _run_one(codec: Codec, source: Path, target: Path, job: Job, journal: Journal | None) -> Result:
    """The result of one file; what is wrong with it becomes its `error`."""
    try:
        named = {"input": str(source), "output": str(target)}
        found = None if journal is None else journal.finished(source, target)
        if found is not None:
            return {**named, **found, "resumed": True}
        begun = None if journal is None else journal.begin(source)
        facts = job(codec, source, target)
        if journal is not None:
            journal.note(begun, target, {k: v for k, v in facts.items() if k != "stages"})
        return {**named, **facts}
    except LatentSRError as error:
        return {"input": str(source), "error": str(error)}


def _engine(codec: Codec) -> dict[str, str]:
    """What else decides an output: samples may differ in their last bit between engines."""
    from latentsr import __version__

    return {
        "bundle": bundle_identity(codec.bundle), "backend": codec.backend.name,
        "device": codec.options.device, "precision": codec.options.precision,
        "version": __version__,
    }  # fmt: skip


def _print(result: Result, manner: Manner) -> None:
    if "error" in result:
        print(f"error: {result['input']}: {result['error']}", file=sys.stderr)
    if manner.as_lines:
        print(json.dumps(result), flush=True)
    elif not manner.as_json and "error" not in result:
        typer.echo(_line(result))


def _line(result: Result) -> str:
    size = Path(result["output"]).stat().st_size
    shown = {k: v for k, v in result.items() if k not in ("input", "output", "stages", "resumed")}
    facts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()]
    done_before = ["done before"] if "resumed" in result else []
    return f"{result['output']}: {size} bytes ({', '.join(done_before + facts)})"
