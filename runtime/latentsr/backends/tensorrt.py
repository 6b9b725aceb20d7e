"""The TensorRT backend: plans built on the machine that runs them, kept in a cache.

TensorRT 8.6 to 11 through its own Python API, and TensorRT for RTX. What is where: `tensorrt_api`
(what differs between versions), `tensorrt_build` (parse, profile, build), `tensorrt_plans` (cache),
`tensorrt_slot` (buffers, launch, CUDA graph), `tensorrt_late` (what TensorRT for RTX compiles on
the GPU), `device` (the GPU). Outputs stay on the device until someone reads
them, and runs of one thread go into one stream, so a chain of engines waits only where the host
needs a value.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from latentsr.backends.base import Backend, Engine, EngineOptions, NodeTime
from latentsr.backends.device import Device, parse_index
from latentsr.backends.device_pool import Pools, pools_of
from latentsr.backends.lending import Lease
from latentsr.backends.profiles import Shape
from latentsr.backends.tensorrt_api import RTX, TENSORRT, backend_name, library
from latentsr.backends.tensorrt_build import TURING, BuildOptions, Watch
from latentsr.backends.tensorrt_plans import Maker, Plan
from latentsr.backends.tensorrt_profile import LayerTimes
from latentsr.backends.tensorrt_slot import Slot
from latentsr.errors import EngineMemoryError

_log = logging.getLogger("latentsr")
IDLE_SLOTS = 4
"""Free slots that an engine keeps, over all shapes; the longest unused one goes first."""


class TensorRtEngine(Engine):
    """One graph; plans are found or built for the shapes that come."""

    def __init__(self, maker: Maker, pools: Pools, options: EngineOptions) -> None:
        self._maker, self._pools = maker, pools
        self._plans: list[Plan] = []
        self._idle: deque[Slot] = deque()
        self._lock = threading.Lock()
        self._times = LayerTimes(maker.label, maker.speaks) if options.profile else None
        # A captured graph reports no layers, so a profile wants launches one by one.
        self._graphs = options.graphs is not False and not options.profile

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Put one run into the calling thread's stream; outputs are device arrays.

        inputs: arrays in host memory, or what another engine of this device made.
        """
        shapes = {name: tuple(value.shape) for name, value in inputs.items()}
        # First, as it makes the GPU this thread's: a context is made on whichever that is.
        stream = self._pools.device.stream()
        slot = self._slot(shapes)
        lease = Lease(slot, self._idle.append)  # a failed run gives the slot back as well
        slot.run(inputs, stream)
        if self._times is not None:
            stream.synchronize()
            self._times.runs += 1
        return dict(slot.outputs(lease))

    @property
    def runs_on(self) -> str:
        """TensorRT's version, the GPU, and what serves it."""
        device, speaks = self._pools.device, self._maker.speaks
        can = device.supports_graphs or speaks.late
        how = "CUDA graphs" if self._graphs and can else "kernel launches"
        return f"{speaks.title} on {device.name} ({device.library}, {how})"

    def prepare(self, shapes: Mapping[str, Shape]) -> None:
        """Find or build the plan for these shapes, and load it."""
        with self._lock:
            self._plan(shapes)

    def begin_profile(self) -> None:
        """Leave out what ran up to now."""
        if self._times is None:
            super().begin_profile()
        else:
            self._times.begin()

    def end_profile(self) -> list[NodeTime]:
        """Mean time of each of TensorRT's layers, which are several nodes of the graph fused."""
        return super().end_profile() if self._times is None else self._times.end()

    def _slot(self, shapes: dict[str, Shape]) -> Slot:
        with self._lock:
            for slot in list(self._idle):
                if all(slot.shapes.get(name) == shape for name, shape in shapes.items()):
                    self._idle.remove(slot)
                    return slot
            while len(self._idle) >= IDLE_SLOTS:
                self._idle.popleft().close()
            plan = self._plan(shapes)
            slot = self._new_slot(plan, shapes)
            if self._times is not None:
                self._times.watch(slot.context)
            return slot

    def _new_slot(self, plan: Plan, shapes: dict[str, Shape]) -> Slot:
        """A slot, where need be in the place of memory that nobody uses."""
        try:
            return Slot(plan, shapes, self._pools, self._maker.label, self._graphs)
        except EngineMemoryError:
            given_back = self._pools.clear()
            while self._idle:
                self._idle.popleft().close()
                given_back = True
            if not given_back:
                raise
        return Slot(plan, shapes, self._pools, self._maker.label, self._graphs)

    def _plan(self, shapes: Mapping[str, Shape]) -> Plan:
        # Plans for one shape only are tuned for it, so they come first.
        for plan in sorted(self._plans, key=lambda plan: not plan.profile.is_exact):
            if plan.profile.covers(shapes):
                return plan
        plan = self._maker.plan_for(shapes)
        self._plans.append(plan)
        return plan


class TensorRtBackend(Backend):
    """TensorRT on an NVIDIA GPU."""

    name = "tensorrt"
    package = TENSORRT

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Get ready to run a graph; its plans are found or built when shapes come."""
        index = parse_index(options.device, self.name)
        # Without TensorRT a GPU is of no use here, and this message is the clearer one.
        library(self.package)
        pools = pools_of(index)
        return TensorRtEngine(self.maker(graph, label, options, pools.device), pools, options)

    @classmethod
    def maker(
        cls,
        graph: bytes,
        label: str,
        options: EngineOptions,
        device: Device | None,
        say: Callable[[str], None] = _log.warning,
        watch: Watch | None = None,
    ) -> Maker:
        """What makes the graph's plans on a device. Raises BackendError without TensorRT."""
        from latentsr.plans.cache import Cache

        build = BuildOptions(
            fp16=options.precision == "fp16", tf32=options.tf32, target=cls.target(device)
        )
        cache = options.cache or Cache()
        return Maker(graph, label, build, device, library(cls.package), cache, say, watch)

    @classmethod
    def target(cls, device: Device | None) -> str:
        """The kind of GPU that plans are for, where that is not settled by building on one."""
        del device
        return ""


class TensorRtRtxBackend(TensorRtBackend):
    """TensorRT for RTX: plans for GPUs from Ampere on, or for Turing; built without a GPU."""

    name = backend_name(RTX)
    package = RTX

    @classmethod
    def target(cls, device: Device | None) -> str:
        """Turing's plans fit no other kind."""
        return TURING if device is not None and device.capability == (7, 5) else ""
