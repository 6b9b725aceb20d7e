"""What differs between TensorRT 8.6, 10 and 11, in one place; and its logger.

| | 8.6 | 10 | 11 |
|---|---|---|---|
| precision comes from | builder flags and layer settings | the graph, if asked for | the graph |
| shapes of a batch | explicit, if asked for | explicit | explicit |
| several contexts on one profile | a preview feature | yes | yes |
| progress of a build | not told | told | told |

Everything else that the backend uses has had the same name and signature in all of them; a test
looks each name up in lists taken from the three versions' bindings.
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

OLDEST = (8, 6)
_log = logging.getLogger("latentsr")


@dataclass(frozen=True)
class Dialect:
    """How one TensorRT version wants to be spoken to.

    weakly_typed: precision is set by flags. told: whether builds report their progress.
    """

    version: str
    weakly_typed: bool
    told: bool

    def network_flags(self) -> int:
        """Flags of `Builder.create_network`."""
        import tensorrt as trt

        flags = trt.NetworkDefinitionCreationFlag
        name = flags.EXPLICIT_BATCH if self.weakly_typed else flags.STRONGLY_TYPED
        return 1 << int(name)

    def set_precision(
        self, network: trt.INetworkDefinition, config: trt.IBuilderConfig, fp16: bool, tf32: bool
    ) -> None:
        """Make the plan compute in what the graph says."""
        import tensorrt as trt

        if tf32:
            config.set_flag(trt.BuilderFlag.TF32)
        else:
            config.clear_flag(trt.BuilderFlag.TF32)  # set by default
        if self.weakly_typed:
            from latentsr.backends.tensorrt_weak import follow_graph

            follow_graph(network, config, fp16)


def dialect(version: str) -> Dialect:
    """The dialect of a full version number; BackendError for versions that are too old."""
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if found < OLDEST:
        raise BackendError(
            f"TensorRT is too old: found {version}, expected 8.6 to 11; run: "
            "pip install 'latentsr[tensorrt]'"
        )
    return Dialect(version, weakly_typed=found < (9, 0), told=found >= (10, 0))


@functools.cache
def library() -> Dialect:
    """The installed TensorRT; BackendError with the line that installs it where there is none."""
    try:
        found = import_module("tensorrt")
    except ModuleNotFoundError:
        cause = "no tensorrt"
    except (ImportError, OSError) as error:  # bindings without libnvinfer
        cause = f"tensorrt, but {error}"
    else:
        if hasattr(found, "Builder"):
            return dialect(found.__version__)
        cause = "its type stubs alone"
    raise BackendError(
        f"engine library is missing: found {cause}, expected it for backend tensorrt; "
        "run: pip install 'latentsr[tensorrt]'"
    )


@functools.cache
def logger() -> Any:
    """The one logger that TensorRT takes for the whole process.

    Its warnings and errors go to the log `latentsr`; `last_error` keeps the last one for messages.
    """
    import tensorrt as trt

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


def last_error() -> str:
    """The last thing that TensorRT complained about, cut to a line."""
    return str(logger().last_error or "no reason given").strip().splitlines()[0][:300]
