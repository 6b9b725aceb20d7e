"""The command line `latentsr`: commands come from the entry-point group `latentsr.commands`."""

from __future__ import annotations

import io
import signal
import sys
import warnings
from importlib.metadata import entry_points

from latentsr.errors import LatentSRError

GROUP = "latentsr.commands"
EXIT_BAD_INPUT = 2
_SHOWN = 200  # characters of a file's name


def main() -> None:
    """Run the command line; bad input ends in one line and exit code 2.

    So do files that the system refuses and memory that it has not: the trace of those says nothing.
    """
    import typer

    _print_anything()
    # Pillow's, of files that it opens all the same; by its text, as loading Pillow takes a while.
    warnings.filterwarnings("ignore", r"Image size \(\d+ pixels\) exceeds limit of")
    app = typer.Typer(
        name="latentsr",
        help="Learned image codecs with super-resolution in the latent domain.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback(invoke_without_command=True)
    def root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
        if version:
            import latentsr

            typer.echo(f"latentsr {latentsr.__version__}")
            raise typer.Exit

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        app.command(entry.name)(entry.load())
    # As Ctrl-C does: what is begun is put in order, and no temporary files are left.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except (LatentSRError, OSError, MemoryError) as error:
        print(f"error: {in_words(error)}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


def _print_anything() -> None:
    """Let no character end the command: names of files hold what the terminal's encoding may not.

    Such characters are printed as escapes, on stdout as Python prints them on stderr anyway.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def in_words(error: LatentSRError | OSError | MemoryError) -> str:
    """What a user is told of an error, in one line."""
    if isinstance(error, LatentSRError):
        return str(error)
    if isinstance(error, OSError):
        named = error.filename if isinstance(error.filename, str) else "a file"
        named = named if len(named) <= _SHOWN else f"{named[:_SHOWN]}…"
        return (
            f"file cannot be used: found {error.strerror or error} for {named}, "
            "expected one that can be read or written; choose another"
        )
    return (
        "memory ran out: found none for a picture or what makes it, expected some; make it in "
        "tiles, such as --memory 1GiB, or smaller"
    )
