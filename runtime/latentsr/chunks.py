"""Chunks of a bundle's streams, as the manifest lists them under `entropy.chunks`.

The fields are described in `latentsr.manifest`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from latentsr.json_reader import Reader

FILE_MODELS = ("jpeg",)
MODELS = ("factorized", "gaussian", *FILE_MODELS)
ORDERS = ("wavefront",)
_PREFIX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Context:
    """Where a context model's tensors are, and the order of positions in the `lanes` form."""

    tensors: str
    order: str


@dataclass(frozen=True)
class Chunk:
    """One entropy-coded latent: its model, channel count and stride against the picture.

    Or a file that holds a picture: then its model is one of `FILE_MODELS`.

    columns: the stride along the width. tables: how the names of its tensors begin, as chunks may
    share them. skip: rows of its tables whose symbols are certain zeros. context: its context
    model, if any.
    """

    name: str
    model: str
    channels: int
    stride: int
    columns: int
    tables: str
    skip: int = 0
    context: Context | None = None

    @property
    def is_file(self) -> bool:
        """Whether the chunk is a file of a known format, without entropy tables."""
        return self.model in FILE_MODELS


def read_chunk(item: Reader) -> Chunk:
    """One entry of the list; BundleError names what is wrong."""
    if item.get("model", str) not in MODELS:
        raise item.fault("model", f"one of {', '.join(MODELS)}")
    channels, (stride, columns) = item.whole("channels", 1, 1 << 16), _strides(item)
    if item.value["model"] in FILE_MODELS and (channels, stride, columns) != (3, 1, 1):
        raise item.fault("model", "3 channels at stride 1 for a file")
    gaussian = item.value["model"] == "gaussian"
    context = _context(item) if "context" in item.value else None
    most = 256 if gaussian and context is None else 0
    skip = item.whole("skip", 0, most) if "skip" in item.value else 0
    name = item.get("name", str)
    tables = item.get("tables", str, name)
    shared = "tables" in item.value
    if shared and not (gaussian and context is None and _PREFIX.fullmatch(tables)):
        raise item.fault("tables", "how the tensors' names of a gaussian chunk begin, or none")
    return Chunk(name, item.value["model"], channels, stride, columns, tables, skip, context)


def _strides(item: Reader) -> tuple[int, int]:
    """Along the height and along the width; one number stands for both."""
    if not isinstance(item.value.get("stride"), list):
        stride = item.whole("stride", 1, 256)
        return stride, stride
    strides = item.value["stride"]
    kinds = {type(stride) for stride in strides}
    if len(strides) != 2 or kinds != {int} or not all(1 <= stride <= 256 for stride in strides):
        raise item.fault("stride", "1..256, or two such numbers")
    return strides[0], strides[1]


def _context(item: Reader) -> Context:
    if item.value["model"] != "gaussian":
        raise item.fault("context", "none, as the chunk is not gaussian")
    context = Reader(item.value["context"], f"{item.where}.context")
    tensors = context.get("tensors", str)
    if not _PREFIX.fullmatch(tensors):
        raise context.fault("tensors", "the common beginning of the tensors' names")
    # An order that is not known here would decode into noise.
    if context.get("order", str) not in ORDERS:
        raise context.fault("order", f"one of {', '.join(ORDERS)}")
    return Context(tensors, context.value["order"])
