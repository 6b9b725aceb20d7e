"""What a route runs with: one call's values, and what the bundle's steps run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from latentsr.backends.base import Engine
from latentsr.bundle import Bundle
from latentsr.entropy.coder import Coder
from latentsr.entropy.repair import Repair
from latentsr.pipeline.context_step import ContextEntropy
from latentsr.pipeline.entropy_step import EntropyModel
from latentsr.pipeline.image_steps import PlanesMaker
from latentsr.stream import Padding
from latentsr.timing import Timeline


@dataclass
class Run:
    """One call of a route: the picture's geometry, the named values, what was coded, the times.

    threads: that may share an image step of a large picture. lean: engines give their memory back
    after each graph. multiple, centred: how an encode route pads, see `image_steps.Geometry`.
    symbols: int32 (1, C, h, w) of each latent that was decoded, perhaps on a device.
    """

    width: int
    height: int
    padding: Padding
    form: str = "compressai"
    exact: bool = False
    threads: int = 1
    lean: bool = False
    multiple: int = 0
    centred: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    chunks: dict[str, bytes] = field(default_factory=dict)
    symbols: dict[str, Any] = field(default_factory=dict)
    symbol_crc: int = 0
    repairs: list[Repair] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width after padding."""
        pad = self.padding
        return self.height + pad.top + pad.bottom, self.width + pad.left + pad.right


@dataclass(frozen=True)
class Machine:
    """What steps run on: the bundle, its entropy models, and engines by graph name.

    planes: makes a picture's planes where the engines run, see `image_steps.pad`.
    """

    bundle: Bundle
    entropy: Mapping[str, EntropyModel | ContextEntropy]
    engine: Callable[[str], Engine]
    planes: PlanesMaker | None = None


def entropy_models(bundle: Bundle, threads: int) -> dict[str, EntropyModel | ContextEntropy]:
    """What codes each chunk, by its name; BundleError where its tensors are wrong."""
    found: dict[str, EntropyModel | ContextEntropy] = {}
    coders: dict[tuple[str, int], Coder] = {}
    for chunk in bundle.manifest.chunks:
        if chunk.is_file:
            continue
        if chunk.context is not None:
            found[chunk.name] = ContextEntropy(bundle, chunk, threads)
            continue
        key = chunk.tables, chunk.skip
        shared = coders.get(key) if chunk.model == "gaussian" else None
        model = found[chunk.name] = EntropyModel(bundle, chunk, threads, shared)
        coders[key] = model.coder
    return found
