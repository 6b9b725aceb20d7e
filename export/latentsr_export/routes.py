"""The routes of a bundle, from the codec's steps and the SR networks that come with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentsr_export.networks.factorized import graph_step
from latentsr_export.parts import CodecParts, Step

_BASELINE_SCALE = 4


def make_routes(parts: CodecParts, scales: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Routes `encode`, `lr`, `bicubic`, and `latent_xK`, `pixel_xK` for the networks in `scales`.

    scales: keys ``latent`` and ``pixel``, each with its scale K, where such a network is there.
    """
    latent = list(parts.latent)
    pixels = [
        *latent,
        graph_step("synthesis", ["y_hat"], ["x_hat"]),
        {"op": "crop", "in": "x_hat", "out": "x_hat"},
    ]
    routes = {
        "encode": _route(
            "encode", 1, [{"op": "pad", "in": "picture", "out": "x"}, *parts.encode],
            "picture to stream",
        ),
        "lr": _route("decode", 1, [*pixels, _picture("x_hat")], "the plain decoded picture"),
        "bicubic": _route(
            "decode", _BASELINE_SCALE, [*pixels, _picture("x_hat"), _bicubic(_BASELINE_SCALE)],
            "bicubic enlargement of the decoded picture",
        ),
    }  # fmt: skip
    if "latent" in scales:
        k = scales["latent"]
        steps = [graph_step("latent_sr", ["y_hat"], ["hr"]),
                 {"op": "crop", "in": "hr", "out": "hr", "scale": k}, _picture("hr")]  # fmt: skip
        about = "latent SR decoder; never makes the low-resolution picture"
        routes[f"latent_x{k}"] = _route("decode", k, [*latent, *steps], about)
    if "pixel" in scales:
        k = scales["pixel"]
        steps = [{"op": "clamp", "in": "x_hat", "out": "x_hat"},
                 graph_step("pixel_sr", ["x_hat"], ["hr"]), _picture("hr")]  # fmt: skip
        about = "synthesis transform, then the pixel SR network"
        routes[f"pixel_x{k}"] = _route("decode", k, [*pixels, *steps], about)
    return routes


def _route(kind: str, scale: int, steps: list[Step], about: str) -> dict[str, Any]:
    return {"kind": kind, "scale": scale, "steps": steps, "about": about}


def _picture(value: str) -> Step:
    return {"op": "picture", "in": value, "out": "picture"}


def _bicubic(scale: int) -> Step:
    step = {"op": "resize", "in": "picture", "out": "picture"}
    return {**step, "scale": scale, "filter": "bicubic"}
