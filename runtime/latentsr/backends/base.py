"""What an engine backend is: it turns an ONNX graph into something that runs on arrays.

A new backend is one file with a class like these and one line in `BACKENDS`
(`latentsr/backends/__init__.py`). The engine library is imported inside the class only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EngineOptions:
    """How to run engines: device name, and threads (None leaves the choice to the library)."""

    device: str = "cpu"
    threads: int | None = None


class Engine(ABC):
    """One graph, ready to run; safe to call from several threads."""

    @abstractmethod
    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once.

        inputs: C-ordered float32 NCHW arrays by the graph's input names.
        Returns all outputs by name, newly allocated. Raises BackendError.
        """

    @property
    @abstractmethod
    def runs_on(self) -> str:
        """The device and provider that really run the graph, as found after loading."""


class Backend(ABC):
    """An engine library."""

    name: str
    package: str

    @abstractmethod
    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Prepare one ONNX graph.

        graph: the ONNX file's bytes; label: the graph's name for messages.
        Raises BackendError where the library or the device is missing or the graph is refused.
        """
