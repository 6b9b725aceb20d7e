"""What Triton's Python backend runs for a model that `latentsr export-triton` wrote.

`triton_python_backend_utils` exists in the server's own Python processes only. The interface is
that of https://github.com/triton-inference-server/python_backend. Servers built before NumPy 2
misread the arrays of it, so that all samples are the first one: with it, tensors come and go by
DLPack, which NumPy 1 on the other hand does not give to these servers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import latentsr
from latentsr.deploy.triton import BUNDLE, INPUT, OUTPUT
from latentsr.errors import LatentSRError


class TritonPythonModel:
    """One instance of the model: one codec with its engines."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load bundle and engines, so that a fault shows when the model is loaded.

        args: of the server: ``model_repository`` is the model's folder, ``model_config`` its
        configuration as JSON.
        """
        import triton_python_backend_utils

        self._triton = triton_python_backend_utils
        given = json.loads(args["model_config"])["parameters"]
        setting = {name: value["string_value"] for name, value in given.items()}
        folder = Path(args["model_repository"]) / args["model_version"] / BUNDLE
        self._route = setting["route"]
        self._codec = latentsr.load(
            folder, backend=setting["backend"], threads=int(setting["threads"]),
            precision=setting["precision"],
        )  # fmt: skip
        self._codec.warmup(self._route)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response for each request, in order.

        A bad stream, or one with too large a picture for this machine, is the error of its request
        only.
        """
        return [self._respond(request) for request in requests]

    def finalize(self) -> None:
        """Give the engines' memory back."""
        self._codec.close()

    def _respond(self, request: Any) -> Any:
        stream = self._triton.get_input_tensor_by_name(request, INPUT)
        try:
            picture = self._codec.decode(_bytes_of(stream), self._route)
        except (LatentSRError, MemoryError) as error:
            return self._triton.InferenceResponse(
                output_tensors=[], error=self._triton.TritonError(_in_words(error))
            )
        kind = self._triton.Tensor
        made = (kind.from_dlpack if by_dlpack() else kind)(OUTPUT, picture)
        return self._triton.InferenceResponse(output_tensors=[made])


def by_dlpack() -> bool:
    """Whether tensors come and go by DLPack, see the module."""
    return int(np.__version__.partition(".")[0]) >= 2


def _bytes_of(tensor: Any) -> bytes:
    found: np.ndarray = np.from_dlpack(tensor) if by_dlpack() else tensor.as_numpy()
    return found.tobytes()


def _in_words(error: LatentSRError | MemoryError) -> str:
    if isinstance(error, LatentSRError):
        return str(error)
    return "memory ran out: found none for this picture, expected some; ask for smaller ones"
