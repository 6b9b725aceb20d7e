"""Build a TensorRT plan: parse the graph, set profile and options, have kernels timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from latentsr.backends.profiles import Profile
from latentsr.backends.tensorrt_api import Dialect, last_error, logger
from latentsr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

Watch = Callable[[str, int, int], None]
"""Told how a build goes on: name of the phase, steps done, steps in all."""


@dataclass(frozen=True)
class BuildOptions:
    """What a plan depends on besides graph, shapes and machine.

    fp16: the graph is an FP16 variant (TensorRT 8.6 wants to be told). tf32: sums from rounded
    inputs. level: 0..5, more kernels tried with each. workspace: bytes a kernel may use.
    """

    fp16: bool = False
    tf32: bool = False
    level: int = 3
    workspace: int = 4 << 30

    def as_dict(self) -> dict[str, Any]:
        """For cache keys."""
        return asdict(self)


@dataclass(frozen=True)
class Built:
    """A serialised plan and the timing cache after its build."""

    plan: bytes
    timing: bytes


def build_plan(
    graph: bytes,
    label: str,
    profile: Profile,
    options: BuildOptions,
    speaks: Dialect,
    timing: bytes = b"",
    watch: Watch | None = None,
) -> Built:
    """Build one plan; takes seconds to minutes.

    timing: timing cache of earlier builds, empty at first. Raises BackendError where TensorRT
    refuses the graph or the profile.
    """
    import tensorrt as trt

    builder = trt.Builder(logger())
    network = builder.create_network(speaks.network_flags())
    _parse(network, graph, label, speaks)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    speaks.set_precision(network, config, options.fp16, options.tf32)
    config.add_optimization_profile(_profile(builder, network, profile, label))
    # A timing cache of another version or GPU is dropped by TensorRT itself.
    cache = config.create_timing_cache(timing)
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    if watch is not None and speaks.told:
        monitor = _monitor(watch)  # a name of its own keeps it alive during the build
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(
            f"graph {label} is refused by TensorRT {speaks.version}: found {last_error()}, "
            f"expected a plan for {profile}; free device memory, or choose smaller shapes"
        )
    return Built(bytes(plan), bytes(config.get_timing_cache().serialize()))


def inspect_plan(engine: trt.ICudaEngine) -> list[dict[str, Any]]:
    """TensorRT's own account of a plan's layers: name, type, formats, tactic.

    Without details where the plan was built without; see `LayerInformationFormat.JSON`.
    """
    import tensorrt as trt

    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError):
        return []
    return [layer if isinstance(layer, dict) else {"Name": str(layer)} for layer in layers]


def _parse(network: trt.INetworkDefinition, graph: bytes, label: str, speaks: Dialect) -> None:
    import tensorrt as trt

    parser = trt.OnnxParser(network, logger())
    if parser.parse(graph):
        return
    faults = [parser.get_error(i).desc().strip() for i in range(min(parser.num_errors, 3))]
    raise BackendError(
        f"graph {label} is refused by TensorRT {speaks.version}: found "
        f"{'; '.join(faults)[:300] or last_error()}, expected a graph that its parser knows; "
        "update tensorrt or export the bundle again"
    )


def _profile(
    builder: trt.Builder, network: trt.INetworkDefinition, profile: Profile, label: str
) -> trt.IOptimizationProfile:
    import tensorrt as trt

    names = [network.get_input(i).name for i in range(network.num_inputs)]
    if set(names) != set(profile.usual):
        raise BackendError(
            f"graph {label} has other inputs: found {sorted(names)}, expected "
            f"{sorted(profile.usual)}; export the bundle again"
        )
    found = builder.create_optimization_profile()
    for name in names:
        parts = (profile.least, profile.usual, profile.most)
        found.set_shape(name, *(trt.Dims(list(part[name])) for part in parts))
    return found


def _monitor(watch: Watch) -> trt.IProgressMonitor:
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            watch(phase_name, 0, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            steps = self.steps.pop(phase_name, 0)
            watch(phase_name, steps, steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            watch(phase_name, step + 1, self.steps.get(phase_name, 0))
            return True  # False would stop the build

    return Monitor()
