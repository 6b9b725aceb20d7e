"""Adding exact twins to codecs that decode y in passes: every network on integers, and the cost.

Calibration runs the float networks as CompressAI's ``compress`` does, with round(y - mean) + mean
as context, and both sides are measured by the bytes that they make. Decoded values enter an exact
graph as integers in units of a power of two: means are multiples of 2^-10 and symbols integers, so
that rounding them again gives the same everywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr.digits import apart
from latentsr.entropy import Coder, scale_indexes
from latentsr.entropy.tables import Tables
from latentsr.errors import ExportError
from latentsr_export.exact import quantise_side, thresholds, with_units
from latentsr_export.exact_context import GATE, GOAL
from latentsr_export.exact_layers import (
    LARGEST,
    OUTPUT_BITS,
    OUTPUT_RANGE,
    Grid,
    chain,
    pairs_of,
)
from latentsr_export.exact_parts import LEVELS, Latents, latents_of
from latentsr_export.networks.checkerboard import HALVES, pass_graphs
from latentsr_export.parts import CodecParts
from latentsr_export.passes import (
    EVEN,
    ODD,
    ChannelContext,
    Group,
    Halves,
    Parameters,
    Pass,
    Passes,
    SpatialContext,
    groups_of,
    modules,
    spatial_layer,
    without_spatial,
)

SUFFIX = "_exact"
_OUTPUT = (float(1 << OUTPUT_BITS), OUTPUT_RANGE)
Networks = Mapping[str, nn.Module]


class Enter(nn.Module):
    """Decoded values to integers: times a power of two, rounded, clipped by channel."""

    tops: Tensor

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.scale = float(grid.scales[0])
        self.register_buffer("tops", grid.tops.float().reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to integers of that shape."""
        rounded = torch.round(x * self.scale)
        return torch.maximum(torch.minimum(rounded, self.tops), -self.tops)


class Leave(Parameters):
    """Integers to scales and means."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 2 C, h, w) → scales in units of 2^-10, means, each (N, C, h, w)."""
        return with_units(*super().forward(x))


@dataclasses.dataclass
class Trace:
    """One latent sent through the passes: all values by name, symbols and scales by chunk."""

    values: dict[str, Tensor]
    coded: dict[str, tuple[Tensor, Tensor]]


def add_exact_passes(parts: CodecParts, pictures: Sequence[np.ndarray]) -> CodecParts:
    """Parts with an exact twin of every graph of the parameters, thresholds and notes.

    pictures: uint8 (H, W, 3), for calibration, also reduced by 2 and 4. Raises ExportError where a
    bound cannot be kept or the cost exceeds 1.5 % of the bytes of y.
    """
    passes = parts.passes
    assert passes is not None
    made, note = _cheapest(parts, passes, latents_of(parts, pictures))
    twins = pass_graphs(passes, parts.channels[0], made, SUFFIX)
    tables = {str(chunk["tables"]) for chunk in parts.chunks if "tables" in chunk}
    limits = {f"{t}.thresholds": thresholds(parts.tensors[f"{t}.scale_table"]) for t in tables}
    return dataclasses.replace(
        parts,
        graphs={**parts.graphs, **twins},
        entropy_graphs=(*parts.entropy_graphs, *twins),
        tensors={**parts.tensors, **limits},
        exact={name: name + SUFFIX for name in parts.entropy_graphs},
        notes={**parts.notes, "exact": note},
    )


def _cheapest(
    parts: CodecParts, passes: Passes, latents: Latents
) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """The networks on integers that make the fewest bytes, and what the manifest says of them."""
    traces = [send(passes, modules(passes), y, z_hat) for y, z_hat in latents]
    before = _bytes(parts, traces, exact=False)
    medians = torch.from_numpy(parts.tensors["z.medians"].copy())
    tried: list[tuple[int, int, _Quantiser]] = []
    faults = []
    for levels in LEVELS:
        try:
            made = _Quantiser(passes, traces, medians, levels)
        except ExportError as error:
            faults.append(error)
            continue
        found = [send(passes, made.networks, y, z_hat) for y, z_hat in latents]
        tried.append((_bytes(parts, found, exact=True), levels, made))
    if not tried:
        raise faults[0]
    after, levels, best = min(tried, key=lambda entry: entry[:2])
    cost = 100 * (after / before - 1)
    if cost > GATE:
        raise ExportError(
            f"exact passes cost too much: found {apart(cost, GATE, 2)} % more bytes, expected at "
            f"most {GATE} %; calibrate on pictures like yours, or export without the exact graph"
        )
    return best.networks, {
        "hidden_levels": levels, "rate_cost_percent": round(cost, 4),
        "rate_goal_percent": GOAL, "proof": best.proof,
    }  # fmt: skip


def send(passes: Passes, networks: Networks, y: Tensor, z_hat: Tensor) -> Trace:
    """Code one latent: y (1, M, H, W), ẑ. Values are named as in the routes."""
    split = torch.split(y, [group.channels for group in passes.groups], 1)
    values: dict[str, Tensor] = {"z_hat": z_hat}
    coded: dict[str, tuple[Tensor, Tensor]] = {}
    with torch.no_grad():
        sides = networks["entropy_parameters"](z_hat)
        values["side_anchor"], values["side_rest"] = sides
        for k, group in enumerate(passes.groups):
            context: tuple[Tensor, ...] = ()
            if group.channel is not None:
                hats = [values[f"y{s}_{h}_hat"] for s in group.sources for h in HALVES]
                context = networks[f"channel_{k}"](*hats)
            halves = Halves(nn.Identity())(split[k])
            for h, name in ((EVEN, "anchor"), (ODD, "rest")):
                given = [sides[h], *context[h : h + 1]]
                given += [values[f"y{k}_anchor_hat"]] if h else []
                scales, means = networks[f"{name}_{k}"](*given)
                symbols = torch.round(halves[h] - means)
                coded[f"y{k}_{name}"] = symbols, scales
                values[f"y{k}_{name}_hat"] = symbols + means
                if context:
                    values[f"channel_{k}_{name}"] = context[h]
    return Trace(values, coded)


