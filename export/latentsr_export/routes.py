"""The routes of a bundle, from the codec's steps and the SR networks that come with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latentsr.errors import ExportError
from latentsr_export.parts import CodecParts, Step, graph_step

_BASELINE_SCALE = 4
FILTERS = ("bicubic", "lanczos")
Routes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Chain:
    """A decode route of networks one behind the other.

    graphs: of one input and one output each. steps: in place of graphs, where that is not so; the
    first output of the last is the picture. scale: of all together. latent: the first takes ŷ,
    otherwise the decoded picture, limited to 0..1 where `clamp`.
    """

    route: str
    graphs: tuple[str, ...]
    scale: int
    about: str
    latent: bool = False
    clamp: bool = True
    steps: tuple[Step, ...] = ()


def make_routes(parts: CodecParts, chains: Sequence[Chain] = ()) -> Routes:
    """Routes `encode`, `encode_hr`, `lr`, `bicubic`, `lanczos`, and one for each chain.

    `encode_hr` reduces the picture by the scale of the first chain that enlarges (4 where none
    does), which is also that of the filters; chains of other scales K get `bicubic_xK` and so on.
    Raises ExportError where two routes would have one name.
    """
    scales = list(dict.fromkeys(chain.scale for chain in chains if chain.scale > 1))
    first = scales[0] if scales else _BASELINE_SCALE
    low = [*parts.latent, *parts.show]
    whole = [*parts.enter, *parts.encode]
    reduced = [_resampling("reduce", first, "bicubic"), *whole]
    named = [
        ("encode", _route("encode", 1, whole, "picture to stream")),
        ("encode_hr", _route("encode", 1, reduced,
                             f"HR picture, reduced by {first} (bicubic), to stream")),
        ("lr", _route("decode", 1, low, "the plain decoded picture")),
    ]  # fmt: skip
    for k in scales or [_BASELINE_SCALE]:
        for name in FILTERS:
            about = f"{name} enlargement of the decoded picture"
            steps = [*low, _resampling("resize", k, name)]
            route = name if k == first else f"{name}_x{k}"
            named.append((route, _route("decode", k, steps, about)))
    named += [(chain.route, _chain_route(parts, chain)) for chain in chains]
    doubled = sorted({name for name, _ in named if [n for n, _ in named].count(name) > 1})
    if doubled:
        raise ExportError(
            f"routes have one name: found {doubled[0]} twice, expected different names; name the "
            "networks otherwise"
        )
    return dict(named)


def _chain_route(parts: CodecParts, chain: Chain) -> dict[str, Any]:
    value = "y_hat" if chain.latent else "x_hat"
    steps = [*parts.latent] if chain.latent else [*parts.latent, *parts.pixels]
    if chain.clamp and not chain.latent:
        steps.append({"op": "clamp", "in": value, "out": value})
    if chain.steps:
        steps += chain.steps
        value = chain.steps[-1]["out"][0]
    for graph in chain.graphs:
        made = "hr" if graph == chain.graphs[-1] else graph
        steps.append(graph_step(graph, [value], [made]))
        value = made
    if chain.latent:
        steps.append({"op": "crop", "in": value, "out": value, "scale": chain.scale})
    steps.append({"op": "picture", "in": value, "out": "picture"})
    return _route("decode", chain.scale, steps, chain.about)


def _route(kind: str, scale: int, steps: list[Step], about: str) -> dict[str, Any]:
    return {"kind": kind, "scale": scale, "steps": steps, "about": about}


def _resampling(op: str, scale: int, name: str) -> Step:
    return {"op": op, "in": "picture", "out": "picture", "scale": scale, "filter": name}
