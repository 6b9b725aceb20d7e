"""`latentsr report`: shows a stored benchmark result again, as tables, HTML and Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentsr.files import named_path


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Files of `latentsr bench --json`; the first is the main one.", parser=named_path
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(help="Report, one HTML file.", parser=named_path)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Report as Markdown.", parser=named_path)
    ] = None,
) -> None:
    """Render stored results; further ones add their points and a section. No pictures then."""
    from latentsr.bench.run import Bench
    from latentsr.bench.schema import read_result
    from latentsr.report.publish import Targets, publish

    main, *others = map(read_result, results)
    publish(Bench(main, {}), Targets(html=html, markdown=markdown), others)
