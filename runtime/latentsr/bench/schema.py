"""What a benchmark result is: one JSON object, version 1, and the check of what is read back.

Milliseconds are wall-clock, from the stream's bytes to the uint8 picture, measured inside each
contender's own process. A *figures* object is {min, mean, p50, p90, p95, p99, max, cov}, over all
inputs, rounds and launches; cov is the deviation over the mean. ::

    schema           "latentsr-bench"
    schema_version   1; a reader refuses a greater one
    created          time in UTC, ISO 8601
    command          [words] that make this result again, or null
    machine          {cpu, cores, isa, memory_bytes, system, python, versions,
                      timer: {resolution_ns, stage_cost_us},
                      sgemm: {gmacs_per_s: figures, threads, launches: [[ms of each product]
                      for each launch]}}; `launches` may be absent
    bundle           {name, family, fingerprint, bytes, random_weights}
    settings         {backend, device, threads, precision, launches, warmup, rounds, burst,
                      write, excluded: [text]}; rounds counts those of a burst one by one;
                      precision is of the routes, fp32 where it is absent
    pictures         [{name, width, height, coded_width, coded_height, bytes, bpp, bpp_output}]
    routes           [one for each contender:
      name, kind     kind is "route" or "baseline"
      about, runs_on, scale, random_weights, versions
      samples        how many calls were timed
      latency_ms     figures
      after_pause_ms figures of the first call of each turn, which no other figure has, or null
      stages         [{name, kind, ms: figures, share, macs, gmacs_per_s, sgemm_share}]; share is
                     of the call's time; the last two are null where a stage has no MACs; kind is
                     read, entropy, parameters, engine, image, write, copy or start
      stage_share    sum of all stages over the call's time, median
      timer_share    what timing the stages cost, over the call's time
      launches       [[ms of each round, mean over inputs] for each launch]
      launch_stages  [{stage name: median ms} for each launch]
      pictures       [{name, bytes, p50_ms, psnr, psnr_y, ssim, ms_ssim}]; quality may be null, as
                     the PSNR of equal pictures is
      quality        {psnr, psnr_y, ssim, ms_ssim}, means, or null
      bytes          mean bytes read by a call
      macs           mean multiply-accumulates of a call, 0 where not known
      throughput     [{in_flight, pictures, seconds, pictures_per_s, output_mp_per_s, busy_cores}];
                     in_flight is 1 for who makes one picture after another
      memory         {peak_bytes} of the process
      cold_start     {process_ms, load_ms, first_ms}: figures of each over launches
      sizes          [{width, height, p50_ms}]]
    ratios           [{slow, fast, ratio, low, high, level, count}]: how many times longer `slow`
                     takes than `fast`, paired within rounds; low and high bound the ratio
    load             [{seconds, other_share, stolen_share, load_average_before, ...} a launch]
    warnings         [text]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from latentsr.errors import UsageError
from latentsr.json_reader import read_json

SCHEMA = "latentsr-bench"
SCHEMA_VERSION = 1
LARGEST = 256 << 20
LEAST_MS, MOST_MS = 1e-9, 1e12
FIGURES = ("min", "mean", "p50", "p90", "p95", "p99", "max", "cov")
_TOP = {"machine": dict, "bundle": dict, "settings": dict, "pictures": list, "routes": list,
        "ratios": list, "load": list, "warnings": list}  # fmt: skip
_ROUTE = {"name": str, "kind": str, "about": str, "runs_on": str, "scale": int, "samples": int,
          "latency_ms": dict, "stages": list, "stage_share": float, "launches": list,
          "launch_stages": list, "pictures": list, "macs": float, "throughput": list,
          "memory": dict, "cold_start": dict, "sizes": list}  # fmt: skip
_RATIO = {"slow": str, "fast": str, "ratio": float, "low": float, "high": float}


def read_result(path: Path) -> dict[str, Any]:
    """Read a result's file; UsageError where it is none, or one of a newer version."""
    value = read_json(path, "benchmark result", "latentsr bench --json", LARGEST)
    check(value, str(path))
    result: dict[str, Any] = value
    return result


def check(value: object, where: str) -> None:
    """Raise UsageError unless `value` has the form above."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise _fault(where, "schema", f"a result of {SCHEMA}")
    version = value.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise _fault(where, "schema_version", f"1..{SCHEMA_VERSION}; update latentsr")
    _fields(value, _TOP, where)
    if not isinstance(value["settings"].get("precision", "fp32"), str):
        raise _fault(where, "precision", "a text")
    sgemm = value["machine"].get("sgemm")
    if not isinstance(sgemm, dict):
        raise _fault(where, "sgemm", "an object")
    _figures(sgemm.get("gmacs_per_s"), f"{where}: sgemm")
    _launches(sgemm.get("launches", []), f"{where}: sgemm")
    for key in ("pictures", "routes", "ratios", "load"):
        if not all(isinstance(item, dict) for item in value[key]):
            raise _fault(where, key, "a list of objects")
    if not value["routes"]:
        raise _fault(where, "routes", "at least one contender")
    for number, route in enumerate(value["routes"]):
        _route(route, f"{where}: routes[{number}]")
    for ratio in value["ratios"]:
        _fields(ratio, _RATIO, f"{where}: ratios")


def _route(route: dict[str, Any], where: str) -> None:
    _fields(route, _ROUTE, where)
    _figures(route["latency_ms"], f"{where}.latency_ms")
    for stage in route["stages"]:
        if not isinstance(stage, dict) or not isinstance(stage.get("name"), str):
            raise _fault(where, "stages", "objects with a name")
        _figures(stage.get("ms"), f"{where}.stages.{stage['name']}.ms")
    _launches(route["launches"], where)
    if not any(route["launches"]):
        raise _fault(where, "launches", "at least one round")
    for launch in route["launch_stages"]:
        if not isinstance(launch, dict) or not all(_number(ms) for ms in launch.values()):
            raise _fault(where, "launch_stages", "milliseconds by stage")


def _launches(value: object, where: str) -> None:
    if not isinstance(value, list):
        raise _fault(where, "launches", "a list")
    for launch in value:
        if not isinstance(launch, list) or not all(_positive(ms) for ms in launch):
            raise _fault(where, "launches", "lists of milliseconds")


def _fields(value: dict[str, Any], kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        allowed = (int, float) if kind is float else (kind,)
        if not isinstance(value.get(key), allowed):
            raise _fault(where, key, kind.__name__)


def _figures(value: object, where: str) -> None:
    if not isinstance(value, dict):
        raise _fault(where, "figures", "an object of figures")
    for key in FIGURES:
        if not _number(found := value.get(key)) or found < 0:
            raise _fault(where, key, "a number >= 0")


def _number(value: object) -> TypeGuard[float]:
    # Not math.isfinite, which raises OverflowError of whole numbers with hundreds of digits.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max


def _positive(value: object) -> bool:
    # What no clock measures would leave the range of ratios.
    return _number(value) and LEAST_MS <= value <= MOST_MS


def _fault(where: str, key: str, expected: str) -> UsageError:
    return UsageError(
        f"benchmark result is malformed: found no proper {key} in {where}, expected "
        f"{expected}; measure again with `latentsr bench --json`"
    )
