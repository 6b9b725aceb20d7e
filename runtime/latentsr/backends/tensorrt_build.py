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

TURING = "SM75"
Watch = Callable[[str, int, int], None]
"""Told how a build goes on: name of the phase, steps done, steps in all."""


@dataclass(frozen=True)
class BuildOptions:
    """What a plan depends on besides graph, shapes and machine.

    fp16: the graph is an FP16 variant (TensorRT 8.6 wants to be told). tf32: sums from rounded
    inputs. level: 0..5, more kernels tried with each. target: the one kind of GPU that a plan of
    TensorRT for RTX is for (`TURING`), empty for all from Ampere on.

    There is no limit to what layers may use: where many are fused into one, which is all of a graph
    in TensorRT for RTX, that is the memory of all values between them.
    """

    fp16: bool = False
    tf32: bool = False
    level: int = 3
    target: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For cache keys."""
        return asdict(self)


@dataclass(frozen=True)
class Built:
    """A serialised plan, the timing cache after its build, and the layers that were parsed."""

    plan: bytes
    timing: bytes
    parsed: list[dict[str, Any]]


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
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = speaks.module
    builder = trt.Builder(logger(speaks.package))
    network = builder.create_network(speaks.network_flags())
    _parse(network, graph, label, speaks)
    config = builder.create_builder_config()
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    speaks.set_precision(network, config, options.fp16, options.tf32)
    config.add_optimization_profile(_profile(builder, network, profile, label, speaks))
    if speaks.late:
        _set_target(config, options.target, speaks)
    else:
        _set_timing(config, timing)
    if watch is not None and speaks.told:
        monitor = _monitor(watch, speaks)  # a name of its own keeps it alive during the build
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(
            f"graph {label} is refused by {speaks.title}: found {last_error(speaks.package)}, "
            f"expected a plan for {profile}; free device memory, or choose smaller shapes"
        )
    after = b"" if speaks.late else bytes(config.get_timing_cache().serialize())
    return Built(bytes(plan), after, _layers(network) if speaks.late else [])


def inspect_plan(engine: trt.ICudaEngine, speaks: Dialect) -> list[dict[str, Any]]:
    """TensorRT's own account of a plan's layers: name, type, formats, tactic.

    Without details where the plan was built without; see `LayerInformationFormat.JSON`.
    """
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = speaks.module
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError):
        return []
    return [layer if isinstance(layer, dict) else {"Name": str(layer)} for layer in layers]


def _set_timing(config: trt.IBuilderConfig, timing: bytes) -> None:
    """A timing cache of another version or GPU is dropped by TensorRT itself."""
    cache = config.create_timing_cache(timing)
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _set_target(config: Any, target: str, speaks: Dialect) -> None:
    """One kind of GPU in place of the library's own choice, which leaves out Turing.

    config: TensorRT for RTX's. There is no timing cache: with one, builds would want a GPU.
    """
    if target:
        trt = speaks.module
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.__members__[target], 0)


def _layers(network: trt.INetworkDefinition) -> list[dict[str, Any]]:
    """Name, type and sample type of each layer, as it was parsed."""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    return [{"Name": layer.name, "LayerType": layer.type.name,
             "Precision": layer.get_output_type(0).name}
            for layer in layers if layer.num_outputs]  # fmt: skip


def _parse(network: trt.INetworkDefinition, graph: bytes, label: str, speaks: Dialect) -> None:
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = speaks.module
    parser = trt.OnnxParser(network, logger(speaks.package))
    if parser.parse(graph):
        return
    faults = [parser.get_error(i).desc().strip() for i in range(min(parser.num_errors, 3))]
    raise BackendError(
        f"graph {label} is refused by {speaks.title}: found "
        f"{'; '.join(faults)[:300] or last_error(speaks.package)}, expected a graph that its "
        f"parser knows; update {speaks.package} or export the bundle again"
    )


def _profile(
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    profile: Profile,
    label: str,
    speaks: Dialect,
) -> trt.IOptimizationProfile:
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = speaks.module
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


def _monitor(watch: Watch, speaks: Dialect) -> trt.IProgressMonitor:
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = speaks.module

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
