"""Node times out of the profile file that ONNX Runtime writes, on the clock that we use."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, TypeGuard

from latentsr.backends.base import NodeTime, Shape
from latentsr.errors import BackendError

_SUFFIX = "_kernel_time"


def origin_us(started_ns: int) -> float:
    """When a profile began, in microseconds of `time.perf_counter`.

    started_ns: `InferenceSession.get_profiling_start_time_ns`, asked shortly before. It counts on
    C++'s `high_resolution_clock`: the wall clock with libstdc++, a steady one elsewhere. Which of
    the two is found by looking which is near.
    """
    now = time.perf_counter_ns()
    ages = [clock() - started_ns for clock in (time.time_ns, time.perf_counter_ns)]
    return (now - min(ages, key=abs)) / 1e3


def read_profile(path: Path, label: str, origin: float) -> list[NodeTime]:
    """The nodes of a profile file, in order of execution.

    origin: see `origin_us`. Raises BackendError where the file is no profile.
    """
    try:
        events = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(label, str(error)) from None
    if not isinstance(events, list):
        raise _unreadable(label, f"a JSON {type(events).__name__}")
    return [node for event in events if (node := _node(event, origin)) is not None]


def _node(event: Any, origin: float) -> NodeTime | None:
    """The node that an event is about; None for what is no node's computation."""
    if not isinstance(event, dict) or event.get("cat") != "Node":
        return None
    name, args = event.get("name"), event.get("args")
    if not isinstance(name, str) or not name.endswith(_SUFFIX) or not isinstance(args, dict):
        return None
    start, duration = event.get("ts"), event.get("dur")
    if not _is_time(start) or not _is_time(duration):
        return None
    return NodeTime(
        name.removesuffix(_SUFFIX),
        str(args.get("op_name", "")),
        str(args.get("provider", "")),
        origin + start,
        duration,
        inputs=_shapes(args.get("input_type_shape")),
        outputs=_shapes(args.get("output_type_shape")),
    )


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _shapes(listed: Any) -> tuple[Shape, ...]:
    """`[{"float": [1, 3, 8, 8]}, …]` → `((1, 3, 8, 8), …)`; empty where it is anything else."""
    try:
        return tuple(tuple(map(int, shape)) for item in listed for shape in item.values())
    except (TypeError, ValueError, AttributeError):
        return ()


def _unreadable(label: str, found: str) -> BackendError:
    return BackendError(
        f"profile of engine {label} cannot be read: found {found}, expected ONNX Runtime's list of "
        "events; try another version of onnxruntime"
    )
