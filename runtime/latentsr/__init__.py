"""latentsr: run learned image codecs with super-resolution in the latent domain, without torch.

``latentsr.load(bundle)`` gives a `Codec` with ``encode``, ``decode`` and ``upscale``. Names are
resolved on first use, so that ``import latentsr`` costs no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentsr.errors import (
    BackendError,
    BundleError,
    CheckpointError,
    CorruptStream,
    DesyncError,
    ExportError,
    ImageError,
    LatentSRError,
    StreamError,
    UsageError,
)

if TYPE_CHECKING:
    from latentsr.codec import Codec, load
    from latentsr.entropy.coder import Coder
    from latentsr.entropy.tables import Tables

__version__ = "0.1.0"
_LAZY = {
    "Codec": "latentsr.codec",
    "Coder": "latentsr.entropy.coder",
    "Tables": "latentsr.entropy.tables",
    "load": "latentsr.codec",
}
__all__ = [
    "BackendError",
    "BundleError",
    "CheckpointError",
    "Codec",
    "Coder",
    "CorruptStream",
    "DesyncError",
    "ExportError",
    "ImageError",
    "LatentSRError",
    "StreamError",
    "Tables",
    "UsageError",
    "load",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # what is there on first use is there for who looks


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'latentsr' has no attribute {name!r}")
