"""The process of one subject: `python -m latentsr.bench.worker NAME` obeys JSON lines on stdin.

Each line is one object with the key ``op``; each answer is one line as well::

    {"op": "start", "setup": {...}}              → {facts..., "process_ms", "load_ms",
                                                    "overlaps"}
    {"op": "load", "index": i, "item": {...}}    → {"bytes": n}
    {"op": "run", "index": i}                    → {"ms": x, "stages": [{name, kind, ms, macs}]}
    {"op": "many", "indexes": [...], "in_flight": n}   → {"seconds": x, "cpu_seconds": x}
    {"op": "output", "index": i, "path": p}      → {"shape": [...]}; writes the array to p (.npy)
    {"op": "memory"}                             → {"peak_bytes": n}
    {"op": "stop"}                               → {}

What fails is answered with {"error": message}. ``process_ms`` counts from the moment that
`SPAWNED` names, so it holds the start of the interpreter and the imports.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from latentsr.bench.subject import Item, Setup, Subject, find_subject
from latentsr.errors import LatentSRError

SPAWNED = "LATENTSR_BENCH_SPAWNED_NS"
Message = Mapping[str, Any]


def main() -> None:
    """Answer lines until `stop` or the end of stdin."""
    answers = _private_stdout()
    subject: Subject | None = None
    for line in sys.stdin:
        try:
            message = json.loads(line)
            if subject is None:
                subject = find_subject(sys.argv[1])()
            answer = OPERATIONS[message["op"]](subject, message)
        except LatentSRError as error:
            answer = {"error": str(error)}
        except Exception as error:  # libraries raise anything; the parent must learn of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if message.get("op") == "stop":
            return


def _private_stdout() -> TextIO:
    """The real stdout for answers; whatever libraries print goes to stderr."""
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def _start(subject: Subject, message: Message) -> dict[str, Any]:
    spawned = int(os.environ.get(SPAWNED, time.monotonic_ns()))
    process_ms = (time.monotonic_ns() - spawned) / 1e6
    begin = time.perf_counter()
    facts = subject.start(Setup(**message["setup"]))
    load_ms = (time.perf_counter() - begin) * 1e3
    overlaps = type(subject).many is not Subject.many
    return {**vars(facts), "process_ms": process_ms, "load_ms": load_ms, "overlaps": overlaps}


def _load(subject: Subject, message: Message) -> dict[str, Any]:
    item = message["item"]
    original = item["original"] and Path(item["original"])
    taken = Item(item["name"], Path(item["stream"]), original)
    return {"bytes": subject.load(message["index"], taken)}


def _run(subject: Subject, message: Message) -> dict[str, Any]:
    begin = time.perf_counter()
    timeline = subject.run(message["index"])
    ms = (time.perf_counter() - begin) * 1e3
    return {"ms": ms, "stages": timeline.as_dict()}


def _many(subject: Subject, message: Message) -> dict[str, Any]:
    begin, cpu = time.perf_counter(), time.process_time()
    subject.many(message["indexes"], message["in_flight"])
    return {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}


def _output(subject: Subject, message: Message) -> dict[str, Any]:
    picture = subject.output(message["index"])
    if picture is None:
        return {"shape": None}
    np.save(message["path"], picture, allow_pickle=False)
    return {"shape": list(picture.shape)}


def _memory(subject: Subject, message: Message) -> dict[str, Any]:
    del subject, message
    return {"peak_bytes": peak_memory()}


def _stop(subject: Subject, message: Message) -> dict[str, Any]:
    del subject, message
    return {}


def peak_memory() -> int:
    """Largest resident set of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: its figure begins with what the parent held when it started this process.
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


OPERATIONS: dict[str, Callable[[Subject, Message], dict[str, Any]]] = {
    "start": _start,
    "load": _load,
    "run": _run,
    "many": _many,
    "output": _output,
    "memory": _memory,
    "stop": _stop,
}

if __name__ == "__main__":
    main()
