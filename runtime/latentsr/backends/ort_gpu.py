"""ONNX Runtime on NVIDIA GPUs: its CUDA provider, and its TensorRT provider.

Inputs and outputs are bound to device memory and are `DeviceArray`s of the pools that all engines
share, so a chain of graphs and image steps copies nothing to the host and back. ONNX Runtime works
in a stream of its own: inputs are waited for before a run, and a run waits for its own work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from latentsr.backends.base import Engine, run_failure
from latentsr.backends.device_pool import Block, DeviceArray, Pools, working
from latentsr.backends.ort_session import first_line
from latentsr.errors import BackendError, EngineMemoryError

IDLE_PLACES = 4
"""Captured shapes that an engine keeps; the longest unused one goes first."""
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class BoundEngine(Engine):
    """A session whose inputs and outputs lie on a device.

    kind: ONNX Runtime's name of the device, ``cuda``; ``cpu`` runs the same steps in host memory.
    pools: those of the device.
    """

    def __init__(self, session: Any, label: str, kind: str, index: int, pools: Pools) -> None:
        self._session, self._label = session, label
        self._kind, self._index, self._pools = kind, index, pools
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the session once; outputs stay on the device."""
        return self._with_room(inputs, self._bound_run)

    def _with_room(
        self, inputs: Mapping[str, Any], run: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Run, again where memory ran out and the pools had some to give back."""
        try:
            return run(inputs)
        except Exception as error:
            failure = _failed(self._label, error, inputs)
            if not (isinstance(failure, EngineMemoryError) and self._pools.clear()):
                raise failure from error
        try:
            return run(inputs)
        except Exception as error:
            raise _failed(self._label, error, inputs) from error

    def _bound_run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        binding = self._session.io_binding()
        # Held until the run has ended: a binding knows addresses only.
        given = {name: self._pools.resident(value) for name, value in inputs.items()}
        for name, array in given.items():
            self._bind_input(binding, name, array)
        made = self._outputs_of(binding, None)
        return {name: self._adopted(value) for name, value in made.items()}

    @property
    def runs_on(self) -> str:
        """The provider in use."""
        return "+".join(self._session.get_providers())

    def _outputs_of(self, binding: Any, options: Any) -> dict[str, Any]:
        """Values that ONNX Runtime allocates for the outputs of a run."""
        for name in self._outputs:
            binding.bind_output(name, self._kind, self._index)
        self._session.run_with_iobinding(binding, options)
        return dict(zip(self._outputs, binding.get_outputs(), strict=True))

    def _bind_input(self, binding: Any, name: str, array: DeviceArray) -> None:
        array.block.wait()
        kind = array.dtype.type
        binding.bind_input(name, self._kind, self._index, kind, array.shape, array.address)

    def _adopted(self, value: Any) -> DeviceArray:
        """An OrtValue, whose memory goes back to the session when nobody works on it any more."""
        shape, dtype = tuple(value.shape()), np.dtype(_TYPES[value.data_type()])
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        # The session has the allocator that the value's memory goes back to, and must outlive it.
        owner = (self._session, value)
        block = Block(self._pools.device.adopt(value.data_ptr(), nbytes, owner))
        return DeviceArray(self._pools, block, shape, dtype, None)


class _Place:
    """Fixed addresses for one set of shapes and types, and the number of its CUDA graph."""

    def __init__(self, key: Mapping[str, Any], number: int, binding: Any) -> None:
        self.key, self.number, self.binding = key, number, binding
        self.inputs: dict[str, DeviceArray] = {}
        self.outputs: dict[str, DeviceArray] = {}


class CapturingEngine(BoundEngine):
    """A session made with ``enable_cuda_graph``: one captured graph for each place.

    Graphs have fixed addresses, so inputs are copied in and outputs copied out, on the device.
    """

    def __init__(self, session: Any, label: str, kind: str, index: int, pools: Pools) -> None:
        super().__init__(session, label, kind, index, pools)
        self._places: list[_Place] = []
        self._made = 0
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run, or launch what was captured; one run at a time."""
        with self._lock:
            return self._with_room(inputs, self._captured_run)

    def _captured_run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        key = {name: (tuple(value.shape), value.dtype) for name, value in inputs.items()}
        place = next((p for p in self._places if p.key == key), None)
        if place is None:
            place = self._new_place(inputs, key)
        else:
            self._feed(place, inputs)
        for array in (*place.inputs.values(), *place.outputs.values()):
            array.block.wait()
        self._session.run_with_iobinding(place.binding, _graph_number(place.number))
        return {name: array.copy() for name, array in place.outputs.items()}

    @property
    def runs_on(self) -> str:
        """The provider in use."""
        return f"{super().runs_on}, CUDA graphs"

    def _feed(self, place: _Place, inputs: Mapping[str, Any]) -> None:
        stream = self._pools.device.stream()
        for name, value in inputs.items():
            target = place.inputs[name].block
            with working(stream, target):
                self._pools.resident(value).copy_into(target, stream)

    def _new_place(self, inputs: Mapping[str, Any], key: Mapping[str, Any]) -> _Place:
        """Let one plain run find the outputs' shapes, then bind everything for good."""
        while len(self._places) >= IDLE_PLACES:
            self._places.pop(0)
        self._made += 1
        plain = self._session.io_binding()
        place = _Place(key, self._made, self._session.io_binding())
        for name, value in inputs.items():
            place.inputs[name] = self._pools.resident(value).copy()
            for binding in (plain, place.binding):
                self._bind_input(binding, name, place.inputs[name])
        for name, value in self._outputs_of(plain, _graph_number(-1)).items():
            shape, dtype = tuple(value.shape()), np.dtype(_TYPES[value.data_type()])
            own = place.outputs[name] = self._pools.array(shape, dtype)
            place.binding.bind_output(
                name, self._kind, self._index, dtype.type, shape, own.address
            )  # fmt: skip
        self._places.append(place)
        return place


def _graph_number(number: int) -> Any:
    from onnxruntime import RunOptions

    found = RunOptions()
    found.add_run_config_entry("gpu_graph_id", str(number))
    return found


def _failed(label: str, error: Exception, inputs: Mapping[str, Any]) -> BackendError:
    if "cuDNN is not available" in str(error):
        return BackendError(
            f"engine {label} wants cuDNN: found {first_line(error)}, expected its version 9; run: "
            "pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    return run_failure(error, label, first_line(error), shapes)
