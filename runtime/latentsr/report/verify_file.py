"""What engines of one machine encoded, in a file, so that another machine's engines decode it.

A safetensors file. Its metadata have under ``latentsr`` a JSON object::

    {"version": 1, "encoders": {NAME: [PICTURE, ...]}}
    PICTURE: {"stream": T, "latents": [T, ...], "indexes": [T, ...]}

with T the name of a tensor: a stream as uint8, latents as float32 (N, C, H, W), scale indexes as
integers of the same shape. The name is a hash of what the tensor holds, so that equal ones, as
exact engines make them, are there once, and damage is not taken for a difference of engines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latentsr.errors import UsageError
from latentsr.files import write_atomically

VERSION = 1
_KEY = "latentsr"
_LARGEST = 1 << 32


@dataclass(frozen=True)
class Encoded:
    """One picture's stream, with what its encoder had in hand.

    latents: float32 (N, C, H, W), one for each chunk; indexes: scale indexes of the chunks that
    have any, integers of their latents' shape.
    """

    stream: bytes
    latents: tuple[np.ndarray, ...]
    indexes: tuple[np.ndarray, ...]


def write(path: Path, encoders: Mapping[str, Sequence[Encoded]]) -> None:
    """Write what each encoder made of the same pictures; atomically."""
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}

    def put(array: np.ndarray) -> str:
        name = _name(array)
        tensors[name] = np.ascontiguousarray(array)
        return name

    listed = {
        name: [
            {
                "stream": put(np.frombuffer(one.stream, np.uint8)),
                "latents": [put(value) for value in one.latents],
                "indexes": [put(value) for value in one.indexes],
            }
            for one in pictures
        ]
        for name, pictures in encoders.items()
    }
    about = json.dumps({"version": VERSION, "encoders": listed})
    data = save(tensors, {_KEY: about})

    def into(file: BinaryIO) -> None:
        file.write(data)

    write_atomically(path, into)


def read(path: Path) -> dict[str, list[Encoded]]:
    """What `write` wrote, by encoder; UsageError where the file is another.

    Whether streams belong to a bundle, and latents to streams, shows when they are decoded.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"over {_LARGEST} bytes")
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            if about["version"] != VERSION:
                raise ValueError(f"version {about['version']!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, array in tensors.items():
            if name != _name(array):
                raise ValueError("a tensor that was damaged")
        return {
            str(name): [_encoded(entry, tensors) for entry in pictures]
            for name, pictures in about["encoders"].items()
        }
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"encoded pictures cannot be read: found {error!r} in {path}, expected a file that "
            "`latentsr verify --save` of this version wrote; write it again"
        ) from None


def _name(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def _encoded(entry: Any, tensors: dict[str, np.ndarray]) -> Encoded:
    stream = tensors[entry["stream"]]
    latents = tuple(tensors[name] for name in entry["latents"])
    indexes = tuple(tensors[name] for name in entry["indexes"])
    if stream.dtype != np.uint8 or any(value.dtype != np.float32 for value in latents):
        raise ValueError("tensors of other kinds")
    if any(value.dtype.kind not in "iu" for value in indexes):
        raise ValueError("scale indexes that are not whole numbers")
    return Encoded(stream.tobytes(), latents, indexes)
