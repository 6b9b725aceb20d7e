"""What TensorRT for RTX compiles on the GPU that runs a plan: done once, kept in the cache.

A plan holds no code for a GPU yet. Kernels are compiled when a context first meets a shape, which
takes seconds; the library can write them out and read them back where GPU, driver and its own
version are the same. It captures CUDA graphs by itself.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import Any

from latentsr.backends.device import Device
from latentsr.backends.tensorrt_api import Dialect
from latentsr.errors import UsageError
from latentsr.plans.cache import Cache

_log = logging.getLogger("latentsr")


class Compiled:
    """The kernels of one plan, shared by its contexts.

    engine: TensorRT for RTX's `ICudaEngine`. name: of the cache entry. plan: SHA-256 of the plan.
    """

    def __init__(
        self, engine: Any, speaks: Dialect, device: Device, cache: Cache, name: str, plan: str
    ) -> None:
        self._engine, self._speaks, self._cache, self._name = engine, speaks, cache, name
        self._facts = {
            "kind": "tensorrt-rtx kernels 1", "plan": plan, "tensorrt_rtx": speaks.version,
            "gpu": device.name, "sm": "{}.{}".format(*device.capability),
            "cuda_driver": device.driver,
        }  # fmt: skip
        self._lock = threading.Lock()
        self._kernels = engine.create_runtime_config().create_runtime_cache()
        self._kept = b""
        known, _ = cache.find(name, self._facts)
        # Another version's are refused by the library, and compiled again.
        if known is not None and self._kernels.deserialize(known.data):
            self._kept = _digest(known.data)

    def context(self, graphs: bool) -> Any:
        """A context that compiles for each shape before it runs, None where there is no memory.

        graphs: let the library capture CUDA graphs.
        """
        trt = self._speaks.module
        config = self._engine.create_runtime_config()
        config.set_runtime_cache(self._kernels)
        # Otherwise the first runs take kernels for any shape, and a captured graph keeps them.
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        config.cuda_graph_strategy = (
            trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE if graphs else trt.CudaGraphStrategy.DISABLED
        )
        return self._engine.create_execution_context(runtime_config=config)

    def keep(self) -> None:
        """Write to the cache what has been compiled since; without a cache that costs time only."""
        with self._lock:
            made = self._kernels.serialize()
            if made is None:  # for whatever reason: they are compiled again next time
                return
            data = bytes(made)
            digest = _digest(data)
            if digest == self._kept:
                return
            self._kept = digest
            try:
                self._cache.store(self._name, self._facts, data, {})
            except UsageError as error:
                _log.warning("compiled kernels of TensorRT for RTX are not kept: %s", error)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
