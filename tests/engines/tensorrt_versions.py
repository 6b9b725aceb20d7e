"""What TensorRT's own bindings hold, version by version, for a stand-in as strict as they are."""

from __future__ import annotations

import enum
import functools
import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent.parent / "golden" / "tensorrt"
RTX = "1.7.1.116"
NEWEST = "11.4.0.106"
VERSIONS = ("8.6.1", "10.13.0.35", NEWEST, RTX)
ENUMERATIONS = (
    "BuilderFlag", "ComputeCapability", "CudaGraphStrategy", "DataType",
    "DynamicShapesKernelSpecializationStrategy", "LayerInformationFormat", "LayerType",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag", "PreviewFeature", "ProfilingVerbosity", "TensorIOMode",
    "TensorLocation",
)  # fmt: skip


@functools.cache
def golden(version: str) -> dict[str, Any]:
    """What the bindings of a version hold."""
    found: dict[str, Any] = json.loads((GOLDEN / f"{version}.json").read_text(encoding="utf-8"))
    return found


def enumeration(name: str, version: str) -> Any:
    """An enumeration with the members of that version, None where it has no such."""
    if name not in golden(version)["classes"]:
        return None
    members = [
        m for m in golden(version)["classes"][name] if m not in ("name", "value", "__init__")
    ]
    return enum.IntEnum(name, {member: i for i, member in enumerate(members)})


class Strict:
    """Takes no attribute that its class does not have in the version at hand."""

    known: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(type(self)).get("known", ()) or name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(f"{type(self).__name__} has no {name}")


class Dims(tuple):
    """A shape."""

    def __new__(cls, shape: list[int]) -> Dims:
        assert isinstance(shape, list)
        return super().__new__(cls, shape)
