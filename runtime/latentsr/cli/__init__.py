"""The command line `latentsr`: commands come from the entry-point group `latentsr.commands`."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

from latentsr.errors import LatentSRError

GROUP = "latentsr.commands"
EXIT_BAD_INPUT = 2


def main() -> None:
    """Run the command line; a LatentSRError ends in its message and exit code 2."""
    import typer

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
    try:
        app()
    except LatentSRError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
