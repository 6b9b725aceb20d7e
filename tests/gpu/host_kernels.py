"""The device's place taken by the processor, as late as a GPU may be.

LATENTSR_CUDA_EMULATED names a `_cuda_kernels` whose kernels run on the processor
(kernels/tests/host_launches.cpp), and has the tests of this folder run on it. Like copies, kernels
then run when somebody waits for their stream. That shows that arrays, plans, errors, the order of
the work and the kernels' source are right, and nothing about a device.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any

from engines.host_device import AddressedDevice

VARIABLE = "LATENTSR_CUDA_EMULATED"
MODULE = "latentsr._cuda_kernels"
AT_ONCE = ("obstacle", "combine_crcs", "encode_bound", "encode_scratch")


@functools.cache
def load_kernels(path: str) -> ModuleType:
    """The module at `path`, whose types a process can have once."""
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class LateKernels:
    """The module with its kernels put into the streams of a device in host memory."""

    def __init__(self, module: ModuleType, device: AddressedDevice) -> None:
        self._module, self._device = module, device

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        return found if name in AT_ONCE else self.late(found)

    def PackedTables(self, *arrays: Any) -> LateTables:  # noqa: N802
        return LateTables(self, self._module.PackedTables(*arrays))

    def PackedContext(self, *tensors: Any) -> LateContext:  # noqa: N802
        return LateContext(self, self._module.PackedContext(*tensors))

    def late(self, kernel: Callable[..., None]) -> Callable[..., None]:
        def call(*given: Any) -> None:
            self._device.streams[given[-1]].put(lambda: kernel(*given[:-1], 0))

        return call


class LateTables:
    def __init__(self, kernels: LateKernels, native: Any) -> None:
        self.native, self.bytes = native, native.bytes
        self.decode, self.encode = kernels.late(native.decode), kernels.late(native.encode)


class LateContext:
    def __init__(self, kernels: LateKernels, native: Any) -> None:
        self.bytes, self.scratch = native.bytes, native.scratch
        self.encode, self._decode = kernels.late(native.encode), kernels.late(native.decode)

    def decode(self, base: int, tables: LateTables, *given: Any) -> None:
        self._decode(base, tables.native, *given)
