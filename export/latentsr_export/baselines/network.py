"""CompressAI, then a pixel SR network, all in PyTorch: eager, or through torch.compile."""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn

from latentsr.bench.subject import Facts, Item, Setup
from latentsr.errors import BackendError, UsageError
from latentsr.timing import Timeline
from latentsr_export.baselines.rrdbnet import count_macs, random_rrdbnet
from latentsr_export.baselines.subject import CompressAISubject, runs_on, versions, watch
from latentsr_export.pixel_sr import PixelSR, load_pixel_sr
from latentsr_export.restore import restore_pixel_sr


class CompressAI(CompressAISubject):
    """Option ``sr``: checkpoint of the SR network; without one, RRDBNet-23 with random weights."""

    compiled = False

    def _prepare(self, setup: Setup) -> Facts:
        sr, random = self._choose(setup)
        self._sr, self._module = sr, sr.module
        self._macs: float | None = None
        if self.compiled:
            # Each start compiles anew: its time belongs to the cold start, not to the day before.
            self._cache = tempfile.TemporaryDirectory(prefix="latentsr-inductor-")
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = self._cache.name
            self._network.g_s = Compiled(self._network.g_s)
            self._module = Compiled(sr.module)
        watch(self._network)
        mode = "torch.compile" if self.compiled else "eager"
        weights = ", random weights" if random else ""
        about = (
            f"CompressAI {version('compressai')} + {sr.name} x{sr.scale}{weights}, PyTorch "
            f"{version('torch')} {mode}"
        )
        random |= bool(self._bundle.manifest.raw.get("random_weights", False))
        extra = ("spandrel",) if sr.source == "spandrel" else ()
        return Facts(about, runs_on(), sr.scale, random, versions(*extra))

    def _choose(self, setup: Setup) -> tuple[PixelSR, bool]:
        """The SR network, and whether its weights are random."""
        path = setup.options.get("sr")
        return (load_pixel_sr(path), False) if path else (random_rrdbnet(), True)

    def _macs_per_position(self) -> float:
        return count_macs(self._sr)

    def load(self, index: int, item: Item) -> int:
        """As all CompressAI baselines, and count the network's work once."""
        size = super().load(index, item)
        coded, sr = self._inputs[index], self._sr
        sides = (coded.height, coded.width)
        if min(sides) < sr.minimum or any(side % sr.multiple_of for side in sides):
            raise UsageError(
                f"pixel SR network does not take the picture: found {coded.width}x{coded.height}, "
                f"expected sides of {sr.minimum} or more in multiples of {sr.multiple_of} for "
                f"{sr.name}; choose another picture or network"
            )
        if self._macs is None:
            with torch.inference_mode():
                self._macs = self._macs_per_position()
        return size

    def _enlarge(self, x: Tensor, timeline: Timeline) -> np.ndarray:
        macs = round((self._macs or 0.0) * x.shape[-2] * x.shape[-1])
        with timeline.stage("pixel_sr", "engine", macs):
            hr = self._module(x)
        with timeline.stage("picture", "image"):
            return to_uint8(hr)


class CompressAICompiled(CompressAI):
    """The same with torch.compile on the synthesis transform and the SR network."""

    compiled = True


class CompressAIEdsr(CompressAI):
    """With the bundle's own pixel SR network, restored from its graph; ``sr`` is not looked at."""

    def _choose(self, setup: Setup) -> tuple[PixelSR, bool]:
        return restore_pixel_sr(self._bundle), False

    def _macs_per_position(self) -> float:
        return self._bundle.manifest.graphs["pixel_sr"].macs_per_position


class CompressAIEdsrCompiled(CompressAIEdsr):
    """The same with torch.compile on both networks."""

    compiled = True


class Compiled(nn.Module):
    """A network through torch.compile, which does its work in the first call of each shape."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._compiled = torch.compile(network)

    def forward(self, x: Tensor) -> Tensor:
        """What the network makes of `x`; BackendError where it cannot be compiled or run."""
        try:
            made: Tensor = self._compiled(x)
        except Exception as error:  # the compiler's errors have many classes and no common one
            lines = [line for line in str(error).splitlines() if line.strip()]
            first = lines[0].strip()[:200] if lines else ""
            raise BackendError(
                f"torch.compile failed: found {type(error).__name__}: {first}, expected a C++ "
                "compiler that PyTorch finds (g++, or the one that CXX names); install one, or "
                "measure the baseline without -compile"
            ) from None
        return made


def to_uint8(x: Tensor) -> np.ndarray:
    """float32 (1, 3, H, W) in about 0..1 → uint8 (H, W, 3) in C order."""
    made: np.ndarray = (
        x[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    )
    return made
