"""The stand-in's half of TensorRT that runs plans, on a `HostDevice`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from engines.host_device import HostDevice
from engines.tensorrt_stand_in_graphs import MAGIC, dtype_of, session_of
from engines.tensorrt_versions import Dims, Strict, golden


def add_running(trt: Any, device: HostDevice, types: dict[np.dtype[Any], Any]) -> None:
    """Put the classes into the module; types: TensorRT's names of sample types."""
    version = trt.__version__

    class EngineInspector:
        def get_engine_information(self, format: Any) -> str:
            assert format == trt.LayerInformationFormat.JSON
            layer = {"Name": "conv", "LayerType": "Convolution", "TacticName": "fast"}
            return json.dumps({"Layers": [layer], "Bindings": []})

    class ICudaEngine:
        def __init__(self, profile: dict[str, Any], model: bytes) -> None:
            self.profile, self.session = profile, session_of(model)
            self.ports = [*self.session.get_inputs(), *self.session.get_outputs()]
            self.contexts = 0

        @property
        def num_io_tensors(self) -> int:
            return len(self.ports)

        def get_tensor_name(self, index: int) -> str:
            return self.ports[index].name

        def get_tensor_mode(self, name: str) -> Any:
            inputs = [port.name for port in self.session.get_inputs()]
            return trt.TensorIOMode.INPUT if name in inputs else trt.TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> Any:
            return types[dtype_of(next(p for p in self.ports if p.name == name))]

        def create_execution_context(self) -> IExecutionContext:
            assert device.is_active
            self.contexts += 1
            return IExecutionContext(self)

        def create_engine_inspector(self) -> EngineInspector:
            return EngineInspector()

    class IExecutionContext(Strict):
        known = frozenset(golden(version)["classes"]["IExecutionContext"])

        def __init__(self, engine: ICudaEngine) -> None:
            self._engine, self._profile_set = engine, False
            self._shapes: dict[str, tuple[int, ...]] = {}
            self._addresses: dict[str, int] = {}
            self.profiler: Any = None

        def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
            self._profile_set = profile_index == 0 and stream_handle in device.streams
            return self._profile_set

        def set_input_shape(self, name: str, shape: Any) -> bool:
            least, _, most = self._engine.profile[name]
            if not self._profile_set or not all(
                a <= b <= c for a, b, c in zip(least, shape, most, strict=True)
            ):
                return False
            self._shapes[name] = tuple(shape)
            return True

        def get_tensor_shape(self, name: str) -> Dims:
            if name not in self._shapes:
                inputs = {p.name: np.zeros(self._shapes[p.name], dtype_of(p))
                          for p in self._engine.session.get_inputs()}  # fmt: skip
                made = self._engine.session.run(None, inputs)
                for port, array in zip(self._engine.session.get_outputs(), made, strict=True):
                    self._shapes[port.name] = array.shape
            return Dims(list(self._shapes[name]))

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            if set(self._addresses) != {port.name for port in self._engine.ports}:
                return False
            device.streams[stream_handle].put(self._work())
            if self.profiler is not None:
                self.profiler.report_layer_time("conv", 0.25)
            return True

        def _work(self) -> Callable[[], None]:
            session, shapes = self._engine.session, dict(self._shapes)
            addresses = dict(self._addresses)

            def array(port: Any) -> np.ndarray:
                dtype, shape = dtype_of(port), shapes[port.name]
                nbytes = int(np.prod(shape)) * dtype.itemsize
                return device.view(addresses[port.name], nbytes).view(dtype).reshape(shape)

            def work() -> None:
                made = session.run(None, {p.name: array(p) for p in session.get_inputs()})
                for port, value in zip(session.get_outputs(), made, strict=True):
                    array(port)[:] = value

            return work

    class Runtime:
        def __init__(self, logger: Any) -> None:
            assert isinstance(logger, trt.ILogger)
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            assert device.is_active
            head, _, model = bytes(serialized_engine).partition(b"\n")
            facts = json.loads(head.removeprefix(MAGIC)) if head.startswith(MAGIC) else {}
            if facts.get("version") != version:
                self._logger.log(trt.ILogger.ERROR, "the plan is of another version")
                return None
            return trt.ICudaEngine(facts["profile"], model)

    for each in (EngineInspector, ICudaEngine, IExecutionContext, Runtime):
        setattr(trt, each.__name__, each)
