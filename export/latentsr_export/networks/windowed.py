"""Parts of a codec whose latent falls into chunks by channels, with and without a causal window.

What Lee et al. 2018 and Suzuki et al. 2021 have in common: y at stride 16, z at stride 64, and for
each chunk of y a graph over ẑ that gives features of a context model, or scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latentsr_export.context_layers import ContextLayers
from latentsr_export.networks.factorized import ENTROPY_DECODE_Z, transforms
from latentsr_export.parts import CodecParts, Feed, GraphSpec, Predicted, Step, graph_step

PARAMETERS = "entropy_parameters"


@dataclass(frozen=True)
class Half:
    """Some channels of y in a row: how many, and what predicts them.

    parameters: a Sequential over ẑ (N, C, h, w) that gives features (N, C1, 4h, 4w), or scales
    where there is no context. tables: tensors ``y.cdf``, ``y.length``, ``y.offset`` and
    ``y.scale_table``, the latter in what the last layer gives. context: the estimator's layers.
    """

    channels: int
    parameters: nn.Sequential
    tables: Mapping[str, np.ndarray]
    context: ContextLayers | None


class Split(nn.Module):
    """y (N, M, h, w) to its chunks."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)

    def forward(self, y: Tensor) -> tuple[Tensor, ...]:
        """The chunks, (N, size, h, w) each."""
        return tuple(torch.split(y, self.sizes, 1))


class Join(nn.Module):
    """The inverse of `Split`."""

    def forward(self, *halves: Tensor) -> Tensor:
        """(N, M, h, w)."""
        return torch.cat(halves, 1)


@dataclass(frozen=True)
class WindowedCodec:
    """A network with g_a and g_s, its hyper-analysis as a graph, and the chunks of y."""

    family: str
    network: Any
    hyper_analysis: nn.Module
    halves: tuple[Half, ...]

    @property
    def names(self) -> list[str]:
        """Of the chunks: y alone, or y1, y2, …"""
        if len(self.halves) == 1:
            return ["y"]
        return [f"y{k + 1}" for k in range(len(self.halves))]

    def graph(self, name: str) -> str:
        """The graph that predicts a chunk."""
        return PARAMETERS if name == "y" else f"{PARAMETERS}_{name}"

    def parts(
        self, z_tensors: Mapping[str, np.ndarray], synthesis: Mapping[str, GraphSpec] | None = None
    ) -> CodecParts:
        """Everything the exporter needs.

        z_tensors: tables and medians of z. synthesis: the transforms' graphs, where they are not
        CompressAI's g_a and g_s.
        """
        m, n = sum(half.channels for half in self.halves), len(z_tensors["z.medians"])
        z = {"name": "z", "model": "factorized", "channels": n, "stride": 64}
        graphs = dict(synthesis or transforms(self.network, m))
        graphs["hyper_analysis"] = GraphSpec(
            self.hyper_analysis, ("y",), ("z",), m, 16, "analysis"
        )  # fmt: skip
        whole = len(self.halves) > 1
        named = [name for name in self.names if whole]
        return CodecParts(
            family=self.family,
            channels=(n, m),
            multiple=64,
            graphs={**graphs, **(self._exchange(m) if whole else {}), **self._predictors(n)},
            entropy_graphs=tuple(self.graph(name) for name in self.names),
            chunks=(z, *(self._chunk(*pair) for pair in self._pairs())),
            tensors={**z_tensors, **self._tensors()},
            encode=(
                graph_step("analysis", ["x"], ["y"]),
                graph_step("hyper_analysis", ["y"], ["z"]),
                {"op": "entropy_encode", "chunk": "z", "in": "z", "out": "z_hat"},
                *([graph_step("split", ["y"], named)] if whole else []),
                *self._steps("entropy_encode"),
            ),
            latent=(
                ENTROPY_DECODE_Z,
                *self._steps("entropy_decode"),
                *([graph_step("join", [f"{n}_hat" for n in named], ["y_hat"])] if whole else []),
            ),
            predicted=self._predicted(),
        )

    def _pairs(self) -> list[tuple[str, Half]]:
        return list(zip(self.names, self.halves, strict=True))

    def _exchange(self, m: int) -> dict[str, GraphSpec]:
        """y to its chunks, and back."""
        sizes = [half.channels for half in self.halves]
        feeds = [Feed("split", size, 16, 16, True, k) for k, size in enumerate(sizes)]
        hats = tuple(f"{name}_hat" for name in self.names)
        return {
            "split": GraphSpec(Split(sizes), ("y",), tuple(self.names), m, 16, "analysis"),
            "join": GraphSpec(
                Join(), hats, ("y_hat",), sizes[0], 16, "split", True, tuple(feeds[1:])
            ),
        }

    def _predictors(self, n: int) -> dict[str, GraphSpec]:
        return {
            self.graph(name): GraphSpec(
                half.parameters, ("z_hat",), (_output(half),), n, 64, "hyper_analysis", True
            )
            for name, half in self._pairs()
        }

    def _chunk(self, name: str, half: Half) -> dict[str, Any]:
        chunk = {"name": name, "model": "gaussian", "channels": half.channels, "stride": 16}
        if half.context is None:
            return chunk
        return {**chunk, "context": {"tensors": f"{name}.context", "order": "wavefront"}}

    def _tensors(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{key.removeprefix('y.')}": tensor
            for name, half in self._pairs()
            for key, tensor in half.tables.items()
        }

    def _steps(self, op: str) -> list[Step]:
        steps: list[Step] = []
        for name, half in self._pairs():
            output = _output(half)
            value = f"{name}_{output}"
            steps.append(graph_step(self.graph(name), ["z_hat"], [value]))
            coded: Step = {"op": op, "chunk": name, "out": f"{name}_hat", output: value}
            steps.append(coded if op == "entropy_decode" else {**coded, "in": name})
        return steps

    def _predicted(self) -> tuple[Predicted, ...]:
        found, start = [], 0
        for name, half in self._pairs():
            stop = start + half.channels
            found.append(Predicted(name, self.graph(name), (start, stop), half.context))
            start = stop
        return tuple(found)


def rounded(x: Tensor) -> Tensor:
    """round(x), as if it were x to whoever differentiates it."""
    return x + (torch.round(x) - x).detach()


def _output(half: Half) -> str:
    return "scales" if half.context is None else "features"
