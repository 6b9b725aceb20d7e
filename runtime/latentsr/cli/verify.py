"""`latentsr verify`: does every engine here decode what every other engine encoded?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from latentsr.cli.options import JsonOption

if TYPE_CHECKING:
    from latentsr.report.verify import Verification


def verify(
    bundle: Annotated[str, typer.Argument(help="Bundle folder NAME.lsr, or demo.")] = "demo",
    pictures: Annotated[
        list[str] | None, typer.Argument(help="Pictures; default: the shipped one.")
    ] = None,
    use_float: Annotated[
        bool, typer.Option("--float", help="Use the float graphs, to see what they do.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Encode and decode with every backend and thread count, and count what differs."""
    from rich.console import Console
    from rich.progress import track

    from latentsr.bundle import DEMO
    from latentsr.cli import EXIT_BAD_INPUT
    from latentsr.files import PICTURES, expand
    from latentsr.image import to_rgb8
    from latentsr.report.verify import available
    from latentsr.report.verify import verify as run

    files = expand(pictures or [DEMO.parent / "coffee.png"], PICTURES)
    console = Console(stderr=True)
    shown = track(files, console=console, disable=not console.is_terminal, transient=True)
    codecs = available(bundle)
    result = run(codecs, [to_rgb8(path) for path in shown], exact=not use_float)
    facts = result.as_dict()
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print(result)
    if facts["differing_indexes"] or facts["differing_symbols"] or facts["desyncs"]:
        raise typer.Exit(EXIT_BAD_INPUT)


def _print(result: Verification) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110, highlight=False)
    columns = [f"decoded by {name}" for name in result.combinations]
    table = Table("encoded by", *columns, box=box.SIMPLE,
                  title="differing indexes / symbols / desyncs")  # fmt: skip
    for encoder in result.combinations:
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
    if not result.symbols:
        console.print("the stream is a file that no engine writes or reads: no symbols to compare")
    if result.contexts:
        console.print(
            f"chunk {', '.join(result.contexts)}: a context model; its symbols are compared, its "
            "scale indexes never leave the coder"
        )
