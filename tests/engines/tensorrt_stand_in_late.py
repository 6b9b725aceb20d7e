"""What TensorRT for RTX has beside the stand-in's other halves: targets, and kernels compiled late.

A build that touches the timing cache fails here: there it would ask for a GPU.
"""

from __future__ import annotations

from typing import Any

from engines.host_device import HostDevice
from engines.tensorrt_versions import Strict, golden


def add_late(trt: Any, device: HostDevice) -> None:
    """Put the classes into the module."""
    version = trt.__version__

    class IRuntimeCache:
        def __init__(self) -> None:
            self.kernels: set[str] = set()

        def serialize(self) -> bytearray:
            return bytearray("\n".join([version, *sorted(self.kernels)]).encode())

        def deserialize(self, blob: bytes) -> bool:
            head, *kernels = bytes(blob).decode().split("\n")
            if head != version:
                return False
            self.kernels |= set(kernels)
            return True

    class IRuntimeConfig(Strict):
        known = frozenset(golden(version)["classes"]["IRuntimeConfig"]) | {"cache"}

        def __init__(self) -> None:
            self.cuda_graph_strategy = trt.CudaGraphStrategy.DISABLED
            self.dynamic_shapes_kernel_specialization_strategy = (
                trt.DynamicShapesKernelSpecializationStrategy.LAZY
            )
            self.cache = IRuntimeCache()

        def create_runtime_cache(self) -> IRuntimeCache:
            return IRuntimeCache()

        def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
            self.cache = cache
            return True

    class IBuilderConfig(trt.IBuilderConfig):
        known = trt.IBuilderConfig.known | {"targets"}

        def __init__(self) -> None:
            super().__init__()
            self.num_compute_capabilities = 0
            self.targets: list[Any] = []

        def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
            assert index == len(self.targets) < self.num_compute_capabilities
            self.targets.append(compute_capability)
            return True

        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            raise AssertionError("with a timing cache a build wants a GPU")

    class IExecutionContext(trt.IExecutionContext):
        known = trt.IExecutionContext.known

        def __init__(self, engine: Any, config: IRuntimeConfig) -> None:
            super().__init__(engine)
            self._config = config
            trt.configs.append(config)

        def execute_async_v3(self, stream_handle: int) -> bool:
            name = str(sorted(self._shapes.items()))
            if name not in self._config.cache.kernels:
                self._config.cache.kernels.add(name)
                trt.compiled.append(name)
            return super().execute_async_v3(stream_handle)

    class ICudaEngine(trt.ICudaEngine):
        def create_runtime_config(self) -> IRuntimeConfig:
            return IRuntimeConfig()

        def create_execution_context(self, runtime_config: IRuntimeConfig) -> Any:
            assert device.is_active
            self.contexts += 1
            return IExecutionContext(self, runtime_config)

    trt.compiled, trt.configs = [], []
    for each in (IRuntimeCache, IRuntimeConfig, IBuilderConfig, IExecutionContext, ICudaEngine):
        setattr(trt, each.__name__, each)
