"""What encode, decode and upscale share: many files at a time, results in order, going on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from latentsr.cli import EXIT_BAD_INPUT, in_words
from latentsr.cli.progress import tracked
from latentsr.errors import LatentSRError, UsageError
from latentsr.journal import Journal, bundle_identity
from latentsr.pipeline.many import crew_of
from latentsr.pipeline.schedule import ordered
from latentsr.tiling.budget import parse_memory
from latentsr.tiling.shared import Allowance, SharedBudget, jobs_within, unlimited

if TYPE_CHECKING:
    from latentsr.codec import Codec

EXIT_INTERRUPTED = 130
_AHEAD = 64  # results are a few numbers here: a large picture need not hold the others up

Result = dict[str, Any]
Job = Callable[["Codec", Path, Path, Allowance | None], Result]
PlainJob = Callable[[Path, Path], Result]


@dataclass(frozen=True)
class Manner:
    """How a run over files goes, as its options say; see `latentsr.cli.options`.

    memory: a budget for all files in work together. out: where results go, None for stdout.
    """

    as_json: bool = False
    as_lines: bool = False
    jobs: int | None = None
    resume: bool = False
    memory: str | None = None
    out: TextIO | None = None

    def __post_init__(self) -> None:
        if self.as_json and self.as_lines:
            raise UsageError("output has one form: found --json and --jsonl, expected one of them")
        if self.memory is not None:
            parse_memory(self.memory)  # before the bundle is loaded and inputs are looked for


def run_jobs(
    codec: Codec,
    pairs: Sequence[tuple[Path, Path]],
    job: Job,
    manner: Manner,
    what: Mapping[str, Any],
) -> None:
    """Run `job(codec, input, output, allowance)` for each pair, as `run_pairs` does, right here.

    allowance: the file's part of the budget, None without one; see `SharedBudget`. what: the
    command and its route; the bundle and the engine are added.
    """
    worker, crew = crew_of(codec, jobs_within(manner.memory, manner.jobs), len(pairs))
    what = {**what, **engine_of(codec)}
    spend = unlimited
    if manner.memory is not None:
        spend = SharedBudget(manner.memory, min(crew.jobs, len(pairs))).spend

    def within(source: Path, target: Path) -> Result:
        return spend(lambda allowance: job(worker, source, target, allowance))

    run_pairs(pairs, within, crew.jobs, manner, what)


def run_pairs(
    pairs: Sequence[tuple[Path, Path]],
    job: PlainJob,
    jobs: int,
    manner: Manner,
    what: Mapping[str, Any],
) -> None:
    """Run `job(input, output)` for each pair, `jobs` at a time, and print the results.

    They go to stdout in the inputs' order, each as soon as it and those before it are there. A
    LatentSRError of one file is reported on stderr, the others go on, and the exit code is 2 at
    the end. With `as_lines` a result is a line of JSON, with `as_json` stdout is one JSON list at
    the end; failed files have a key `error`. what: all that decides an output besides its input,
    for the journal of runs over several files (see `latentsr.journal`), which an interrupted run
    leaves behind.
    """
    journal = Journal(what, manner.resume) if manner.resume or len(pairs) > 1 else None

    def one(pair: tuple[Path, Path]) -> Result:
        return _run_one(*pair, job, journal)

    kept: list[Result] = []  # for the one list only: a run may have any number of files
    shown = failed = 0
    try:
        with closing(ordered(one, pairs, jobs, _AHEAD)) as results:
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
        print(json.dumps(kept, indent=1), file=manner.out)
    if failed:
        raise typer.Exit(EXIT_BAD_INPUT)


def _run_one(source: Path, target: Path, job: PlainJob, journal: Journal | None) -> Result:
    """The result of one file; what is wrong with it becomes its `error`."""
    try:
        named = {"input": str(source), "output": str(target)}
        found = None if journal is None else journal.finished(source, target)
        if found is not None:
            return {**named, **found, "resumed": True}
        begun = None if journal is None else journal.begin(source)
        facts = job(source, target)
        if journal is not None:
            journal.note(begun, target, {k: v for k, v in facts.items() if k != "stages"})
        return {**named, **facts}
    except (LatentSRError, OSError, MemoryError) as error:
        # One file does not stop the others: neither a disk that is full nor a picture too large.
        return {"input": str(source), "error": in_words(error)}


def engine_of(codec: Codec) -> dict[str, str]:
    """Bundle and engine, which decide an output, too: engines may differ in a sample's last bit."""
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
        print(json.dumps(result), file=manner.out, flush=True)
    elif not manner.as_json and "error" not in result:
        print(_line(result), file=manner.out)


def _line(result: Result) -> str:
    try:
        size = f"{Path(result['output']).stat().st_size} bytes"
    except OSError:  # whoever waits for the outputs may take them as they come
        size = "taken away"
    shown = {k: v for k, v in result.items() if k not in ("input", "output", "stages", "resumed")}
    facts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()]
    done_before = ["done before"] if "resumed" in result else []
    return f"{result['output']}: {size} ({', '.join(done_before + facts)})"
