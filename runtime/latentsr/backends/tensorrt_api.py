"""What differs between TensorRT 8.6, 10, 11 and TensorRT for RTX, in one place; and its logger.

| | 8.6 | 10 | 11 | for RTX |
|---|---|---|---|---|
| module | tensorrt | tensorrt | tensorrt | tensorrt_rtx |
| precision comes from | flags, layer settings | the graph, if asked for | the graph | as 10 |
| shapes of a batch | explicit, if asked for | explicit | explicit | explicit |
| several contexts on one profile | a preview feature | yes | yes | yes |
| progress of a build | not told | told | told | told |
| a build wants a GPU | yes | yes | yes | no |
| kernels are compiled | by the build | by the build | by the build | on the GPU that runs them |
| CUDA graphs | ours | ours | ours | its own |

Everything else that the backend uses has had the same name and signature in all of them; a test
looks each name up in lists taken from the bindings of four versions.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentsr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

TENSORRT, RTX = "tensorrt", "tensorrt_rtx"
OLDEST = {TENSORRT: (8, 6), RTX: (1, 4)}
_KNOWN = {TENSORRT: "8.6 to 11", RTX: "1.4 or newer"}
_TITLES = {TENSORRT: "TensorRT", RTX: "TensorRT for RTX"}
_log = logging.getLogger("latentsr")


@dataclass(frozen=True)
class Dialect:
    """How one TensorRT version wants to be spoken to.

    weakly_typed: precision is set by flags. told: whether builds report their progress. package:
    `TENSORRT` or `RTX`.
    """

    version: str
    weakly_typed: bool
    told: bool
    package: str = TENSORRT

    @property
    def module(self) -> Any:
        """The module."""
        return import_module(self.package)

    @property
    def late(self) -> bool:
        """Whether kernels are compiled where they run, so that plans belong to no one GPU."""
        return self.package == RTX

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{_TITLES[self.package]} {self.version}"

    @property
    def backend(self) -> str:
        """Name of the backend that speaks it."""
        return backend_name(self.package)

    def network_flags(self) -> int:
        """Flags of `Builder.create_network`."""
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self.module
        flags = trt.NetworkDefinitionCreationFlag
        name = flags.EXPLICIT_BATCH if self.weakly_typed else flags.STRONGLY_TYPED
        return 1 << int(name)

    def set_precision(
        self, network: trt.INetworkDefinition, config: trt.IBuilderConfig, fp16: bool, tf32: bool
    ) -> None:
        """Make the plan compute in what the graph says."""
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self.module
        if tf32:
            config.set_flag(trt.BuilderFlag.TF32)
        else:
            config.clear_flag(trt.BuilderFlag.TF32)  # set by default
        if self.weakly_typed:
            from latentsr.backends.tensorrt_weak import follow_graph

            follow_graph(network, config, fp16)


def backend_name(package: str) -> str:
    """Name of the backend, and of the extra that installs the package."""
    return package.replace("_", "-")


def dialect(version: str, package: str = TENSORRT) -> Dialect:
    """The dialect of a full version number; BackendError for versions that are too old."""
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if found < OLDEST[package]:
        raise BackendError(
            f"{_TITLES[package]} is too old: found {version}, expected {_KNOWN[package]}; run: "
            f"pip install 'latentsr[{backend_name(package)}]'"
        )
    if package == RTX:
        return Dialect(version, weakly_typed=False, told=True, package=RTX)
    return Dialect(version, weakly_typed=found < (9, 0), told=found >= (10, 0))


@functools.cache
def library(package: str = TENSORRT) -> Dialect:
    """The installed TensorRT; BackendError with the line that installs it where there is none."""
    try:
        found = import_module(package)
    except ModuleNotFoundError:
        cause = f"no {package}"
    except (ImportError, OSError) as error:  # bindings without libnvinfer
        cause = f"{package}, but {error}"
    else:
        if hasattr(found, "Builder"):
            return dialect(found.__version__, package)
        cause = "its type stubs alone"
    name = backend_name(package)
    raise BackendError(
        f"engine library is missing: found {cause}, expected it for backend {name}; "
        f"run: pip install 'latentsr[{name}]'"
    )


@functools.cache
def logger(package: str = TENSORRT) -> Any:
    """The one logger that TensorRT takes for the whole process.

    Its warnings and errors go to the log `latentsr`; `last_error` keeps the last one for messages.
    """
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = import_module(package)

    class Log(trt.ILogger):
        last_error = ""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last_error = msg
                _log.error("TensorRT: %s", msg)
            elif severity == trt.ILogger.WARNING:
                _log.info("TensorRT: %s", msg)

    return Log()


def last_error(package: str = TENSORRT) -> str:
    """The last thing that TensorRT complained about, cut to a line."""
    return str(logger(package).last_error or "no reason given").strip().splitlines()[0][:300]
