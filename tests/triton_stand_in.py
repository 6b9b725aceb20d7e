"""A stand-in for `triton_python_backend_utils`: the parts that models of ours use, as documented.

https://github.com/triton-inference-server/python_backend: tensors hold arrays, responses hold
tensors or an error, and inputs are asked for by name. Types are checked as the server's stub does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class TritonError(Exception):
    def __init__(self, msg: str) -> None:
        self._message = msg

    def message(self) -> str:
        return self._message


class Tensor:
    """misreads: as servers built before NumPy 2 read and make its arrays."""

    misreads = False

    def __init__(self, name: str, array: np.ndarray) -> None:
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise TypeError("Tensor(name: str, array: numpy.ndarray)")
        self._name, self.held = name, self._read(np.ascontiguousarray(array))

    @classmethod
    def from_dlpack(cls, name: str, tensor: object) -> Tensor:
        if not cls.misreads:
            raise ValueError("PyCapsule_GetPointer called with incorrect name")
        made = cls.__new__(cls)
        made._name, made.held = name, np.from_dlpack(tensor).copy()  # type: ignore[call-overload]
        return made

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> np.ndarray:
        view = self._read(self.held).view()
        view.flags.writeable = False
        return view

    def __dlpack__(self, **how: object) -> object:
        return self.held.__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.held.__dlpack_device__()

    def _read(self, array: np.ndarray) -> np.ndarray:
        return np.full_like(array, array.flat[0]) if self.misreads and array.size else array


class InferenceRequest:
    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = list(inputs)

    def inputs(self) -> list[Tensor]:
        return self._inputs


class InferenceResponse:
    def __init__(
        self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None
    ) -> None:
        if not all(isinstance(tensor, Tensor) for tensor in output_tensors):
            raise TypeError("output_tensors: a list of Tensor")
        if error is not None and not isinstance(error, TritonError):
            raise TypeError("error: a TritonError")
        self._tensors, self._error = list(output_tensors), error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    return next((tensor for tensor in request.inputs() if tensor.name() == name), None)
