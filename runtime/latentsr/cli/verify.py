"""`latentsr verify`: does every engine here decode what every other encoded, here or elsewhere?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentsr.cli.options import JsonOption
from latentsr.files import output_path

if TYPE_CHECKING:
    from latentsr.report.verify import Verification
    from latentsr.report.verify_file import Encoded


def verify(
    bundle: Annotated[str, typer.Argument(help="Bundle folder NAME.lsr, or demo.")] = "demo",
    pictures: Annotated[
        list[str] | None, typer.Argument(help="Pictures; default: the shipped one.")
    ] = None,
    use_float: Annotated[
        bool, typer.Option("--float", help="Use the float graphs, to see what they do.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(help="Write what was encoded, for --with elsewhere.", parser=output_path),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--with", help="Decode, too, what --save wrote on another machine."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Encode and decode with every backend and thread count, and count what differs."""
    from rich.console import Console
    from rich.progress import track

    from latentsr.bundle import DEMO
    from latentsr.cli import EXIT_BAD_INPUT
    from latentsr.files import PICTURES, check_apart, check_outputs, expand
    from latentsr.image import to_rgb8
    from latentsr.report.verify import available
    from latentsr.report.verify import verify as run
    from latentsr.report.verify_file import write

    if save is not None:
        check_outputs([save])
        for name in given or []:
            check_apart(Path(name), save)
    others = _others(given or [])
    files = expand(pictures or [DEMO.parent / "coffee.png"], PICTURES)
    console = Console(stderr=True)
    shown = track(files, console=console, disable=not console.is_terminal, transient=True)
    codecs = available(bundle)
    read = [to_rgb8(path) for path in shown]
    result = run(codecs, read, exact=not use_float, others=others, keep=save is not None)
    if save is not None:
        write(save, result.encoded)
    facts = result.as_dict()
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print(result)
    if facts["differing_indexes"] or facts["differing_symbols"] or facts["desyncs"]:
        raise typer.Exit(EXIT_BAD_INPUT)


def _others(names: list[str]) -> dict[str, list[Encoded]]:
    """What files hold, by the file's name and the encoder's."""
    from latentsr.errors import UsageError
    from latentsr.files import named_path
    from latentsr.report.verify_file import read

    found: dict[str, list[Encoded]] = {}
    for path in map(named_path, names):
        for encoder, encoded in read(path).items():
            name = f"{path.stem}: {encoder}"
            if name in found:
                raise UsageError(
                    f"files have the same name: found {path.stem} twice, expected different ones; "
                    "rename one of them"
                )
            found[name] = encoded
    return found


def _print(result: Verification) -> None:
    from rich import box
    from rich.table import Table

    from latentsr.cli.plain_console import PlainConsole

    console = PlainConsole(110)
    columns = [f"decoded by {name}" for name in result.combinations]
    table = Table("encoded by", *columns, box=box.SIMPLE,
                  title="differing indexes / symbols / desyncs")  # fmt: skip
    for encoder in result.encoders:
        row = [cell for cell in result.cells if cell.encoder == encoder]
        table.add_row(encoder, *(f"{c.differing_indexes} / {c.differing_symbols} / {c.desyncs}"
                                 for c in row))  # fmt: skip
    console.print(table)
    parity = Table("value", "largest difference", box=box.SIMPLE, title="parity across engines")
    for name, difference in result.parity.items():
        parity.add_row(name, f"{difference:.3g}")
    console.print(parity)
    facts = result.as_dict()
    console.print(
        f"{result.pictures} pictures, {result.symbols} symbols each way, "
        f"{len(result.cells)} pairs: {facts['differing_indexes']} differing indexes, "
        f"{facts['differing_symbols']} differing symbols, {facts['desyncs']} desyncs, "
        f"{facts['repaired_indexes']} indexes repaired"
    )
    for encoder, symbols in result.others.items():
        console.print(f"{encoder}: {symbols} symbols, decoded by every engine here")
    if not result.symbols:
        console.print("the stream is a file that no engine writes or reads: no symbols to compare")
    if result.contexts:
        console.print(
            f"chunk {', '.join(result.contexts)}: a context model; its symbols are compared, its "
            "scale indexes never leave the coder"
        )
