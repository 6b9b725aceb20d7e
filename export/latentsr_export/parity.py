"""Parity: every written graph against torch on real pictures, through the runtime's own backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.errors import ExportError
from latentsr_export.parts import CodecParts, Feed, GraphSpec

# Two float32 libraries sum a few thousand terms in another order: relative 1e-4 is far above what
# was seen (1e-6), and far below what a wrong operator makes.
TOLERANCE = 1e-4

Table = dict[str, dict[str, dict[str, float]]]
Values = dict[str, tuple[torch.Tensor, ...]]


def check_parity(
    specs: Mapping[str, GraphSpec],
    graphs: Mapping[str, bytes],
    pictures: Sequence[np.ndarray],
    parts: CodecParts,
) -> Table:
    """Maximum and mean difference of each output of each graph over all pictures.

    pictures: uint8 (H, W, 3), padded to the codec's multiple. Returns, for each graph and output,
    {max_abs, mean_abs, peak}: largest and mean difference, and largest magnitude in torch.
    Raises ExportError where a difference exceeds 1e-4 of the peak, or 0 for an exact graph.
    """
    backend, options = get_backend("ort"), EngineOptions()
    engines = {name: backend.load(graphs[name], name, options) for name in specs}
    table: Table = {name: {out: _zero() for out in spec.outputs} for name, spec in specs.items()}
    for picture in pictures:
        values: Values = {"picture": (_tensor(picture, parts.multiple),)}
        for name in order(specs):
            spec = specs[name]
            given = [_given(feed, values) for feed in spec.feeds]
            with torch.no_grad():
                made = spec.module(*given)
            values[name] = expected = made if isinstance(made, tuple) else (made,)
            arrays = (np.ascontiguousarray(x.numpy()) for x in given)
            found = engines[name].run(dict(zip(spec.inputs, arrays, strict=True)))
            for port, tensor in zip(spec.outputs, expected, strict=True):
                _compare(table[name][port], found[port], tensor.numpy())
    return _finished(table, len(pictures), set(parts.exact.values()))


def order(specs: Mapping[str, GraphSpec]) -> list[str]:
    """Graph names such that each stands after the one that feeds it."""
    done: list[str] = []
    while len(done) < len(specs):
        ready = [
            name
            for name, spec in specs.items()
            if name not in done
            and all(feed.graph == "picture" or feed.graph in done for feed in spec.feeds)
        ]
        if not ready:
            raise ExportError(f"graphs feed each other in a circle: {sorted(specs)}")
        done += ready
    return done


def _given(feed: Feed, values: Values) -> torch.Tensor:
    x = values[feed.graph][feed.output]
    x = torch.round(x) if feed.rounded else x
    return x.clamp(0, 1) if feed.graph == "synthesis" else x


def _zero() -> dict[str, float]:
    return {"max_abs": 0.0, "mean_abs": 0.0, "peak": 0.0}


def _tensor(picture: np.ndarray, multiple: int) -> torch.Tensor:
    bottom, right = (-side % multiple for side in picture.shape[:2])
    padded = np.pad(picture, ((0, bottom), (0, right), (0, 0)), mode="edge")
    planes = np.ascontiguousarray(padded.transpose(2, 0, 1))
    return torch.from_numpy(planes)[None].float() / 255


def _compare(entry: dict[str, float], found: np.ndarray, expected: np.ndarray) -> None:
    if found.shape != expected.shape:
        raise ExportError(
            f"graph output has the wrong shape: found {found.shape}, expected {expected.shape}; "
            "the network cannot be traced with dynamic height and width"
        )
    with np.errstate(invalid="ignore"):  # infinity less infinity: NaN, which is told below
        difference = np.abs(found - expected)
    # numpy's maximum keeps NaN, which Python's loses where it comes second.
    entry["max_abs"] = float(np.maximum(entry["max_abs"], difference.max()))
    entry["mean_abs"] += float(difference.mean())
    entry["peak"] = float(np.maximum(entry["peak"], np.abs(expected).max()))


def _finished(table: Table, count: int, exact: set[str]) -> Table:
    for name, ports in table.items():
        for port, entry in ports.items():
            entry["mean_abs"] /= count
            if not np.isfinite(entry["peak"]):
                raise ExportError(
                    f"graph {name} makes values that are not finite: found {entry['peak']} at "
                    f"output {port} in torch, expected numbers; check the network's weights"
                )
            bound = 0.0 if name in exact else TOLERANCE * max(entry["peak"], 1.0)
            # `not <=` also catches NaN.
            if not entry["max_abs"] <= bound:
                raise ExportError(
                    f"graph {name} differs from torch: found {entry['max_abs']:.3g} at output "
                    f"{port}, expected at most {bound:.3g}; report the network"
                )
            for key in entry:
                entry[key] = float(f"{entry[key]:.4g}")
    return table
