"""Codecs that decode y in passes: cheng2020-anchor-checkerboard and ELIC, as CompressAI has them.

He et al. 2021 (arXiv 2103.15306) and He et al. 2022 (arXiv 2203.10886): y at stride 16, z at
stride 64; each pass is a graph and a chunk of its own. See `latentsr_export.passes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.networks.factorized import (
    ENTROPY_DECODE_Z,
    bottleneck_tensors,
    cdf_tensors,
    graph_step,
    transforms,
)
from latentsr_export.parts import CodecParts, Feed, GraphSpec, Step
from latentsr_export.passes import Group, Join, Passes, Split, modules

HALVES = ("anchor", "rest")
STRIDE, COLUMNS = 16, 32


class Cheng2020Checkerboard:
    """CompressAI's ``Cheng2020AnchorCheckerboard``."""

    NAME = "cheng2020-anchor-checkerboard"

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Residual blocks in g_a, and one checkerboard convolution over all of y."""
        return {"g_a.0.conv1.weight", "latent_codec.y.context_prediction.mask"} <= set(state)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights."""
        from compressai.models import Cheng2020AnchorCheckerboard

        network: nn.Module = Cheng2020AnchorCheckerboard.from_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """A graph and a chunk for each half."""
        net: Any = network
        codec = net.latent_codec.y
        m = codec.context_prediction.in_channels
        group = Group(m, (), None, codec.context_prediction, codec.entropy_parameters)
        return parts_of(net, self.NAME, (group,), [codec.y.gaussian_conditional])


class Elic2022Official:
    """CompressAI's ``Elic2022Official``: each group sees all groups before it."""

    NAME = "elic2022-official"
    _model = "Elic2022Official"
    _transposed = True

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Groups with a checkerboard each; h_s ends with a transposed convolution."""
        last, bottleneck = (state.get(f"latent_codec.hyper.{k}") for k in _HYPER)
        if "latent_codec.y.latent_codec.y0.context_prediction.mask" not in state:
            return False
        if last is None or bottleneck is None:
            return False
        narrow = bottleneck.shape[0]
        return (last.shape[0] == narrow * 3 // 2) == self._transposed

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights; CompressAI's own way knows the usual groups only."""
        from compressai import models

        prefix = "latent_codec.y.latent_codec.y{}.context_prediction.mask"
        groups: list[int] = []
        while (mask := state.get(prefix.format(len(groups)))) is not None:
            groups.append(mask.shape[1])
        narrow = state["g_a.0.weight"].shape[0]
        network: nn.Module = getattr(models, self._model)(narrow, sum(groups), groups)
        network.load_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """A graph and a chunk for each half of each group."""
        net: Any = network
        y = net.latent_codec.y
        groups = tuple(self._group(y, k) for k in range(len(y.groups)))
        coders = [y.latent_codec[f"y{k}"].y.gaussian_conditional for k in range(len(y.groups))]
        return parts_of(net, self.NAME, groups, coders)

    def _group(self, y: Any, k: int) -> Group:
        codec = y.latent_codec[f"y{k}"]
        aggregation = codec.entropy_parameters
        if codec.y.chunks == ("means", "scales"):
            aggregation = _scales_first(aggregation)
        channel = y.channel_context[f"y{k}"] if k else None
        return Group(y.groups[k], self._sources(k), channel, codec.context_prediction, aggregation)

    def _sources(self, k: int) -> tuple[int, ...]:
        return tuple(range(k))


class Elic2022Chandelier(Elic2022Official):
    """CompressAI's ``Elic2022Chandelier``: each group sees the first and the one before it."""

    NAME = "elic2022-chandelier"
    _model = "Elic2022Chandelier"
    _transposed = False

    def _sources(self, k: int) -> tuple[int, ...]:
        return tuple(sorted({0, k - 1})) if k else ()


_HYPER = ("h_s.4.weight", "entropy_bottleneck.quantiles")


def parts_of(net: Any, family: str, groups: tuple[Group, ...], coders: list[Any]) -> CodecParts:
    """Everything the exporter needs of a codec with passes."""
    hyper = net.latent_codec.hyper
    passes, n = Passes(hyper.h_s, groups), hyper.entropy_bottleneck.channels
    sizes = [group.channels for group in groups]
    names = [f"y{k}_{half}" for k in range(len(groups)) for half in HALVES]
    tensors, tables = _tables(coders)
    return CodecParts(
        family=family,
        channels=(n, sum(sizes)),
        multiple=64,
        graphs={**_transforms(net, sizes, names), **pass_graphs(passes, n)},
        entropy_graphs=tuple(modules(passes)),
        chunks=(
            {"name": "z", "model": "factorized", "channels": n, "stride": 64},
            *_chunks(sizes, tables),
        ),
        tensors={**bottleneck_tensors("z", hyper.entropy_bottleneck), **tensors},
        encode=(
            graph_step("analysis", ["x"], ["y"]),
            graph_step("hyper_analysis", ["y"], ["z"]),
            {"op": "entropy_encode", "chunk": "z", "in": "z", "out": "z_hat"},
            graph_step("split", ["y"], names),
            *_steps(groups, "entropy_encode"),
        ),
        latent=(
            ENTROPY_DECODE_Z,
            *_steps(groups, "entropy_decode"),
            graph_step("join", [f"{name}_hat" for name in names], ["y_hat"]),
        ),
        passes=passes,
    )


