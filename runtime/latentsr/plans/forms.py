"""Other forms of a graph that compute the same: written by what is installed, never by the runtime.

Rewriting ONNX files needs the package `onnx`, which the runtime does without. The entry-point group
`latentsr.graph_forms` names functions ``(graph, samples) → forms``; latentsr's exporter has some,
and where neither it nor `onnx` is installed graphs run as shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

GROUP = "latentsr.graph_forms"


@dataclass(frozen=True)
class Form:
    """A graph rewritten: its name for tables, what it computes in, and the ONNX file's bytes.

    precision: ``fp32`` where only the order of sums differs, ``int8`` where layers were quantised.
    kept: layers that were left in FP32 because the output suffers from them most.
    """

    name: str
    precision: str
    graph: bytes
    kept: tuple[str, ...] = ()


Sample = Mapping[str, "np.ndarray"]
Writer = Callable[[bytes, Sequence[Sample], str], list[Form]]
"""Writes forms of a graph (an ONNX file's bytes) in a precision, perhaps none, calibrated on
samples of its inputs (float32 NCHW by name, at least one). Raises LatentSRError for graphs that it
cannot read.
"""


def writers() -> tuple[list[Writer], list[str]]:
    """All writers that can be imported, and a line for each that cannot."""
    found, missing = [], []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found.append(entry.load())
        except ImportError as error:
            missing.append(
                f"no {entry.name} forms: found {error}, expected the exporter's packages; "
                "run: pip install 'latentsr[forms]'"
            )
    return found, missing
