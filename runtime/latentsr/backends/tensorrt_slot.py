"""One place where a plan runs at one shape: context, buffers, staging memory, CUDA graph.

Addresses and shapes of a slot never change, so after the first run its work can be captured and
then takes one launch. A slot serves one run at a time and is free again when nobody refers to the
run's outputs; an engine makes as many as are wanted at once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.backends.base import tells_of_memory
from latentsr.backends.device import Event, Graph, Stream
from latentsr.backends.device_pool import Block, DeviceArray, Pools
from latentsr.backends.tensorrt_api import last_error
from latentsr.backends.values import Resident
from latentsr.errors import BackendError, EngineMemoryError

if TYPE_CHECKING:
    import tensorrt as trt

    from latentsr.backends.tensorrt_plans import Plan

_log = logging.getLogger("latentsr")


class Slot:
    """Ready to run; see the module."""

    def __init__(
        self,
        plan: Plan,
        shapes: Mapping[str, tuple[int, ...]],
        pools: Pools,
        label: str,
        graphs: bool,
    ) -> None:
        self._plan, self._pools, self._label = plan, pools, label
        # TensorRT for RTX captures by itself.
        self._graphs = graphs and pools.device.supports_graphs and plan.compiled is None
        self._graph: Graph | None = None
        self._warm = False
        self._staging: dict[str, np.ndarray] = {}
        self._staged: Event | None = None
        self.context = self._context(shapes, graphs)
        self.shapes = {n: self._shape(n) for n in (*plan.inputs, *plan.outputs)}
        self._blocks = {name: self._block(name) for name in self.shapes}

    @property
    def uses_graph(self) -> bool:
        """Whether the work has been captured."""
        return self._graph is not None

    def run(self, inputs: Mapping[str, Any], stream: Stream) -> None:
        """Put one run into the stream."""
        for block in self._blocks.values():
            block.use(stream)
        self._feed(inputs, stream)
        if self._graph is not None:
            self._graph.launch(stream)
        else:
            self._first_runs(stream)
        for block in self._blocks.values():
            block.mark(stream)

    def outputs(self, lease: object) -> dict[str, DeviceArray]:
        """The last run's outputs; each keeps the lease."""
        return {
            name: DeviceArray(
                self._pools, self._blocks[name], self.shapes[name], self._plan.types[name], lease
            )
            for name in self._plan.outputs
        }

    def close(self) -> None:
        """Wait for all work and free the memory."""
        for block in self._blocks.values():
            block.free()
        self._graph = None

    def __del__(self) -> None:
        # Before context and graph go, all their work has to have ended.
        with contextlib.suppress(BackendError, AttributeError, TypeError):
            self.close()

    def _context(
        self, shapes: Mapping[str, tuple[int, ...]], graphs: bool
    ) -> trt.IExecutionContext:
        compiled = self._plan.compiled
        context = (self._plan.engine.create_execution_context() if compiled is None
                   else compiled.context(graphs))  # fmt: skip
        if context is None:
            raise self._failed("out of memory for a context")
        stream = self._pools.device.stream()
        if not context.set_optimization_profile_async(0, stream.handle):
            raise self._failed(last_error(self._plan.speaks.package))
        stream.synchronize()
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise self._failed(f"input {name} of shape {shape}")
        return context

    def _shape(self, name: str) -> tuple[int, ...]:
        dims = self.context.get_tensor_shape(name)
        shape = tuple(int(dims[i]) for i in range(len(dims)))
        if any(side < 0 for side in shape):
            raise self._failed(f"{name} of shape {shape}, known only after the run")
        return shape

    def _block(self, name: str) -> Block:
        size = int(np.prod(self.shapes[name], dtype=np.int64))
        nbytes = max(size * np.dtype(self._plan.types[name]).itemsize, 1)
        block = Block(self._pools.device.alloc(nbytes))
        if not self.context.set_tensor_address(name, block.memory.address):
            raise self._failed(f"no address for {name}")
        return block

    def _feed(self, inputs: Mapping[str, Any], stream: Stream) -> None:
        """Copy the inputs to where the plan wants them."""
        host = []
        for name in self._plan.inputs:
            value, wanted = inputs[name], np.dtype(self._plan.types[name])
            if value.dtype != wanted or tuple(value.shape) != self.shapes[name]:
                raise self._failed(f"{name} as {value.dtype} {tuple(value.shape)}, "
                                   f"not {wanted} {self.shapes[name]}")  # fmt: skip
            if isinstance(value, DeviceArray) and value.pools is self._pools:
                value.copy_into(self._blocks[name], stream)
            else:
                host.append((name, value))
        if host and self._staged is not None:
            self._staged.synchronize()  # the copy of the last run reads the same memory
        for name, value in host:
            self._upload(name, value, stream)
        if host:
            self._staged = self._staged or self._pools.device.event()
            stream.record(self._staged)

    def _upload(self, name: str, value: Any, stream: Stream) -> None:
        memory = self._blocks[name].memory
        if name not in self._staging:
            raw = self._pools.device.pinned(memory.nbytes)
            size = int(np.prod(self.shapes[name], dtype=np.int64))
            typed = raw[: size * value.dtype.itemsize].view(value.dtype)
            self._staging[name] = typed.reshape(self.shapes[name])
        staging = self._staging[name]
        np.copyto(staging, value.to_host() if isinstance(value, Resident) else value)
        stream.upload(memory, staging)

    def _first_runs(self, stream: Stream) -> None:
        """The first run as it is, which lets TensorRT set itself up; the second is captured."""
        if not (self._warm and self._graphs):
            self._execute(stream)
            if not self._warm and self._plan.compiled is not None:
                self._plan.compiled.keep()
            self._warm = True
            return
        try:
            self._graph = self._capture(stream)
        except BackendError as error:
            self._graphs = False
            _log.warning("engine %s runs without a CUDA graph: %s", self._label, str(error))
            self._execute(stream)
        else:
            self._graph.launch(stream)

    def _capture(self, stream: Stream) -> Graph:
        stream.begin_capture()
        try:
            self._execute(stream)
        except BackendError:
            stream.abandon_capture()
            raise
        return stream.end_capture()

    def _execute(self, stream: Stream) -> None:
        if not self.context.execute_async_v3(stream.handle):
            raise self._failed(last_error(self._plan.speaks.package))

    def _failed(self, found: str) -> BackendError:
        kind = EngineMemoryError if tells_of_memory(found) else BackendError
        return kind(
            f"engine {self._label} failed: found {found}, expected shapes and types that the plan "
            f"for {self._plan.profile} takes, and free device memory; check the route and the "
            "picture's size"
        )
