"""An evaluation on the terminal: rate and a table of figures for each bundle, and cautions."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latentsr.evaluate.metrics import BUILT_IN
from latentsr.evaluate.reduction import OWN_REDUCTION, OWN_ROUTE
from latentsr.report.wording import MISSING, fixed, plain, plural

_HEADS = {"psnr": "PSNR dB", "psnr_y": "PSNR-Y dB", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}
_REDUCED_BY = {
    "matlab": "bicubic reduction as MATLAB has it",
    "pillow": "bicubic reduction as Pillow has it",
    OWN_REDUCTION: f"reduced as the bundle's {OWN_ROUTE} does",
}
_NAMES = {key: head.removesuffix(" dB") for key, head in _HEADS.items()}
_DECIMALS = {"psnr": 2, "psnr_y": 2}


def print_result(result: dict[str, Any], console: Console) -> None:
    """Means and deviations over the pictures; result: of `latentsr.evaluate.schema`, checked."""
    shown = plain(result)
    for bundle in shown["bundles"]:
        summary = [one for one in shown["summary"] if one["bundle"] == bundle["label"]]
        if summary:
            _print_bundle(bundle, summary, shown, console)
    console.print(Text(f"protocol: {'; '.join(protocol_words(shown))}", style="dim"))
    for metric in shown["settings"]["metrics"]:
        console.print(Text(f"{metric['name']}: {metric['about']}", style="dim"))
    for caution in cautions(shown):
        console.print(Text(f"caution: {caution}", style="yellow"))


def protocol_words(result: dict[str, Any]) -> list[str]:
    """Under which rules the figures were made, in a few parts."""
    settings = result["settings"]
    border = settings["border"]
    part = f"without {plural(border, 'pixel')} at every side" if border else "of whole pictures"
    return [
        _REDUCED_BY[settings["reduction"]],
        f"bpp of whole streams, figures {part} (border {border})",
        "original anchor: the same enlargement of the LR picture that was never coded",
    ]


def cautions(result: dict[str, Any]) -> list[str]:
    """What a reader must know before using the figures."""
    said = [
        f"{bundle['label']} has random weights: its figures of quality and rate mean nothing"
        for bundle in result["bundles"]
        if bundle["random_weights"]
    ]
    said += [
        f"{metric['name']} has random weights: its figures mean nothing"
        for metric in result["settings"]["metrics"]
        if metric["random_weights"]
    ]
    said += _partial(result)
    failed = len({failure["picture"] for failure in result["failures"]})
    if failed:
        said.append(
            f"{plural(failed, 'picture')} of {len(result['pictures'])} failed and "
            f"{'is' if failed == 1 else 'are'} not in the means"
        )
    return said


def _partial(result: dict[str, Any]) -> list[str]:
    """Which means are not over all pictures, and of which routes where not of all."""
    owners: dict[tuple[str, str, int, int], list[str]] = {}
    for one in result["summary"]:
        for figure, spread in one["figures"].items():
            if 0 < spread["count"] < one["pictures"]:
                key = one["bundle"], figure, spread["count"], one["pictures"]
                name = f"{one['route']} {one['anchor'] or ''}".rstrip()
                owners.setdefault(key, []).append(name)
    lines = Counter(one["bundle"] for one in result["summary"])
    found = []
    for (bundle, figure, count, pictures), names in owners.items():
        whose = f" ({', '.join(names)})" if len(names) < lines[bundle] else ""
        why = "equal to HR" if figure in _DECIMALS else "too small"
        found.append(
            f"{bundle}: {_NAMES.get(figure, figure)}{whose} of {count} of {pictures} pictures "
            f"only, the others are {why}"
        )
    return found


def _print_bundle(
    bundle: dict[str, Any],
    summary: list[dict[str, Any]],
    result: dict[str, Any],
    console: Console,
) -> None:
    random = ", random weights" if bundle["random_weights"] else ""
    pictures = plural(summary[0]["pictures"], "picture")
    head = f"{bundle['label']} ({bundle['family']}{random}), ×{bundle['scale']}, {pictures}"
    console.print(Text(head, style="bold"))
    rate = next(one["rate"] for one in summary if one["rate"])
    console.print(
        f"rate: {_spread(rate['bpp_hr'], 4)} bpp of HR, {_spread(rate['bpp_lr'], 3)} of LR, "
        f"{_spread(rate['bytes'], 0)} bytes"
    )
    console.print(
        f"raw 8-bit picture over stream: {_spread(rate['ratio_hr'], 1)} HR, "
        f"{_spread(rate['ratio_lr'], 1)} LR"
    )
    further = [metric["name"] for metric in result["settings"]["metrics"]]
    names = [*BUILT_IN, *further]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("route", "anchor"):
        table.add_column(name, no_wrap=True)
    for name in names:
        table.add_column(Text(_HEADS.get(name, name)), justify="right", no_wrap=True)
    for one in summary:
        cells = [_spread(one["figures"][name], _DECIMALS.get(name, 4)) for name in names]
        table.add_row(Text(one["route"]), one["anchor"] or MISSING, *cells)
    console.print(table)
    console.print()


def _spread(value: dict[str, float | None], decimals: int) -> str:
    mean, std = value["mean"], value["std"]
    if mean is None or value["count"] == 1:  # one picture has no deviation
        return fixed(mean, decimals)
    return f"{fixed(mean, decimals)} ± {fixed(std, decimals)}"
