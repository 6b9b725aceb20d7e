"""Backbones of perceptual metrics: torchvision's classification networks, from its cache."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentsr.errors import BackendError
from latentsr.image import Picture

LEAST_SIDE = 32  # samples; below, the deepest layers would have nothing to look at


@dataclass(frozen=True)
class Backbone:
    """A network of `torchvision.models`, and the file that torchvision stores its weights in."""

    network: str
    file: str


ALEXNET = Backbone("alexnet", "alexnet-owt-7be5be79.pth")
VGG16 = Backbone("vgg16", "vgg16-397923af.pth")


def cached_features(backbone: Backbone) -> dict[str, Tensor]:
    """Weights of the convolutional part, names such as ``0.weight``, out of torchvision's cache.

    The file may lack the classifier. Raises BackendError where it is missing or damaged.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / backbone.file
    if not path.is_file():
        raise BackendError(
            f"weights of a metric's backbone are missing: found no {path}, expected torchvision's "
            f'{backbone.network}; where there is a network run: python -c "import torchvision.'
            f"models as m; m.{backbone.network}(weights='IMAGENET1K_V1')\""
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = {name.removeprefix("features."): value for name, value in state.items()
                 if name.startswith("features.") and isinstance(value, Tensor)}  # fmt: skip
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise _damaged(path, str(error).split("\n")[0]) from None
    if not found:
        raise _damaged(path, "no tensor features.*")
    return found


def fill(module: torch.nn.Module, features: dict[str, Tensor], backbone: Backbone) -> None:
    """Copy weights into a metric's network, whose parameters end in a feature layer's number.

    ``slice2.3.weight`` takes ``3.weight``. Raises BackendError where one is missing or misshapen.
    """
    own = {name: value for name, value in module.named_parameters() if name.count(".") >= 2}
    for name, value in own.items():
        key = ".".join(name.split(".")[-2:])
        if key not in features or features[key].shape != value.shape:
            raise _damaged(Path(backbone.file), f"no proper features.{key}")
        with torch.no_grad():
            value.copy_(features[key])


def to_planes(picture: Picture) -> Tensor:
    """uint8 (H, W, 3) → float32 (1, 3, H, W) in 0..1."""
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1))[np.newaxis]
    return torch.from_numpy(planes).float() / 255.0


@contextmanager
def quiet_torchvision() -> Iterator[None]:
    """Without its remarks on the old way in which the metrics' packages call it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        yield


def _damaged(path: Path, what: str) -> BackendError:
    return BackendError(
        f"weights of a metric's backbone cannot be used: found {what} in {path}, expected "
        "torchvision's file; delete it and fetch it again"
    )