def _transforms(net: Any, sizes: list[int], names: list[str]) -> dict[str, GraphSpec]:
    """The transforms, and y to its halves and back."""
    m, hats, feeds = sum(sizes), tuple(f"{name}_hat" for name in names), _feeds(sizes)
    h_a = net.latent_codec.hyper.h_a
    return {
        **transforms(net, m),
        "hyper_analysis": GraphSpec(h_a, ("y",), ("z",), m, STRIDE, "analysis"),
        "split": GraphSpec(Split(sizes), ("y",), tuple(names), m, STRIDE, "analysis"),
        "join": GraphSpec(
            Join(), hats, ("y_hat",), sizes[0], STRIDE, "split", True, feeds[1:], COLUMNS
        ),
    }


def _chunks(sizes: list[int], tables: list[str]) -> list[dict[str, Any]]:
    return [
        {"name": f"y{k}_{half}", "model": "gaussian", "channels": size, "tables": tables[k],
         "stride": [STRIDE, COLUMNS]}
        for k, size in enumerate(sizes) for half in HALVES
    ]  # fmt: skip


def pass_graphs(
    passes: Passes, n: int, made: Mapping[str, nn.Module] | None = None, suffix: str = ""
) -> dict[str, GraphSpec]:
    """The graphs of the parameters; made: their modules, by default the float ones.

    n: channels of z. suffix: of the graphs' names, and of those that feed them.
    """
    networks = made or modules(passes)
    sizes = [group.channels for group in passes.groups]
    halves = _feeds(sizes)
    first: Any = passes.groups[0].aggregation[0]
    wide = first.in_channels - 2 * sizes[0]
    graphs = {}
    parameters = f"entropy_parameters{suffix}"
    graphs[parameters] = GraphSpec(
        networks["entropy_parameters"], ("z_hat",), tuple(f"side_{half}" for half in HALVES),
        n, 64, "hyper_analysis", True,
    )  # fmt: skip
    for k, group in enumerate(passes.groups):
        channel = f"channel_{k}"
        if group.channel is not None:
            seen = [halves[2 * s + h] for s in group.sources for h in (0, 1)]
            graphs[channel + suffix] = GraphSpec(
                networks[channel], _source_names(group), _channel_names(k), seen[0].channels,
                STRIDE, "split", True, tuple(seen[1:]), COLUMNS,
            )  # fmt: skip
        for h, name in enumerate(HALVES):
            also = []
            if group.channel is not None:
                also.append(Feed(channel + suffix, 2 * sizes[k], STRIDE, COLUMNS, output=h))
            if h:
                also.append(halves[2 * k])
            graphs[f"{name}_{k}{suffix}"] = GraphSpec(
                networks[f"{name}_{k}"], _pass_names(group, k, h), ("scales", "means"), wide,
                STRIDE, parameters, False, tuple(also), COLUMNS, h,
            )  # fmt: skip
    return graphs


def _feeds(sizes: list[int]) -> tuple[Feed, ...]:
    """The halves of y, rounded, in order."""
    return tuple(
        Feed("split", size, STRIDE, COLUMNS, True, 2 * k + h)
        for k, size in enumerate(sizes) for h in (0, 1)
    )  # fmt: skip


def _source_names(group: Group) -> tuple[str, ...]:
    return tuple(f"y{s}_{half}_hat" for s in group.sources for half in HALVES)


def _channel_names(k: int) -> tuple[str, ...]:
    return tuple(f"channel_{k}_{half}" for half in HALVES)


def _pass_names(group: Group, k: int, h: int) -> tuple[str, ...]:
    channel = (_channel_names(k)[h],) if group.channel is not None else ()
    return (f"side_{HALVES[h]}", *channel, *((f"y{k}_anchor_hat",) if h else ()))


def _steps(groups: tuple[Group, ...], op: str) -> list[Step]:
    """From ẑ to all halves of ŷ."""
    sides = [f"side_{half}" for half in HALVES]
    steps: list[Step] = [graph_step("entropy_parameters", ["z_hat"], sides)]
    for k, group in enumerate(groups):
        if group.channel is not None:
            steps.append(
                graph_step(f"channel_{k}", list(_source_names(group)), list(_channel_names(k)))
            )
        for h, name in enumerate(HALVES):
            chunk = f"y{k}_{name}"
            given = {"scales": f"{chunk}_scales", "means": f"{chunk}_means"}
            steps.append(
                graph_step(f"{name}_{k}", list(_pass_names(group, k, h)), list(given.values()))
            )
            latent = {"in": chunk} if op == "entropy_encode" else {}
            steps.append({"op": op, "chunk": chunk, **latent, "out": f"{chunk}_hat", **given})
    return steps


def _tables(coders: list[Any]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Tensors of the groups' Gaussian tables, and each group's prefix; equal ones are shared."""
    tensors: dict[str, np.ndarray] = {}
    prefixes: list[str] = []
    kept: list[dict[str, np.ndarray]] = []
    for coder in coders:
        scale_table = coder.scale_table.detach().float().numpy()
        table = {**cdf_tensors("", coder), ".scale_table": scale_table}
        same = [k for k, other in enumerate(kept) if _equal(table, other)]
        prefixes.append("y" if not kept or same == [0] else f"y.{(same or [len(kept)])[0]}")
        if not same:
            kept.append(table)
            tensors |= {prefixes[-1] + name: value for name, value in table.items()}
    return tensors, prefixes


def _equal(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)


def _scales_first(aggregation: nn.Sequential) -> nn.Sequential:
    """1x1 layers that give means before scales, turned round."""
    last: Any = aggregation[-1]
    made: Any = nn.Conv2d(last.in_channels, last.out_channels, 1)
    with torch.no_grad():
        made.weight.copy_(torch.cat(last.weight.chunk(2)[::-1]))
        made.bias.copy_(torch.cat(last.bias.chunk(2)[::-1]))
    return nn.Sequential(*list(aggregation)[:-1], made)
