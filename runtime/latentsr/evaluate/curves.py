"""The curves of a rate-distortion plot, of one evaluation or several: what belongs to one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentsr.errors import UsageError
from latentsr.evaluate.anchors import ORIGINAL

SAME_LINE = 1e-6  # figures of the original anchor that differ by less are of one network


@dataclass(frozen=True)
class Spot:
    """One bundle's means: bpp of HR (None for the original anchor) and the figure."""

    label: str
    bpp: float | None
    value: float
    std: float


@dataclass(frozen=True)
class Curve:
    """One line of the plot. series: number of its colour, which all anchors of a route share."""

    name: str
    series: int
    anchor: str | None
    spots: tuple[Spot, ...]


def curves(results: Sequence[dict[str, Any]], figure: str) -> list[Curve]:
    """Curves of one figure, routes of equal codec family and scale joined over the bundles."""
    bundles = [{b["label"]: b for b in result["bundles"]} for result in results]
    kinds = {(b["family"], b["scale"]) for group in bundles for b in group.values()}
    spots: dict[tuple[str, str | None], list[Spot]] = {}
    names: list[str] = []
    for result, known in zip(results, bundles, strict=True):
        for one in result["summary"]:
            bundle, spread = known[one["bundle"]], one["figures"][figure]
            name = one["route"]
            if len(kinds) > 1:
                name = f"{bundle['family']} ×{bundle['scale']}: {name}"
            names.append(name)
            if spread["mean"] is not None:
                bpp = one["rate"]["bpp_hr"]["mean"] if one["rate"] else None
                spot = Spot(bundle["label"], bpp, spread["mean"], spread["std"])
                spots.setdefault((name, one["anchor"]), []).append(spot)
    series = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [
        Curve(name, series[name], anchor, _sorted(found, anchor))
        for (name, anchor), found in spots.items()
    ]


def _sorted(spots: list[Spot], anchor: str | None) -> tuple[Spot, ...]:
    """By rate; of the original anchor one spot for each value, as bundles may share a network."""
    if anchor != ORIGINAL:
        return tuple(sorted(spots, key=lambda spot: spot.bpp or 0.0))
    kept: list[Spot] = []
    for spot in spots:
        if all(abs(spot.value - other.value) > SAME_LINE for other in kept):
            kept.append(spot)
    return tuple(kept)


def same_protocol(results: Sequence[Mapping[str, Any]]) -> None:
    """Raise UsageError where evaluations cannot share a plot: other pictures or other rules.

    Of each only `settings` and `pictures` are read.
    """
    for result in results[1:]:
        for key in ("reduction", "border"):
            first, other = (one["settings"][key] for one in (results[0], result))
            if first != other:
                raise UsageError(
                    f"evaluations differ in {key}: found {first} and {other}, expected one; "
                    "evaluate again with equal settings"
                )
        if set(result["pictures"]) != set(results[0]["pictures"]):
            raise UsageError(
                f"evaluations differ in their pictures: found {len(results[0]['pictures'])} and "
                f"{len(result['pictures'])}, expected the same names; evaluate again on one folder"
            )
