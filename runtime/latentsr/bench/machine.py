"""What machine a benchmark ran on, and what else was going on there."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from latentsr.cpuinfo import cpuinfo

PACKAGES = ("latentsr", "numpy", "pillow", "onnxruntime", "openvino")
_ISA_FLAGS = ("avx2", "fma", "avx512f", "avx512_vbmi2", "avx512_vnni", "avx512_bf16", "amx_tile")


def describe_machine(packages: Iterable[str] = PACKAGES) -> dict[str, object]:
    """Processor, cores, memory, system, and versions of packages (None where not installed)."""
    info = cpuinfo()
    versions: dict[str, str | None] = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    flags = info.get("flags", "").split()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(), "isa": [flag for flag in _ISA_FLAGS if flag in flags],
        "memory_bytes": _memory(), "system": platform.platform(),
        "python": platform.python_version(), "versions": versions,
    }  # fmt: skip


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


@dataclass(frozen=True)
class Load:
    """A moment: seconds that processors were busy and stolen since boot, load average, clock."""

    at: float
    busy: float | None
    stolen: float | None
    average: float | None
    mhz: float | None


def sense_load() -> Load:
    """Read the counters; None for what the system does not tell."""
    busy = stolen = average = mhz = None
    stat = Path("/proc/stat")
    if stat.exists():
        ticks = [int(x) for x in stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
        second = os.sysconf("SC_CLK_TCK")
        stolen = ticks[7] / second
        busy = (sum(ticks[:3]) + sum(ticks[5:7])) / second
    if hasattr(os, "getloadavg"):
        average = os.getloadavg()[0]
    if "cpu MHz" in (info := cpuinfo()):
        mhz = float(info["cpu MHz"])
    return Load(time.perf_counter(), busy, stolen, average, mhz)


def other_load(before: Load, after: Load, own_seconds: float) -> dict[str, float | None]:
    """Share of all processors that others used between two moments, and the clock's change.

    own_seconds: processor time of the benchmark itself.
    """
    span = max(after.at - before.at, 1e-9) * (os.cpu_count() or 1)
    others = stolen = None
    if before.busy is not None and after.busy is not None:
        others = max(after.busy - before.busy - own_seconds, 0.0) / span
    if before.stolen is not None and after.stolen is not None:
        stolen = (after.stolen - before.stolen) / span
    return {
        "seconds": after.at - before.at, "other_share": others, "stolen_share": stolen,
        "load_average_before": before.average, "load_average_after": after.average,
        "mhz_before": before.mhz, "mhz_after": after.mhz,
    }  # fmt: skip


def timer() -> dict[str, float]:
    """Resolution of the clock in nanoseconds, and the cost of timing one stage in microseconds."""
    from latentsr.timing import Timeline

    resolution = time.get_clock_info("perf_counter").resolution * 1e9
    costs = []
    for _ in range(9):
        timeline = Timeline()
        begin = time.perf_counter()
        for _ in range(1000):
            with timeline.stage("", ""):
                pass
        costs.append(time.perf_counter() - begin)
    return {"resolution_ns": resolution, "stage_cost_us": sorted(costs)[4] * 1e3}
