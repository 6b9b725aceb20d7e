"""What a system's networks cost: parameters, and multiply-accumulates for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from latentsr_export.parts import GraphSpec
from latentsr_export.system import System

_SIDE = 256  # of the picture: every stride up to 64 divides it
_FLOPS_PER_MAC = 2


@dataclass(frozen=True)
class Cost:
    """Of one graph: parameters, and MACs of convolutions for each pixel of the coded picture."""

    parameters: int
    macs_per_lr_pixel: float


@dataclass(frozen=True)
class RouteCost:
    """Of one route: MACs for each pixel of the coded picture, and of the one that it makes."""

    scale: int
    macs_per_lr_pixel: float
    macs_per_hr_pixel: float


def graph_costs(system: System) -> dict[str, Cost]:
    """Costs of the float graphs, by name."""
    specs = {**system.parts.graphs, **system.graphs}
    return {name: _cost(spec) for name, spec in specs.items()}


def route_costs(system: System, graphs: dict[str, Cost]) -> dict[str, RouteCost]:
    """Costs of the decode routes: what their graphs take together."""
    found = {}
    for name, route in system.routes.items():
        if route["kind"] == "decode":
            named = [step["graph"] for step in route["steps"] if step["op"] == "graph"]
            macs = sum(graphs[graph].macs_per_lr_pixel for graph in named)
            found[name] = RouteCost(route["scale"], macs, macs / route["scale"] ** 2)
    return found


def _cost(spec: GraphSpec) -> Cost:
    """Counted on shapes alone, without computing anything."""
    from torch.utils.flop_counter import FlopCounterMode

    named = (*spec.module.named_parameters(), *spec.module.named_buffers())
    tensors = {name: tensor.to("meta") for name, tensor in named}
    inputs = [
        torch.empty(1, f.channels, _SIDE // f.stride, _SIDE // f.columns, device="meta")
        for f in spec.feeds
    ]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        torch.func.functional_call(spec.module, tensors, tuple(inputs))
    macs = counter.get_total_flops() / _FLOPS_PER_MAC
    parameters = sum(parameter.numel() for parameter in spec.module.parameters())
    return Cost(parameters, macs / _SIDE**2)
