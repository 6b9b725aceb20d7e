"""What a codec family hands to the exporter: its graphs, entropy tables and route steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from latentsr_export.context_layers import ContextLayers
from latentsr_export.passes import Passes

Step = dict[str, Any]


def graph_step(graph: str, inputs: list[str], outputs: list[str]) -> Step:
    """A route step that runs a graph."""
    return {"op": "graph", "graph": graph, "in": inputs, "out": outputs}


PAD: Step = {"op": "pad", "in": "picture", "out": "x"}
SYNTHESIS: tuple[Step, ...] = (
    graph_step("synthesis", ["y_hat"], ["x_hat"]),
    {"op": "crop", "in": "x_hat", "out": "x_hat"},
)
PICTURE: Step = {"op": "picture", "in": "x_hat", "out": "picture"}


@dataclass(frozen=True)
class Feed:
    """One input of a graph: which output of which graph it is, its channels and strides.

    graph: ``picture`` for the picture itself. columns: the stride along the width. rounded:
    whether the value is rounded on its way, as latents are.
    """

    graph: str
    channels: int
    stride: int
    columns: int
    rounded: bool = False
    output: int = 0


@dataclass(frozen=True)
class GraphSpec:
    """One graph to write.

    module: takes float32 NCHW inputs and returns `outputs` in order. channels and stride: of the
    first input; the stride is against the coded picture. feed: the graph whose output, the first
    or that of number `output`, is the first input, so that real pictures can be sent through, or
    ``picture``; rounded: as in `Feed`. also: the further inputs. columns: the stride along the
    width, where it is another. multiple: what the sides of the first input are multiples of.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    channels: int
    stride: int
    feed: str
    rounded: bool = False
    also: tuple[Feed, ...] = ()
    columns: int | None = None
    output: int = 0
    multiple: int = 1

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """All inputs in order."""
        columns = self.columns or self.stride
        first = Feed(
            self.feed, self.channels, self.stride, columns, self.rounded, self.output
        )  # fmt: skip
        return (first, *self.also)


@dataclass(frozen=True)
class Predicted:
    """A gaussian chunk whose scales, and means or features, a graph makes of ẑ alone.

    graph: takes ``z_hat``. channels: those of the analysis's y that the chunk holds, first and
    behind the last; None for all. context: the layers that predict the chunk from its decoded
    part, position by position; they take the graph's output as features.
    """

    chunk: str
    graph: str
    channels: tuple[int, int] | None = None
    context: ContextLayers | None = None

    @property
    def twin(self) -> str:
        """Name of the graph's integer-valued twin."""
        return f"{self.graph}_exact"

    def of(self, y: Tensor) -> Tensor:
        """The chunk's channels of y (N, C, h, w)."""
        return y if self.channels is None else y[:, slice(*self.channels)]


@dataclass(frozen=True)
class CodecParts:
    """A codec taken apart.

    channels: (N, M), or those of what is coded. multiple: what picture sides are padded to.
    chunks: as in the manifest, in decoding order. enter: steps from ``picture`` to what `encode`
    begins with. encode: steps from ``x`` (float32 picture) to the last chunk. latent: steps that
    decode the chunks to ``y_hat``, or, where a chunk is a file, to ``picture``. pixels: steps from
    there to ``x_hat``, float32 (1, 3, H, W) of the coded picture's size; show: to ``picture``.
    pixel_feed: the graph that makes ``x_hat``, or ``picture``. exact: float graph → its
    integer-valued twin. notes: for the manifest. predicted: the gaussian chunks that can be made
    exact one by one; passes: the networks that predict y where it is decoded in a few passes.
    """

    family: str
    channels: tuple[int, ...]
    multiple: int
    graphs: Mapping[str, GraphSpec]
    entropy_graphs: tuple[str, ...]
    chunks: tuple[dict[str, Any], ...]
    tensors: Mapping[str, np.ndarray]
    encode: tuple[Step, ...]
    latent: tuple[Step, ...]
    enter: tuple[Step, ...] = (PAD,)
    pixels: tuple[Step, ...] = SYNTHESIS
    show: tuple[Step, ...] = (*SYNTHESIS, PICTURE)
    pixel_feed: str = "synthesis"
    exact: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    predicted: tuple[Predicted, ...] = ()
    passes: Passes | None = None


class CodecFamily(Protocol):
    """One family of codecs: recognise a state dict, build the network, take it apart."""

    NAME: str

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Whether the state dict's keys and shapes are this family's."""

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The CompressAI network with these weights; (N, M) come from tensor shapes."""

    def parts(self, network: nn.Module) -> CodecParts:
        """Graphs, tables and steps of a network that `build` made."""
