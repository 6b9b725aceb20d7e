"""The papers' protocol: HR → LR → stream → each route's picture, compared with HR.

Each HR picture is cut to a multiple of the scale, reduced by it, by a filter or as the bundle
itself does, and coded; every route decodes the same stream. Routes that go through the LR picture
are run on the uncompressed one as well: see `latentsr.evaluate.anchors`. Rates are those of whole
streams, header and checksums included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.bench.inputs import crop_to_scale
from latentsr.codec import Codec, load
from latentsr.errors import LatentSRError, UsageError
from latentsr.evaluate import result
from latentsr.evaluate.anchors import DECODED, ORIGINAL, Tail, find_tail, upscale_original
from latentsr.evaluate.curves import same_protocol
from latentsr.evaluate.metrics import Metric, compare, find_metrics
from latentsr.evaluate.plan import Plan, Settings, make_plans, picture_names
from latentsr.evaluate.reduction import OWN_REDUCTION, OWN_ROUTE, REDUCTIONS
from latentsr.files import PICTURES, expand
from latentsr.image import Picture, to_rgb8

Say = Callable[[str], None]


@dataclass
class Evaluated:
    """What was found: a description and rows for each bundle, and pictures that failed."""

    bundles: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)


def run_evaluation(
    settings: Settings,
    say: Say = lambda text: None,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Evaluate as `settings` say; returns a result as `latentsr.evaluate.schema` describes it.

    say: told what is going on. earlier: results that this one shall be plotted with; they must
    be of the same pictures and rules. A picture that cannot be read, coded or decoded is listed
    among the failures. Raises LatentSRError for all else, and where no picture was left.
    """
    plans = make_plans(settings)
    further = find_metrics(settings.metrics)
    files = expand([settings.pictures], PICTURES)
    names = picture_names(files)
    rules = {"reduction": settings.reduction, "border": settings.border}
    same_protocol([{"settings": rules, "pictures": names}, *earlier])
    found = Evaluated()
    for plan in plans:
        with load(plan.path, settings.backend, settings.device, settings.threads) as codec:
            chains = _Chains(codec, plan, settings, further)
            for name, path in zip(names, files, strict=True):
                say(f"{plan.label}: {name}")
                _add(found, chains, name, path)
            found.bundles.append(_describe(codec, plan))
    if not found.rows:
        first = found.failures[0]
        raise UsageError(
            f"nothing could be evaluated: found no good picture among {len(names)}, expected at "
            f"least one; the first, {first['picture']}: {first['error']}"
        )
    return result.assemble(settings, found, names, further)


def _add(found: Evaluated, chains: _Chains, name: str, path: Path) -> None:
    """Rows of one picture: all of them or, where one route fails, none."""
    labels = {"bundle": chains.plan.label, "picture": name}
    try:
        rows = chains.rows(to_rgb8(path))
    except LatentSRError as error:
        found.failures.append({**labels, "error": str(error)})
    else:
        found.rows += [{**labels, **row} for row in rows]


@dataclass
class _Chains:
    """One bundle's routes and anchors. tails: of the routes that have run."""

    codec: Codec
    plan: Plan
    settings: Settings
    further: Mapping[str, Metric]
    tails: dict[str, Tail | None] = field(default_factory=dict)

    def rows(self, picture: Picture) -> list[dict[str, Any]]:
        """A row for each route and anchor, of an HR picture of any size."""
        high = crop_to_scale(picture, self.plan.scale)
        low = self._reduced(high)
        stream = self.codec.encode(low)
        size = {"width": high.shape[1], "height": high.shape[0],
                "lr_width": low.shape[1], "lr_height": low.shape[0]}  # fmt: skip
        return [
            {
                "route": route, "anchor": anchor, **size,
                "rate": None if anchor == ORIGINAL else _rate(len(stream), high, low),
                "figures": compare(made, high, self.settings.border, self.further),
            }
            for route in self.plan.routes
            for anchor, made in self._pictures(route, stream, low)
        ]  # fmt: skip

    def _reduced(self, high: Picture) -> Picture:
        """The LR picture, by a filter or by what the bundle has for it."""
        scale, kind = self.plan.scale, self.settings.reduction
        if kind != OWN_REDUCTION:
            return REDUCTIONS[kind](high, scale)
        low: Picture = self.codec.run_encode(high, OWN_ROUTE, True).values["picture"]
        # A bundle may fill sides up, to the right and below, before it reduces.
        return np.ascontiguousarray(low[: high.shape[0] // scale, : high.shape[1] // scale])

    def _pictures(
        self, route: str, stream: bytes, low: Picture
    ) -> Iterator[tuple[str | None, np.ndarray]]:
        """(anchor, HR picture) of a route, and of its tail on the uncoded LR picture."""
        if route not in self.tails:
            self.tails[route] = find_tail(self.codec, route, stream)
        tail = self.tails[route]
        yield None if tail is None else DECODED, self.codec.decode(stream, route)
        if tail is not None:
            yield ORIGINAL, upscale_original(self.codec, tail, low)


def _rate(size: int, original: Picture, low: Picture) -> dict[str, float]:
    """Figures of a stream of `size` bytes: bpp and compression ratio against raw 8-bit RGB."""
    high_pixels, low_pixels = (x.shape[0] * x.shape[1] for x in (original, low))
    return {
        "bytes": size, "bpp_hr": 8 * size / high_pixels, "bpp_lr": 8 * size / low_pixels,
        "ratio_hr": original.nbytes / size, "ratio_lr": low.nbytes / size,
    }  # fmt: skip


def _describe(codec: Codec, plan: Plan) -> dict[str, Any]:
    manifest = codec.bundle.manifest
    graphs = [step["graph"] for name in plan.routes for step in manifest.routes[name].steps
              if step["op"] == "graph"]  # fmt: skip
    return {
        "label": plan.label, "name": manifest.name, "family": manifest.family,
        "fingerprint": codec.bundle.fingerprint.hex(),
        "bytes": sum(file.size for file in manifest.files.values()),
        "random_weights": bool(manifest.raw.get("random_weights", False)),
        "scale": plan.scale, "runs_on": codec.engine(graphs[-1]).runs_on if graphs else "",
        "routes": list(plan.routes),
    }  # fmt: skip
