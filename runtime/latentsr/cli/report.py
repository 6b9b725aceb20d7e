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
    from latentsr.files import check_apart, check_outputs
    from latentsr.report.form import check
    from latentsr.report.publish import Targets, publish

    targets = Targets(html=html, markdown=markdown)
    check_outputs(targets.paths())
    for source in results:
        for target in targets.paths():
            check_apart(source, target)
    main, *others = map(read_result, results)
    for source, result in zip(results, (main, *others), strict=True):
        check(result, str(source))
    publish(Bench(main, {}), targets, others)
