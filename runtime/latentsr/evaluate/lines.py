"""An evaluation as CSV: one line for each picture, route and anchor."""

from __future__ import annotations

import csv
import io
from typing import Any

from latentsr.evaluate.metrics import BUILT_IN
from latentsr.evaluate.schema import RATE

_BUNDLE = ("name", "family", "random_weights", "scale")
_ROW = ("picture", "route", "anchor", "width", "height", "lr_width", "lr_height")
_SETTINGS = ("reduction", "border")


def as_csv(result: dict[str, Any]) -> str:
    """All rows; cells are empty where a figure is null, as the rate of the original anchor is.

    Further metrics are the last columns.
    """
    metrics = [*BUILT_IN, *(metric["name"] for metric in result["settings"]["metrics"])]
    bundles = {bundle["label"]: bundle for bundle in result["bundles"]}
    settings = [result["settings"][key] for key in _SETTINGS]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["bundle", *_BUNDLE, *_ROW, *_SETTINGS, *RATE, *metrics])
    for row in result["rows"]:
        rate = row["rate"] or dict.fromkeys(RATE)
        writer.writerow([
            row["bundle"], *(bundles[row["bundle"]][key] for key in _BUNDLE),
            *(row[key] for key in _ROW), *settings, *(rate[key] for key in RATE),
            *(row["figures"][name] for name in metrics),
        ])  # fmt: skip
    return out.getvalue()
