"""ONNX Runtime on NVIDIA GPUs: its CUDA provider, and its TensorRT provider.

Inputs and outputs are bound to device memory, so a chain of graphs copies nothing to the host and
back. A session that was asked for a GPU and runs on the CPU is an error here: ONNX Runtime itself
goes on without a word. TF32 is off unless asked for; the TensorRT provider has no such switch,
which exact graphs bear, as their integers fit TF32's mantissa.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsr.backends.base import Engine, EngineOptions
from latentsr.backends.device import parse_index
from latentsr.backends.values import Resident
from latentsr.errors import BackendError

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
IDLE_PLACES = 4
"""Captured shapes that an engine keeps; the longest unused one goes first."""
_log = logging.getLogger("latentsr")
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OrtResident(Resident):
    """An OrtValue in device memory; lease: what must not be used again before it is gone."""

    def __init__(self, value: Any, lease: object = None) -> None:
        self.value, self._lease = value, lease
        self.shape = tuple(value.shape())
        self.dtype = np.dtype(_TYPES[value.data_type()])

    def to_host(self) -> np.ndarray:
        """Bring the array down."""
        found: np.ndarray = self.value.numpy()
        return found

    def window(self, top: int, left: int, height: int, width: int) -> Resident | np.ndarray:
        """The rectangle; ONNX Runtime cannot cut one out of a value, so the host does."""
        if (top, left, height, width) == (0, 0, *self.shape[2:]):
            return self
        return self.to_host()[:, :, top : top + height, left : left + width]


class BoundEngine(Engine):
    """A session whose inputs and outputs lie on a device.

    kind: ONNX Runtime's name of the device, ``cuda``; ``cpu`` runs the same steps in host memory.
    """

    def __init__(self, session: Any, label: str, kind: str, index: int) -> None:
        self._session, self._label = session, label
        self._kind, self._index = kind, index
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the session once; outputs stay on the device."""
        try:
            binding = self._session.io_binding()
            for name, value in inputs.items():
                binding.bind_ortvalue_input(name, self._on_device(value))
            for name in self._outputs:
                binding.bind_output(name, self._kind, self._index)
            self._session.run_with_iobinding(binding)
            made = binding.get_outputs()
        except Exception as error:
            raise _failed(self._label, error, inputs) from error
        return {name: OrtResident(value) for name, value in zip(self._outputs, made, strict=True)}

    @property
    def runs_on(self) -> str:
        """The provider in use."""
        return "+".join(self._session.get_providers())

    def _on_device(self, value: Any) -> Any:
        from onnxruntime import OrtValue

        if isinstance(value, OrtResident):
            return value.value
        array = np.ascontiguousarray(value.to_host() if isinstance(value, Resident) else value)
        return OrtValue.ortvalue_from_numpy(array, self._kind, self._index)


class _Place:
    """Fixed addresses for one shape, and the number of its CUDA graph."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], number: int) -> None:
        self.shapes, self.number = dict(shapes), number
        self.inputs: dict[str, Any] = {}
        self.binding: Any = None
        self.outputs: list[Any] = []


class CapturingEngine(BoundEngine):
    """A session made with ``enable_cuda_graph``: one captured graph for each place.

    Graphs have fixed addresses, so inputs are copied in, and outputs copied out: to the host, or
    to a value that the caller keeps.
    """

    def __init__(self, session: Any, label: str, kind: str, index: int) -> None:
        super().__init__(session, label, kind, index)
        self._places: list[_Place] = []
        self._made = 0
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run, or launch what was captured; one run at a time."""
        shapes = {name: tuple(value.shape) for name, value in inputs.items()}
        with self._lock:
            place = next((p for p in self._places if p.shapes == shapes), None)
            try:
                if place is None:
                    place = self._new_place(inputs, shapes)
                else:
                    for name, value in inputs.items():
                        place.inputs[name].update_inplace(np.ascontiguousarray(np.asarray(value)))
                self._run(place)
                made = [value.numpy() for value in place.outputs]
            except Exception as error:
                raise _failed(self._label, error, inputs) from error
        return dict(zip(self._outputs, made, strict=True))

    @property
    def runs_on(self) -> str:
        """The provider in use."""
        return f"{super().runs_on}, CUDA graphs"

    def _new_place(
        self, inputs: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> _Place:
        """Let one plain run find the outputs' shapes, then bind everything for good."""
        from onnxruntime import OrtValue

        while len(self._places) >= IDLE_PLACES:
            self._places.pop(0)
        self._made += 1
        place = _Place(shapes, self._made)
        plain = self._session.io_binding()
        place.binding = self._session.io_binding()
        for name, value in inputs.items():
            place.inputs[name] = self._on_device(value)
            plain.bind_ortvalue_input(name, place.inputs[name])
            place.binding.bind_ortvalue_input(name, place.inputs[name])
        for name in self._outputs:
            plain.bind_output(name, self._kind, self._index)
        self._session.run_with_iobinding(plain, _graph_number(-1))
        for name, value in zip(self._outputs, plain.get_outputs(), strict=True):
            dtype = _TYPES[value.data_type()]
            own = OrtValue.ortvalue_from_shape_and_type(
                list(value.shape()), dtype, self._kind, self._index
            )
            place.outputs.append(own)
            place.binding.bind_ortvalue_output(name, own)
        self._places.append(place)
        return place

    def _run(self, place: _Place) -> None:
        self._session.run_with_iobinding(place.binding, _graph_number(place.number))


def load_on_gpu(
    ort: Any, graph: bytes, label: str, options: EngineOptions, settings: Any, tensorrt: bool
) -> tuple[Any, int]:
    """A session on the GPU, and the GPU's number. Raises BackendError where it would not be one.

    settings: session options; tensorrt: the TensorRT provider before the CUDA one.
    """
    index = parse_index(options.device, "ort")
    wanted = TENSORRT if tensorrt else CUDA
    if wanted not in ort.get_available_providers():
        raise BackendError(
            f"device is not available on backend ort: found providers "
            f"{', '.join(ort.get_available_providers())}, expected {wanted}; run: pip uninstall "
            "onnxruntime, then pip install 'latentsr[cuda]'"
        )
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA and cuDNN from their own packages
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


def _session(ort: Any, graph: bytes, label: str, settings: Any, providers: Any) -> Any:
    """A session all on the GPU, or where ONNX Runtime refuses that, one that says what is not."""
    strict = "session.disable_cpu_ep_fallback"
    settings.add_session_config_entry(strict, "1")
    try:
        return ort.InferenceSession(graph, settings, providers=providers)
    except Exception as error:
        reason = _first_line(error)
    settings.add_session_config_entry(strict, "0")
    session = ort.InferenceSession(graph, settings, providers=providers)
    _log.warning("engine %s may run in part on the CPU: %s", label, reason)
    return session


def providers_for(options: EngineOptions, index: int, tensorrt: bool) -> list[tuple[str, Any]]:
    """Providers with their options, in order of preference."""
    cuda = {"device_id": str(index), "use_tf32": "1" if options.tf32 else "0",
            "enable_cuda_graph": "1" if captures(options) and not tensorrt else "0"}  # fmt: skip
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
    return BackendError(
        f"engine {label} failed: found {_first_line(error)} with inputs {shapes}, expected shapes "
        "that the graph takes, and free device memory; check the route and the picture's size"
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
