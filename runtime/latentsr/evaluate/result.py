"""Rows of an evaluation to its result: means and deviations, settings, versions."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from latentsr.bench.machine import describe_machine
from latentsr.evaluate.metrics import Metric
from latentsr.evaluate.schema import RATE, SCHEMA, SCHEMA_VERSION

if TYPE_CHECKING:
    from latentsr.evaluate.plan import Settings
    from latentsr.evaluate.protocol import Evaluated

CROP = "HR cut at the right and below to a multiple of the scale"


def assemble(
    settings: Settings, found: Evaluated, pictures: Sequence[str], further: Mapping[str, Metric]
) -> dict[str, Any]:
    """The result as `latentsr.evaluate.schema` describes it, without the command."""
    machine: dict[str, Any] = describe_machine()
    return {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"), "command": None,
        "versions": {"python": machine["python"], **machine["versions"]},
        "settings": {
            "backend": settings.backend, "device": settings.device, "threads": settings.threads,
            "reduction": settings.reduction, "border": settings.border, "crop": CROP,
            "metrics": [{"name": name, "about": metric.about,
                         "random_weights": metric.random_weights}
                        for name, metric in further.items()],
        },
        "pictures": list(pictures), "bundles": found.bundles, "rows": found.rows,
        "summary": summarise(found.rows), "failures": found.failures,
    }  # fmt: skip


def summarise(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Spreads over the pictures of each bundle, route and anchor, in the order of the rows."""
    groups: dict[tuple[str, str, str | None], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["bundle"], row["route"], row["anchor"]), []).append(row)
    return [
        {
            "bundle": bundle, "route": route, "anchor": anchor, "pictures": len(group),
            "rate": _spreads([row["rate"] for row in group], RATE) if group[0]["rate"] else None,
            "figures": _spreads([row["figures"] for row in group], group[0]["figures"]),
        }
        for (bundle, route, anchor), group in groups.items()
    ]  # fmt: skip


def _spreads(
    values: Sequence[Mapping[str, float | None]], names: Iterable[str]
) -> dict[str, dict[str, float | None]]:
    return {name: spread([one[name] for one in values]) for name in names}


def spread(values: Iterable[float | None]) -> dict[str, float | None]:
    """{mean, std, count} of the values that are there; std divides by their count."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "std": None, "count": 0}
    return {"mean": statistics.fmean(known), "std": statistics.pstdev(known), "count": len(known)}
