"""A module with TensorRT's names and signatures that computes with ONNX Runtime on a `HostDevice`.

It is as strict as the backend's assumptions: plans of another version are refused, shapes outside
the profile are refused, every tensor needs an address, enumerations have the members that the
version has (from `tests/golden/tensorrt`). That the signatures are TensorRT's is a test of its own.
"""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort

from engines.host_device import HostDevice

GOLDEN = Path(__file__).parent.parent / "golden" / "tensorrt"
VERSIONS = ("8.6.1", "10.13.0.35", "11.4.0.106")
ENUMERATIONS = (
    "BuilderFlag", "DataType", "LayerInformationFormat", "LayerType", "MemoryPoolType",
    "NetworkDefinitionCreationFlag", "PreviewFeature", "ProfilingVerbosity", "TensorIOMode",
    "TensorLocation",
)  # fmt: skip
MAGIC = b"stand-in plan "


@functools.cache
def golden(version: str) -> dict[str, Any]:
    """What the bindings of a version hold."""
    found: dict[str, Any] = json.loads((GOLDEN / f"{version}.json").read_text(encoding="utf-8"))
    return found


def enumeration(name: str, version: str) -> Any:
    """An enumeration with the members of that version."""
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


def make(version: str, device: HostDevice) -> ModuleType:
    """The module."""
    trt: Any = ModuleType("tensorrt")
    trt.__version__ = version
    trt.Dims, trt.built = Dims, []
    for name in ENUMERATIONS:
        setattr(trt, name, enumeration(name, version))
    types = {np.dtype(np.float32): trt.DataType.FLOAT, np.dtype(np.float16): trt.DataType.HALF}
    trt.nptype = {kind: dtype.type for dtype, kind in types.items()}.__getitem__

    class ILogger:
        Severity = enum.IntEnum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

        def log(self, severity: Any, msg: str) -> None:
            raise NotImplementedError

    class IProgressMonitor:
        pass

    class IProfiler:
        pass

    class ParserError:
        def __init__(self, text: str) -> None:
            self._text = text

        def desc(self) -> str:
            return self._text

    class ITensor:
        def __init__(self, name: str) -> None:
            self.name = name

    class ILayer(Strict):
        """The whole graph in one."""

        known = frozenset(golden(version)["classes"]["ILayer"]) | {"output_types"}
        type = trt.LayerType.CONVOLUTION
        num_outputs = 1

        def __init__(self) -> None:
            self.output_types: dict[int, Any] = {}

        def get_output_type(self, index: int) -> Any:
            return trt.DataType.FLOAT

        def set_output_type(self, index: int, dtype: Any) -> None:
            self.output_types[index] = dtype

    class INetworkDefinition:
        def __init__(self, flags: int) -> None:
            self.creation_flags, self.model, self.num_layers = flags, b"", 1
            self._inputs: list[ITensor] = []
            self._layer = ILayer()

        @property
        def num_inputs(self) -> int:
            return len(self._inputs)

        def get_input(self, index: int) -> ITensor:
            return self._inputs[index]

        def get_layer(self, index: int) -> ILayer:
            assert index == 0
            return self._layer

    class OnnxParser:
        def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
            assert isinstance(logger, ILogger)
            self._network, self._errors = network, []

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def parse(self, model: bytes, path: str | None = None) -> bool:
            try:
                session = _session(bytes(model))
            except Exception as error:  # as ONNX Runtime names it
                self._errors.append(ParserError(str(error)))
                return False
            self._network.model = bytes(model)
            self._network._inputs = [ITensor(port.name) for port in session.get_inputs()]
            return True

        def get_error(self, index: int) -> ParserError:
            return self._errors[index]

    class IOptimizationProfile:
        def __init__(self) -> None:
            self.shapes: dict[str, list[list[int]]] = {}

        def set_shape(self, input: str, min: Dims, opt: Dims, max: Dims) -> None:
            assert all(a <= b <= c for a, b, c in zip(min, opt, max, strict=True))
            self.shapes[input] = [list(min), list(opt), list(max)]

    class ITimingCache:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def serialize(self) -> bytearray:
            return bytearray(self.data)

    class IBuilderConfig(Strict):
        known = frozenset(golden(version)["classes"]["IBuilderConfig"]) | {
            "flags_set", "profiles", "preview", "pools",
        }  # fmt: skip

        def __init__(self) -> None:
            self.flags_set = {trt.BuilderFlag.TF32}
            self.profiles: list[IOptimizationProfile] = []
            self.preview: set[Any] = set()
            self.builder_optimization_level = -1
            self.profiling_verbosity = None
            self.pools: dict[Any, int] = {}
            self._timing = ITimingCache(b"")

        def set_flag(self, flag: Any) -> None:
            self.flags_set.add(flag)

        def clear_flag(self, flag: Any) -> None:
            self.flags_set.discard(flag)

        def set_preview_feature(self, feature: Any, enable: bool) -> None:
            (self.preview.add if enable else self.preview.discard)(feature)

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self.pools[pool] = pool_size

        def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
            self.profiles.append(profile)
            return len(self.profiles) - 1

        def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
            return ITimingCache(bytes(serialized_timing_cache))

        def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
            if cache.data and not cache.data.startswith(version.encode()):
                return False
            self._timing = cache
            return True

        def get_timing_cache(self) -> ITimingCache:
            return self._timing

    class Builder:
        def __init__(self, logger: ILogger) -> None:
            assert isinstance(logger, ILogger)
            self._logger = logger

        def create_network(self, flags: int = 0) -> INetworkDefinition:
            return INetworkDefinition(flags)

        def create_builder_config(self) -> IBuilderConfig:
            return IBuilderConfig()

        def create_optimization_profile(self) -> IOptimizationProfile:
            return IOptimizationProfile()

        def build_serialized_network(
            self, network: INetworkDefinition, config: IBuilderConfig
        ) -> bytearray | None:
            trt.built.append((network, config))
            if set(config.profiles[0].shapes) != {i.name for i in network._inputs}:
                self._logger.log(ILogger.ERROR, "profile lacks an input")
                return None
            monitor = getattr(config, "progress_monitor", None)
            if monitor is not None:
                monitor.phase_start("Building", "", 2)
                assert monitor.step_complete("Building", 0)
                monitor.phase_finish("Building")
            if not config._timing.data:
                config._timing.data = version.encode()
            head = json.dumps({"version": version, "profile": config.profiles[0].shapes})
            return bytearray(MAGIC + head.encode() + b"\n" + network.model)

    class EngineInspector:
        def get_engine_information(self, format: Any) -> str:
            assert format == trt.LayerInformationFormat.JSON
            layer = {"Name": "conv", "LayerType": "Convolution", "TacticName": "fast"}
            return json.dumps({"Layers": [layer], "Bindings": []})

    class ICudaEngine:
        def __init__(self, profile: dict[str, Any], model: bytes) -> None:
            self.profile, self.session = profile, _session(model)
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
            return types[_dtype(next(p for p in self.ports if p.name == name))]

        def create_execution_context(self) -> IExecutionContext:
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
                inputs = {p.name: np.zeros(self._shapes[p.name], _dtype(p))
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
                dtype, shape = _dtype(port), shapes[port.name]
                nbytes = int(np.prod(shape)) * dtype.itemsize
                return device.view(addresses[port.name], nbytes).view(dtype).reshape(shape)

            def work() -> None:
                made = session.run(None, {p.name: array(p) for p in session.get_inputs()})
                for port, value in zip(session.get_outputs(), made, strict=True):
                    array(port)[:] = value

            return work

    class Runtime:
        def __init__(self, logger: ILogger) -> None:
            assert isinstance(logger, ILogger)
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            head, _, model = bytes(serialized_engine).partition(b"\n")
            facts = json.loads(head.removeprefix(MAGIC)) if head.startswith(MAGIC) else {}
            if facts.get("version") != version:
                self._logger.log(ILogger.ERROR, "the plan is of another version")
                return None
            return ICudaEngine(facts["profile"], model)

    for each in (ILogger, IProfiler, ParserError, ITensor, ILayer, INetworkDefinition, OnnxParser,
                 IOptimizationProfile, ITimingCache, IBuilderConfig, Builder, EngineInspector,
                 ICudaEngine, IExecutionContext, Runtime):  # fmt: skip
        setattr(trt, each.__name__, each)
    if "IProgressMonitor" in golden(version)["classes"]:
        trt.IProgressMonitor = IProgressMonitor
    return trt


@functools.lru_cache(maxsize=64)
def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _dtype(port: Any) -> np.dtype[Any]:
    return np.dtype({"tensor(float)": np.float32, "tensor(float16)": np.float16}[port.type])
