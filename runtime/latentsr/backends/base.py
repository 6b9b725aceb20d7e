"""What an engine backend is: it turns an ONNX graph into something that runs on arrays.

A new backend is one file with a class like these and one line in `BACKENDS`
(`latentsr/backends/__init__.py`). The engine library is imported inside the class only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentsr.errors import BackendError, EngineMemoryError

# How engine libraries say that an allocation failed.
_OUT_OF_MEMORY = (
    "failed to allocate", "bad alloc", "bad allocation", "out of memory", "not enough memory",
    "cannot allocate memory", "could not allocate",
)  # fmt: skip

if TYPE_CHECKING:
    from latentsr.plans.cache import Cache

Shape = tuple[int, ...]
INT8 = "int8"  # a precision of engines; no bundle holds graphs in it


@dataclass(frozen=True)
class EngineOptions:
    """How to run engines: device name, and threads (None leaves the choice to the library).

    profile: measure every node, which makes the engine slower. precision: which variant of a
    graph to take where the bundle has one; on CPUs ``fp16`` is slower. callers: calls at a time
    that an engine should be made for, each with so many threads; more than that may wait. fixed:
    compile for inputs of these shapes alone, where the library gains by it. cache: keep what was
    compiled, where compiling takes time. tf32: let GPUs make FP32 sums from rounded inputs, never
    in graphs that decide scales. graphs: capture a CUDA graph for each shape, None where it has no
    drawback. coder: what codes `lanes` streams, ``cpu``, the GPU that engines run on (``cuda``),
    or as it pays (``auto``), see `latentsr.pipeline.device_coding`. decides: the graph decides
    scales and is exact only where sums are added up as they stand, so no other algorithm will do.
    """

    device: str = "cpu"
    threads: int | None = None
    profile: bool = False
    precision: str = "fp32"
    callers: int = 1
    fixed: Mapping[str, Shape] | None = None
    cache: Cache | None = None
    tf32: bool = False
    graphs: bool | None = None
    coder: str = "auto"
    decides: bool = False


@dataclass(frozen=True)
class NodeTime:
    """What one node of an engine took, as the engine library measured it.

    Nodes are those of the library's own graph: a fused node has the name of one of its parts.
    ran_by: provider, kernel or primitive. start_us: microseconds on the clock of
    `time.perf_counter`, None where the library does not tell. us: microseconds of one run, the
    mean where `runs` is above 1. inputs, outputs: shapes, empty where the library does not tell.
    """

    name: str
    op_type: str
    ran_by: str
    start_us: float | None
    us: float
    runs: int = 1
    inputs: tuple[Shape, ...] = ()
    outputs: tuple[Shape, ...] = ()


class Engine(ABC):
    """One graph, ready to run; safe to call from several threads."""

    @abstractmethod
    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the graph once.

        inputs: C-ordered float32 NCHW arrays by the graph's input names; engines on a GPU also
        take what another engine of that GPU made (`latentsr.backends.values.Resident`).
        Returns all outputs by name, newly allocated; engines on a GPU return values that stay
        there until `np.asarray` brings them down. Raises BackendError.
        """

    def run_lean(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As `run`, but give the memory that the run took back to the system.

        Engines otherwise keep it for their next run.
        """
        return self.run(inputs)

    @property
    @abstractmethod
    def runs_on(self) -> str:
        """The device and provider that really run the graph, as found after loading."""

    def begin_profile(self) -> None:
        """Leave the runs up to now, warm-up for the most part, out of `end_profile`.

        Raises BackendError where the engine was not loaded with `EngineOptions.profile`.
        """
        raise _no_profile()

    def end_profile(self) -> list[NodeTime]:
        """Node times of the runs since `begin_profile`, in order of execution; ends the profile.

        Raises BackendError where the engine was not loaded with `EngineOptions.profile`, has
        been asked before, or its library leaves no readable profile.
        """
        raise _no_profile()


class Backend(ABC):
    """An engine library.

    counts_callers: whether `EngineOptions.callers` makes a difference; where not, an engine runs
    each call on the caller's own thread.
    """

    name: str
    package: str
    counts_callers = False

    @abstractmethod
    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        """Prepare one ONNX graph.

        graph: the ONNX file's bytes; label: the graph's name for messages.
        Raises BackendError where the library or the device is missing or the graph is refused.
        """


def tells_of_memory(text: str) -> bool:
    """Whether this is how an engine library, or CUDA, says that there was no memory left."""
    words = text.lower().replace("_", " ")
    return any(sign in words for sign in _OUT_OF_MEMORY)


def run_failure(error: Exception, label: str, found: str, shapes: object) -> BackendError:
    """The error for a run that an engine library refused, to be raised; memory apart."""
    if isinstance(error, MemoryError) or tells_of_memory(str(error)):
        return EngineMemoryError(
            f"engine {label} ran out of memory: found {found} with inputs {shapes}, expected room "
            "for them; run it in tiles, such as memory='1GiB' or --memory 1GiB"
        )
    return BackendError(
        f"engine {label} failed: found {found} with inputs {shapes}, expected shapes that the "
        "graph takes; check the route and the picture's size"
    )


def _no_profile() -> BackendError:
    return BackendError(
        "engine has no node times: found one loaded without profiling, expected one loaded with "
        "EngineOptions(profile=True) on a backend that measures nodes; load it so"
    )
