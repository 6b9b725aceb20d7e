"""CompressAI, then one of Pillow's filters: what enlarging costs without a network."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from PIL import Image
from torch import Tensor

from latentsr.bench.subject import Facts, Setup
from latentsr.timing import Timeline
from latentsr_export.baselines.network import to_uint8
from latentsr_export.baselines.subject import CompressAISubject, runs_on, versions, watch


class CompressAIBicubic(CompressAISubject):
    """Pillow's bicubic, by the largest scale that the bundle's routes have."""

    method = Image.Resampling.BICUBIC

    def _prepare(self, setup: Setup) -> Facts:
        watch(self._network)
        manifest = self._bundle.manifest
        self._scale = max(route.scale for route in manifest.routes.values())
        about = (
            f"CompressAI {version('compressai')}, PyTorch {version('torch')} eager + Pillow "
            f"{self.method.name.lower()} x{self._scale}"
        )
        random = bool(manifest.raw.get("random_weights", False))
        return Facts(about, runs_on(), self._scale, random, versions("pillow"))

    def _enlarge(self, x: Tensor, timeline: Timeline) -> np.ndarray:
        with timeline.stage("picture", "image"):
            small = to_uint8(x)
        with timeline.stage("resize", "image"):
            size = (small.shape[1] * self._scale, small.shape[0] * self._scale)
            return np.asarray(Image.fromarray(small).resize(size, self.method))


class CompressAILanczos(CompressAIBicubic):
    """The same with Pillow's Lanczos filter."""

    method = Image.Resampling.LANCZOS
