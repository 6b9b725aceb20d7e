"""The form that a report needs of a benchmark result, field by field.

A result that fits can be shown without further questions: every field that
`latentsr.bench.schema` names is there, numbers are finite and in their range, and lists have a
length that can be shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentsr.bench import schema
from latentsr.errors import UsageError

LARGEST_NUMBER = 1e18
LONGEST_LIST = 100_000


@dataclass(frozen=True)
class Number:
    """A number in low..high; `none` and `infinite` allow null and infinity as well."""

    low: float = -LARGEST_NUMBER
    high: float = LARGEST_NUMBER
    none: bool = False
    infinite: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Text:
    """A string; `none` allows null as well."""

    none: bool = False


@dataclass(frozen=True)
class Flag:
    """True or false."""


@dataclass(frozen=True)
class Items:
    """A list of least..most things of one form; `none` allows null as well."""

    of: Form
    most: int = LONGEST_LIST
    least: int = 0
    none: bool = False


@dataclass(frozen=True)
class Named:
    """An object with any keys, and values of one form."""

    of: Form


@dataclass(frozen=True)
class Record:
    """An object with these keys, and any others; `none` allows null as well."""

    fields: Mapping[str, Form]
    none: bool = False


Form = Number | Text | Flag | Items | Named | Record


def check(result: object, where: str) -> None:
    """Raise UsageError unless `result` is one of `latentsr.bench.schema` that lacks nothing.

    where: what the message calls the result, such as the file's name.
    """
    schema.check(result, where)
    fault = misfit(result, RESULT, where)
    if fault:
        raise UsageError(
            f"benchmark result cannot be shown: found no proper {fault[0]}, expected {fault[1]}; "
            "measure again with `latentsr bench --json`"
        )


def misfit(value: Any, form: Form, where: str) -> tuple[str, str] | None:
    """Where `value` first departs from `form`, and what was expected there; None where nowhere."""
    if value is None and getattr(form, "none", False):
        return None
    match form:
        case Text():
            return None if isinstance(value, str) else (where, "a text")
        case Flag():
            return None if isinstance(value, bool) else (where, "true or false")
        case Number():
            return None if _is_number(value, form) else (where, _range(form))
        case Items():
            if not isinstance(value, list) or not form.least <= len(value) <= form.most:
                return where, f"a list of {form.least}..{form.most}"
            return _first(value, [(form.of, n, f"{where}[{n}]") for n in range(len(value))])
        case Named():
            if not isinstance(value, dict):
                return where, "an object"
            return _first(value, [(form.of, key, f"{where}.{key!r:.40}") for key in value])
        case Record():
            if not isinstance(value, dict):
                return where, "an object"
            for key in form.fields:
                if key not in value:
                    return f"{where}.{key}", "the field"
            return _first(value, [(f, key, f"{where}.{key}") for key, f in form.fields.items()])


def _first(value: Any, parts: list[tuple[Form, Any, str]]) -> tuple[str, str] | None:
    found = (misfit(value[key], form, where) for form, key, where in parts)
    return next((fault for fault in found if fault), None)


def _is_number(value: Any, form: Number) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if form.whole and not isinstance(value, int):
        return False
    if isinstance(value, float) and math.isinf(value):
        return form.infinite
    return form.low <= value <= form.high  # false for NaN


def _range(form: Number) -> str:
    kind = "a whole number" if form.whole else "a number"
    return f"{kind} in {form.low:g}..{form.high:g}"


_ANY, _MAYBE, _COUNT = Number(low=0), Number(low=0, none=True), Number(low=0, whole=True)
_SIDE = Number(low=1, high=1 << 20, whole=True)
_MS = Number(low=schema.LEAST_MS, high=schema.MOST_MS)
_DB = Number(low=-1e3, high=1e3, none=True, infinite=True)
_SIMILAR = Number(low=-1, high=1, none=True)
_QUALITY: dict[str, Form] = {"psnr": _DB, "psnr_y": _DB, "ssim": _SIMILAR, "ms_ssim": _SIMILAR}
_FIGURES = ("min", "mean", "p50", "p90", "p95", "p99", "max")
FIGURES = Record({**dict.fromkeys(_FIGURES, _ANY), "cov": _ANY})
_LATENCY = Record({**dict.fromkeys(_FIGURES, _MS), "cov": _ANY})  # it is shown on log axes
_SHOWN: dict[str, Form] = {"name": Text(), "bytes": _COUNT, "p50_ms": _MAYBE, **_QUALITY}
_STAGE = Record({
    "name": Text(), "kind": Text(), "ms": FIGURES, "share": _ANY, "macs": _ANY,
    "gmacs_per_s": _MAYBE, "sgemm_share": _MAYBE,
})  # fmt: skip
_THROUGHPUT = Record({
    "in_flight": _COUNT, "pictures": _COUNT, "seconds": _ANY, "pictures_per_s": _ANY,
    "output_mp_per_s": _ANY, "busy_cores": _ANY,
})  # fmt: skip
_ROUTE = Record({
    "name": Text(), "kind": Text(), "about": Text(), "runs_on": Text(), "scale": _SIDE,
    "random_weights": Flag(), "versions": Named(Text(none=True)), "samples": _COUNT,
    "latency_ms": _LATENCY,
    "after_pause_ms": Record({**dict.fromkeys(_FIGURES, _MS), "cov": _ANY}, none=True),
    "stages": Items(_STAGE, 1000), "stage_share": _ANY,
    "timer_share": _ANY, "launches": Items(Items(_MS)), "launch_stages": Items(Named(_ANY)),
    "pictures": Items(Record(_SHOWN)),
    "quality": Record(_QUALITY, none=True), "bytes": _ANY, "macs": _ANY,
    "throughput": Items(_THROUGHPUT, 1000), "memory": Record({"peak_bytes": _COUNT}),
    "cold_start": Record(dict.fromkeys(("process_ms", "load_ms", "first_ms"), FIGURES)),
    "sizes": Items(Record({"width": _SIDE, "height": _SIDE, "p50_ms": _MS}), 1000),
})  # fmt: skip
_MACHINE = Record({
    "cpu": Text(), "cores": Number(low=1, none=True), "isa": Items(Text(), 100),
    "memory_bytes": _MAYBE, "system": Text(), "python": Text(),
    "versions": Named(Text(none=True)),
    "timer": Record({"resolution_ns": _ANY, "stage_cost_us": _ANY}),
    "sgemm": Record({"gmacs_per_s": FIGURES, "threads": _MAYBE}),
})  # fmt: skip
_RATIO = Record({
    "slow": Text(), "fast": Text(), "ratio": _MS, "low": _MS, "high": _MS,
    "level": Number(0, 1), "count": _COUNT,
})  # fmt: skip
_PICTURE = Record({
    "name": Text(), "width": _SIDE, "height": _SIDE, "coded_width": _SIDE,
    "coded_height": _SIDE, "bytes": _COUNT, "bpp": _ANY, "bpp_output": _ANY,
})  # fmt: skip
RESULT = Record({
    "created": Text(), "command": Items(Text(), 10_000, none=True), "machine": _MACHINE,
    "bundle": Record({
        "name": Text(), "family": Text(), "fingerprint": Text(), "bytes": _COUNT,
        "random_weights": Flag(),
    }),
    "settings": Record({
        "backend": Text(), "device": Text(), "threads": _MAYBE, "launches": _COUNT,
        "warmup": _COUNT, "rounds": _COUNT, "write": Text(none=True),
        "excluded": Items(Text(), 100),
    }),
    "pictures": Items(_PICTURE), "routes": Items(_ROUTE, 1000, least=1),
    "ratios": Items(_RATIO, 10_000), "load": Items(Named(Number(none=True))),
    "warnings": Items(Text(), 10_000),
})  # fmt: skip
