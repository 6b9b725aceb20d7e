"""DISTS (Ding et al., TPAMI 2020) with VGG-16, by the package `DISTS_pytorch`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from DISTS_pytorch import DISTS_pt
from torchvision import models

from latentsr.image import Picture
from latentsr_export.metrics.backbone import (
    LEAST_SIDE,
    VGG16,
    cached_features,
    fill,
    quiet_torchvision,
    to_planes,
)


class Dists:
    """Distance of two pictures at their full size, 0 for equal ones; smaller is better.

    random: leave the backbone's weights random, so that only the plumbing means something.
    Raises BackendError where its weights are missing; alpha and beta come with the package.
    """

    def __init__(self, random: bool = False) -> None:
        features = None if random else cached_features(VGG16)
        with quiet_torchvision(), _nothing_fetched():
            self._network = DISTS_pt.DISTS(load_weights=False).eval()
        if features is not None:
            fill(self._network, features, VGG16)
        # The package itself looks for this file beside the interpreter, where it may not be.
        path = Path(DISTS_pt.__file__).with_name("weights.pt")
        weights = torch.load(path, map_location="cpu", weights_only=True)
        self._network.alpha.data = weights["alpha"]
        self._network.beta.data = weights["beta"]
        self.random_weights = random
        self.about = (
            f"DISTS with VGG-16, DISTS_pytorch {version('DISTS_pytorch')}; smaller is better"
        )

    def __call__(self, picture: Picture, reference: Picture) -> float | None:
        """DISTS of uint8 (H, W, 3) pictures; None where a side is shorter than 32."""
        if min(picture.shape[:2]) < LEAST_SIDE:
            return None
        with torch.inference_mode():
            return float(self._network(to_planes(reference), to_planes(picture)))


@contextmanager
def _nothing_fetched() -> Iterator[None]:
    """The package's constructor asks for trained weights over the network; it gets random ones."""
    features = models.vgg16(weights=None, init_weights=False).features
    before = DISTS_pt.models
    DISTS_pt.models = SimpleNamespace(vgg16=lambda pretrained: SimpleNamespace(features=features))
    try:
        yield
    finally:
        DISTS_pt.models = before
