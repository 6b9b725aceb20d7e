"""LPIPS (Zhang et al., CVPR 2018), version 0.1 with AlexNet, by the package `lpips`."""

from __future__ import annotations

from importlib.metadata import version

import lpips
import torch

from latentsr.image import Picture
from latentsr_export.metrics.backbone import (
    ALEXNET,
    LEAST_SIDE,
    cached_features,
    fill,
    quiet_torchvision,
    to_planes,
)


class Lpips:
    """Distance of two pictures, 0 for equal ones; smaller is better.

    random: leave the backbone's weights random, so that only the plumbing means something.
    Raises BackendError where its weights are missing; the linear weights come with the package.
    """

    def __init__(self, random: bool = False) -> None:
        features = None if random else cached_features(ALEXNET)
        with quiet_torchvision():
            self._network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        if features is not None:
            fill(self._network.net, features, ALEXNET)
        self.random_weights = random
        self.about = f"LPIPS 0.1 with AlexNet, lpips {version('lpips')}; smaller is better"

    def __call__(self, picture: Picture, reference: Picture) -> float | None:
        """LPIPS of uint8 (H, W, 3) pictures; None where a side is shorter than 32."""
        if min(picture.shape[:2]) < LEAST_SIDE:
            return None
        with torch.inference_mode():
            pair = (to_planes(one) for one in (picture, reference))
            return float(self._network(*pair, normalize=True))
