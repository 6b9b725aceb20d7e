"""Streams over the workers of a Ray cluster: bytes go there, picture files come back.

Each worker is an actor that holds the bundle's engines. Bundle and streams travel through Ray's
object store and only the driver writes, so the machines need no folder in common; they need
latentsr in the same version. A worker that dies is started again and gets its stream again; as the
driver writes a result once it has it, each is written once. Ray is imported when a cluster is
asked for.
"""

from __future__ import annotations

import os
import queue
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import latentsr
from latentsr import errors
from latentsr.bundle import Bundle
from latentsr.deploy.bundle_copy import bundle_files, write_files
from latentsr.errors import BackendError, LatentSRError, UsageError
from latentsr.image import file_of_rgb8
from latentsr.pipeline.schedule import check_count, usable_cores

RETRIES = 3
"""Times that a stream is given again after its worker died; then it counts as the cause."""
IN_FLIGHT = 2
"""Streams at a worker at a time: the next is there when one is done."""

Facts = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What workers do with each stream, and on which engines.

    device: ``cpu``, or ``cuda`` for workers that each have a GPU, which Ray hands out.
    """

    route: str
    suffix: str = ".png"
    backend: str = "ort"
    precision: str = "fp32"
    threads: int = 1
    device: str = "cpu"


class StreamWorker:
    """What runs on a worker: one codec, loaded when the first stream comes.

    files: of the bundle, by name. Nothing is raised to Ray but what is no LatentSRError: Ray would
    wrap it in its own kind of error, with a trace.
    """

    def __init__(self, files: Mapping[str, bytes], task: Task, version: str) -> None:
        self._files, self._task, self._version = files, task, version
        self._codec: Any = None

    def run(self, stream: bytes) -> tuple[bytes, Facts]:
        """A stream's picture as a file's content and facts; or nothing and its error as facts."""
        try:
            codec = self._codec = self._codec or self._load()
            picture = codec.decode(stream, self._task.route)
            content = file_of_rgb8(picture, self._task.suffix)
        except LatentSRError as error:
            return b"", {"error": type(error).__name__, "message": str(error)}
        height, width = picture.shape[:2]
        return content, {
            "width": width, "height": height, "ms": codec.timeline.ms,
            "stages": codec.timeline.as_dict(), "worker": f"{socket.gethostname()}:{os.getpid()}",
        }  # fmt: skip

    def _load(self) -> Any:
        if latentsr.__version__ != self._version:
            raise BackendError(
                f"worker {socket.gethostname()} has another version: found latentsr "
                f"{latentsr.__version__}, expected {self._version}; install it there"
            )
        task = self._task
        with tempfile.TemporaryDirectory(prefix="latentsr-") as folder:
            write_files(Path(folder), self._files)
            codec = latentsr.load(
                folder, task.backend, task.device, task.threads, precision=task.precision
            )
            codec.warmup(task.route)  # reads the graphs, the last files needed
            codec.bundle.fingerprint  # noqa: B018 - and the entropy tensors
        return codec


class RayWorkers:
    """A number of workers; calls may come from IN_FLIGHT threads for each.

    address: of a running cluster, or ``local`` for one on this machine that ends with this object.
    workers: None for as many as there are processors for, with `task.threads` each.
    Raises UsageError, or BackendError where Ray is missing or the cluster cannot be reached.
    """

    def __init__(self, bundle: Bundle, task: Task, address: str, workers: int | None) -> None:
        check_count("threads", task.threads)
        if workers is not None:
            check_count("workers", workers)
        if task.device not in ("cpu", "cuda"):
            raise UsageError(
                f"device of workers is not theirs to choose: found {task.device!r}, expected cpu "
                "or cuda, as Ray hands GPUs out; leave the number out"
            )
        self._ray = _import_ray()
        _connect(self._ray, address, task, workers)
        try:
            self.count = self._count(workers, task)
            remote = self._ray.remote(
                num_cpus=task.threads, num_gpus=int(task.device != "cpu"), max_restarts=-1,
                max_task_retries=RETRIES,
            )(StreamWorker)  # fmt: skip
            # Kept: a worker that is started again asks for the files again.
            self._files = self._ray.put(bundle_files(bundle))
            self._actors = [
                remote.remote(self._files, task, latentsr.__version__) for _ in range(self.count)
            ]
        except BaseException:
            self._ray.shutdown()
            raise
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for actor in self._actors * IN_FLIGHT:
            self._free.put(actor)

    def picture(self, stream: bytes) -> tuple[bytes, Facts]:
        """Content of the picture's file, and facts; LatentSRError of the stream's own kind."""
        actor = self._free.get()
        try:
            content, facts = self._ray.get(actor.run.remote(stream))
        except self._ray.exceptions.RayError as error:
            raise BackendError(
                f"no worker made this picture: found {_last_line(error)} after {RETRIES} more "
                "tries, expected a worker that lives; see whether its memory is large enough"
            ) from None
        finally:
            self._free.put(actor)
        if "error" in facts:
            kind = getattr(errors, str(facts["error"]), LatentSRError)
            raise kind(facts["message"])
        return content, facts

    def close(self) -> None:
        """End the workers and, where it is local, the cluster."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.shutdown()

    def _count(self, workers: int | None, task: Task) -> int:
        resources = self._ray.cluster_resources()
        there, each = int(resources.get("CPU", 0)) // task.threads, f"{task.threads} threads"
        if task.device != "cpu":
            there, each = min(there, int(resources.get("GPU", 0))), f"{each} and a GPU"
        count = there if workers is None else workers
        if not 1 <= count <= there:
            raise UsageError(
                f"cluster is too small: found room for {there} workers of {each}, expected at "
                f"least {max(count, 1)}; ask for fewer"
            )
        return count


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise BackendError(
            "library is missing: found no ray, expected it for a cluster; run: pip install "
            "'latentsr[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str, task: Task, workers: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        cores = max(usable_cores(), (workers or 1) * task.threads)
        options |= {"num_cpus": cores, "include_dashboard": False}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise BackendError(
            f"cluster cannot be reached: found {_last_line(error)}, expected one at {address!r}; "
            "give its address as `ray start` printed it, or local"
        ) from None


def _last_line(error: Exception) -> str:
    """What a message ends with: those of Ray begin with the trace."""
    text = [line for line in str(error).splitlines() if line.strip()]
    return text[-1].strip()[:200] if text else type(error).__name__
