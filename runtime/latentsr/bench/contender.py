"""One subject's process seen from outside: start it, hand it inputs, ask for runs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.bench.subject import Item, Setup
from latentsr.bench.worker import SPAWNED
from latentsr.errors import BackendError
from latentsr.timing import Stage

ANSWER_SECONDS = 1800.0  # compiling a network on two cores takes minutes
# Where a library reads its thread count from; it must stand before the library is loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Plan:
    """What a contender is: its name in the result, its subject, its setup, and its kind.

    kind: ``route``, ``baseline`` or ``yardstick``.
    """

    name: str
    subject: str
    setup: Setup
    kind: str = "route"


@dataclass(frozen=True)
class Sample:
    """One call: milliseconds from bytes to picture, measured inside, and its stages."""

    ms: float
    stages: tuple[Stage, ...]


@dataclass
class Started:
    """What the process said when it had started; milliseconds of its cold start.

    overlaps: whether it can have several pictures in flight.
    """

    about: str
    runs_on: str
    scale: int
    random_weights: bool
    versions: dict[str, str]
    process_ms: float
    load_ms: float
    overlaps: bool
    first_ms: float = 0.0
    bytes: dict[int, int] = field(default_factory=dict)


class Contender:
    """A running subject. Every method raises BackendError with the subject's own words."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        # Open until `close`: what the process says last is read from it.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        environment = dict(os.environ)
        if plan.setup.threads is not None:
            environment |= dict.fromkeys(THREAD_VARIABLES, str(plan.setup.threads))
        environment[SPAWNED] = str(time.monotonic_ns())
        # -P: nothing that lies in the current folder is a module, whatever its name.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "latentsr.bench.worker", plan.subject],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            encoding="utf-8", env=environment,
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        self._asked = False  # and not answered yet
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self) -> Started:
        """Load the subject and return what it says of itself."""
        return Started(**self._ask(op="start", setup=asdict(self.plan.setup)))

    def load(self, index: int, item: Item) -> int:
        """Hand one input over; returns the bytes that a call reads."""
        original = str(item.original) if item.original else None
        given = {"name": item.name, "stream": str(item.stream), "original": original}
        return int(self._ask(op="load", index=index, item=given)["bytes"])

    def run(self, index: int) -> Sample:
        """One call."""
        answer = self._ask(op="run", index=index)
        return Sample(answer["ms"], tuple(Stage(**stage) for stage in answer["stages"]))

    def many(self, indexes: list[int], in_flight: int) -> tuple[float, float]:
        """Several calls, overlapped: seconds on the clock and of processor time."""
        answer = self._ask(op="many", indexes=indexes, in_flight=in_flight)
        return answer["seconds"], answer["cpu_seconds"]

    def output(self, index: int, folder: Path) -> np.ndarray | None:
        """The picture of one input, uint8 (H, W, 3), passed through a file in `folder`."""
        path = folder / f"{os.getpid()}-{id(self)}.npy"
        if self._ask(op="output", index=index, path=str(path))["shape"] is None:
            return None
        picture: np.ndarray = np.load(path, allow_pickle=False)
        path.unlink()
        return picture

    def peak_bytes(self) -> int:
        """Largest resident set of the process so far."""
        return int(self._ask(op="memory")["peak_bytes"])

    def close(self) -> None:
        """End the process, by force where it does not end by itself."""
        if self._process.poll() is None:
            if self._asked:  # interrupted: it would come to a stop only when its work is done
                self._process.send_signal(signal.SIGINT)
            else:
                with contextlib.suppress(BackendError):
                    self._ask(op="stop")
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Text files are not made for two threads: who reads comes to the end first. A process that
        # the subject has left behind may hold the other end; then the file stays to the reader.
        self._listener.join(timeout=10)
        pipes = (self._process.stdin, self._process.stdout)
        for pipe in pipes[:1] if self._listener.is_alive() else pipes:
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._log.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")  # the end, as readline says it

    def _ask(self, **message: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._asked = True
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=ANSWER_SECONDS)
            self._asked = False
        except queue.Empty:
            raise BackendError(
                f"contender {self.plan.name} is stuck: found no answer to {message['op']} in "
                f"{ANSWER_SECONDS:g} s, expected one; run it alone to see why"
            ) from None
        except OSError:
            line = ""
        if not line:
            raise BackendError(
                f"contender {self.plan.name} ended: found {self._last_words()}, expected an answer "
                f"to {message['op']}; run it alone to see why"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BackendError(f"contender {self.plan.name} failed: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        """The last line that the process wrote to stderr, and how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        words = lines[-1][:300] if lines else "no message"
        return f"{words!r} (exit code {self._process.poll()})"
