"""The stand-in's half of TensorRT that builds: logger, network, parser, configuration, builder."""

from __future__ import annotations

import enum
import json
from typing import Any

from engines.tensorrt_stand_in_graphs import MAGIC, session_of
from engines.tensorrt_versions import Dims, Strict, golden


def add_building(trt: Any) -> None:
    """Put the classes into the module, as strict as its version."""
    version = trt.__version__

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
        name = "conv"
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
                session = session_of(bytes(model))
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

        def create_builder_config(self) -> Any:
            return trt.IBuilderConfig()

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

    for each in (ILogger, IProfiler, ParserError, ITensor, ILayer, INetworkDefinition, OnnxParser,
                 IOptimizationProfile, ITimingCache, IBuilderConfig, Builder):  # fmt: skip
        setattr(trt, each.__name__, each)
    if "IProgressMonitor" in golden(version)["classes"]:
        trt.IProgressMonitor = IProgressMonitor