def _bytes(parts: CodecParts, traces: Sequence[Trace], exact: bool) -> int:
    """Bytes of y over all latents."""
    total = 0
    for chunk in parts.chunks:
        if chunk["name"] == "z":
            continue
        tables, prefix = parts.tensors, str(chunk["tables"])
        coder = Coder(
            Tables(tables[f"{prefix}.cdf"], tables[f"{prefix}.length"], tables[f"{prefix}.offset"])
        )
        table = tables[f"{prefix}.scale_table"]
        limits = thresholds(table) if exact else table
        for trace in traces:
            symbols, scales = trace.coded[chunk["name"]]
            indexes = scale_indexes(scales.contiguous().numpy(), limits)
            total += len(coder.encode(symbols.to(torch.int32).numpy(), indexes))
    return total


class _Quantiser:
    """All networks on integers, with these hidden levels, and their proof."""

    def __init__(
        self, passes: Passes, traces: Sequence[Trace], medians: Tensor, levels: int
    ) -> None:
        self._traces, self._levels = traces, levels
        z_hats = [trace.values["z_hat"] for trace in traces]
        side, self._side = quantise_side(passes.h_s, z_hats, medians, levels)
        self.networks: dict[str, nn.Module] = {"entropy_parameters": Halves(side.module).eval()}
        self.proof = list(side.proof)
        for k, group in enumerate(passes.groups):
            self._group(k, group)

    def _group(self, k: int, group: Group) -> None:
        """The networks of one group."""
        grids, names = [self._side], ["side"]
        if group.channel is not None:
            grids, names = [self._channel(k, group, group.channel), self._side], ["channel", "side"]
        spatial, grid, seen = self._spatial(k, group)
        before = {
            half: [
                torch.cat([trace.values[_name(name, k, half)] for name in names], 1)
                for trace in self._traces
            ]
            for half in HALVES
        }
        even = without_spatial(group.aggregation, 2 * group.channels)
        self._pass(f"anchor_{k}", group, even, grids, before["anchor"], None)
        values = [torch.cat(pair, 1) for pair in zip(seen, before["rest"], strict=True)]
        self._pass(f"rest_{k}", group, group.aggregation, [grid, *grids], values, spatial)

    def _channel(self, k: int, group: Group, network: nn.Module) -> Grid:
        hats = [_decoded(trace, group.sources) for trace in self._traces]
        entered = _entered(hats, self._levels)
        links = chain(pairs_of(network), entered, hats, self._levels, f"channel {k}")
        made = ChannelContext(nn.Sequential(*links.layers), Enter(entered))
        self.networks[f"channel_{k}"] = made.eval()
        self.proof += links.proof
        return links.grid

    def _spatial(self, k: int, group: Group) -> tuple[SpatialContext, Grid, list[Tensor]]:
        """The context on integers, what it stands for, and what floats give."""
        hats = [trace.values[f"y{k}_anchor_hat"] for trace in self._traces]
        entered, layer = _entered(hats, self._levels), spatial_layer(group.spatial)
        links = chain([(layer, None, 1)], entered, hats, self._levels, f"spatial {k}")
        self.proof += links.proof
        plain = SpatialContext(layer, nn.Identity(), group.channels)
        made = SpatialContext(links.layers[0], Enter(entered), group.channels)
        # Its rows are put in turn: half as many channels, of the same scale.
        scale = float(links.grid.scales[0])
        grid = Grid.uniform(2 * group.channels, scale, float(self._levels))
        return made, grid, [plain(hat).detach() for hat in hats]

    def _pass(
        self,
        name: str,
        group: Group,
        network: nn.Module,
        grids: Sequence[Grid],
        values: Sequence[Tensor],
        spatial: SpatialContext | None,
    ) -> None:
        given = Grid.joined(grids)
        title = name.replace("_", " ")
        links = chain(pairs_of(network), given, values, self._levels, title, _OUTPUT)
        made = Pass(nn.Sequential(*links.layers), Leave(group.channels), spatial)
        self.networks[name] = made.eval()
        self.proof += links.proof


def _name(source: str, k: int, half: str) -> str:
    return f"side_{half}" if source == "side" else f"channel_{k}_{half}"


def _decoded(trace: Trace, groups: Sequence[int]) -> Tensor:
    """ŷ of some groups, put together."""
    return groups_of([trace.values[f"y{s}_{h}_hat"] for s in groups for h in HALVES])


def _entered(values: Sequence[Tensor], levels: int) -> Grid:
    """How decoded values enter: in units such that most fit the levels, each channel with room.

    A channel's top is twice what calibration shows of it: rare channels leave the others' weights
    their bits.
    """
    most = torch.stack([value.abs().amax((0, 2, 3)) for value in values]).amax(0).double()
    scale = 2.0 ** np.floor(np.log2(levels / max(2 * float(most.max()), 1.0)))
    tops = torch.clamp(torch.ceil(2 * most * scale), 1, LARGEST)
    return Grid(torch.full_like(tops, scale), tops)
