"""ONNX Runtime on NVIDIA GPUs: its CUDA provider, and its TensorRT provider.

Inputs and outputs are bound to device memory and are `DeviceArray`s of the pools that all engines
share, so a chain of graphs and image steps copies nothing to the host and back. ONNX Runtime works
in a stream of its own: inputs are waited for before a run, and a run waits for its own work.

A session that was asked for a GPU and runs on the CPU is an error here: ONNX Runtime itself goes on
without a word. TF32 is off unless asked for; the TensorRT provider has no such switch, which exact
graphs bear, as their integers fit TF32's mantissa. What they do not bear is Winograd with tiles of
6x6: its sums are off by more than the rounding behind them forgives. cuDNN takes it where it is
fastest. Exact graphs have no kernels for it; float ones that decide scales, and exact ones of older
bundles, get the algorithms that it falls back to, which are products of matrices.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from latentsr.backends.base import Engine, EngineOptions, run_failure
from latentsr.backends.device import parse_index
from latentsr.backends.device_pool import Block, DeviceArray, Pools, working
from latentsr.errors import BackendError, EngineMemoryError

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
IDLE_PLACES = 4
"""Captured shapes that an engine keeps; the longest unused one goes first."""
_log = logging.getLogger("latentsr")
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


def load_on_gpu(
    ort: Any, graph: bytes, label: str, options: EngineOptions, settings: Any, tensorrt: bool
) -> tuple[Any, int]:
    """A session on the GPU, and the GPU's number. Raises BackendError where it would not be one.

    settings: session options; tensorrt: the TensorRT provider before the CUDA one.
    """
    index = parse_index(options.device, "ort")
    wanted = TENSORRT if tensorrt else CUDA
    preload(ort)
    check_provider(ort, wanted)
    providers = providers_for(options, index, tensorrt)
    try:
        session = _session(ort, graph, label, settings, providers)
    except Exception as error:
        raise BackendError(
            f"graph {label} is refused by ONNX Runtime {ort.__version__} on {options.device}: "
            f"found {_first_line(error)}, expected a graph that it loads; update "
            "onnxruntime-gpu or export the bundle again"
        ) from error
    running = session.get_providers()
    if wanted not in running:
        raise BackendError(
            f"engine {label} would run elsewhere: found {', '.join(running)}, expected {wanted}; "
            "install the CUDA and cuDNN versions that this onnxruntime-gpu wants, and look at "
            "nvidia-smi"
        )
    return session, index


def preload(ort: Any) -> None:
    """Load CUDA and cuDNN from their own packages.

    Comes before anything else: a CUDA provider that is a plug-in is registered by it where it could
    not be at the import. It prints what it does not find, and results alone go to stdout.
    """
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            ort.preload_dlls()


def check_provider(ort: Any, wanted: str) -> None:
    """Raise BackendError where this build of ONNX Runtime lacks a provider."""
    if wanted not in ort.get_available_providers():
        raise BackendError(
            f"device is not available on backend ort: found providers "
            f"{', '.join(ort.get_available_providers())}, expected {wanted}; run: pip uninstall "
            "onnxruntime, then pip install 'latentsr[cuda]'"
        )


def _session(ort: Any, graph: bytes, label: str, settings: Any, providers: Any) -> Any:
    """A session all on the GPU, or where ONNX Runtime refuses that, one that says what is not."""

    def made() -> Any:
        # Its own fallback would print what is wrong to stdout and make a session on the CPU.
        return ort.InferenceSession(graph, settings, providers=providers, enable_fallback=0)

    strict = "session.disable_cpu_ep_fallback"
    settings.add_session_config_entry(strict, "1")
    try:
        return made()
    except Exception as error:
        reason = _first_line(error)
    settings.add_session_config_entry(strict, "0")
    session = made()
    _log.warning("engine %s may run in part on the CPU: %s", label, reason)
    return session


def providers_for(options: EngineOptions, index: int, tensorrt: bool) -> list[tuple[str, Any]]:
    """Providers with their options, in order of preference."""
    cuda = {"device_id": str(index), "use_tf32": "1" if options.tf32 else "0",
            "enable_cuda_graph": "1" if captures(options) and not tensorrt else "0"}  # fmt: skip
    if options.decides:
        cuda["cudnn_conv_algo_search"] = "DEFAULT"  # others may choose Winograd
    found: list[tuple[str, Any]] = [(CUDA, cuda)]
    if tensorrt:
        from latentsr.plans.cache import Cache

        folder = str((options.cache or Cache()).folder / "onnxruntime-tensorrt")
        found.insert(0, (TENSORRT, {
            "device_id": str(index),
            "trt_fp16_enable": "1" if options.precision == "fp16" else "0",
            "trt_engine_cache_enable": "1", "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1", "trt_timing_cache_path": folder,
        }))  # fmt: skip
    return found


def captures(options: EngineOptions) -> bool:
    """Whether sessions capture CUDA graphs: only where that was asked for.

    It keeps outputs from staying on the device, and runs of one session from overlapping.
    """
    return options.graphs is True and not options.profile


def _graph_number(number: int) -> Any:
    from onnxruntime import RunOptions

    found = RunOptions()
    found.add_run_config_entry("gpu_graph_id", str(number))
    return found


def _failed(label: str, error: Exception, inputs: Mapping[str, Any]) -> BackendError:
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    return run_failure(error, label, _first_line(error), shapes)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    # In front may be the place in ONNX Runtime's sources, longer than what is said.
    return lines[0] if len(lines[0]) <= 300 else f"...{lines[0][-300:]}"
