"""From samples to the result: figures of each contender and stage, paired ratios, warnings."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latentsr.bench import caution
from latentsr.bench.machine import describe_machine, timer
from latentsr.bench.schema import SCHEMA, SCHEMA_VERSION
from latentsr.bench.statistics import one_sample, summary
from latentsr.bundle import Bundle

if TYPE_CHECKING:
    from latentsr.bench.contender import Plan
    from latentsr.bench.run import Measured

QUALITY = ("psnr", "psnr_y", "ssim", "ms_ssim")
MOST_BATCHES = 16  # more values narrow an interval only on paper: neighbours in time are alike
LEAST_BATCHES = 6  # fewer cannot give 95 %


def assemble(measured: Measured, bundle: Bundle) -> dict[str, Any]:
    """The whole result; see `latentsr.bench.schema`."""
    clock = timer()
    places = {plan.name: number for number, plan in enumerate(measured.plans)}
    yardstick = next(plan for plan in measured.plans if plan.kind == "yardstick")
    sgemm = _sgemm(measured, places[yardstick.name])
    racing = [plan for plan in measured.plans if plan.kind != "yardstick"]
    rate = sgemm["gmacs_per_s"]["p50"]
    routes = [_route(measured, plan, places[plan.name], rate, clock) for plan in racing]
    machine = describe_machine() | {"timer": clock, "sgemm": sgemm}
    found: dict[str, Any] = {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"), "command": None,
        "machine": machine, "bundle": _bundle(bundle), "settings": _settings(measured),
        "pictures": [one.as_dict() for one in measured.inputs], "routes": routes,
        "ratios": _ratios(measured, racing, places),
        "load": [launch.load for launch in measured.launches],
    }  # fmt: skip
    return found | {"warnings": caution.warnings(found)}


def _bundle(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name, "family": manifest.family,
        "fingerprint": bundle.fingerprint.hex(),
        "bytes": sum(file.size for file in manifest.files.values()),
        "random_weights": bool(manifest.raw.get("random_weights", False)),
    }  # fmt: skip


def _settings(measured: Measured) -> dict[str, Any]:
    given = measured.settings
    excluded = ["the first call of each turn, after a pause (see after_pause_ms)",
                "start of the process, loading of bundle and engines (see cold_start)"]  # fmt: skip
    if slow := _slow(measured):
        excluded[0] += f"; {', '.join(slow)}: slow, a single call a turn, which counts"
    if given.write is None:
        excluded.append("writing the picture to a file")
    elif any(plan.kind == "baseline" for plan in measured.plans):
        excluded.append("writing the picture to a file, of baselines")
    rounds = max(samples.rounds for launch in measured.launches for samples in launch.samples)
    return {
        "backend": given.backend, "device": given.device, "threads": given.threads,
        "precision": given.precision, "launches": len(measured.launches),
        "warmup": given.schedule.warmup, "rounds": rounds, "burst": given.schedule.burst,
        "write": given.write, "excluded": excluded,
    }  # fmt: skip


def _slow(measured: Measured) -> list[str]:
    """Contenders that ran less often than the others."""
    return [
        plan.name
        for number, plan in enumerate(measured.plans)
        if any(launch.samples[number].slow for launch in measured.launches)
    ]


def _sgemm(measured: Measured, place: int) -> dict[str, Any]:
    from latentsr.bench.sgemm_subject import MACS

    launches = [[s.ms for s in launch.samples[place].runs.values()] for launch in measured.launches]
    figures = summary([MACS / ms / 1e6 for launch in launches for ms in launch])
    return {"gmacs_per_s": figures, "threads": measured.settings.threads, "launches": launches}


def _tables(measured: Measured, place: int) -> list[NDArray[np.float64]]:
    """Milliseconds (rounds, inputs) of each launch."""
    numbers = range(len(measured.inputs))
    return [launch.samples[place].ms(numbers) for launch in measured.launches]


def _route(
    measured: Measured, plan: Plan, place: int, rate: float, clock: dict[str, float]
) -> dict[str, Any]:
    said = measured.launches[0].started[place]
    tables = _tables(measured, place)
    latency = summary(np.concatenate(tables))
    stages = assemble_stages(measured, place, rate)
    quality = measured.quality.get(plan.name, {})
    cold = ("process_ms", "load_ms", "first_ms")
    rested = [ms for launch in measured.launches for ms in launch.samples[place].rested]
    samples = [s for launch in measured.launches for s in launch.samples[place].runs.values()]
    sums = [sum(stage.ms for stage in s.stages) / s.ms for s in samples]
    timing = clock["stage_cost_us"] * np.mean([len(s.stages) for s in samples]) / 1e3
    return {
        "name": plan.name, "kind": plan.kind, "about": said.about, "runs_on": said.runs_on,
        "scale": said.scale, "random_weights": said.random_weights, "versions": said.versions,
        "samples": len(samples), "latency_ms": latency,
        "after_pause_ms": summary(rested) if rested else None, "stages": stages,
        "stage_share": float(np.median(sums)), "timer_share": float(timing / latency["p50"]),
        "launches": [_by_round(table).tolist() for table in tables],
        "launch_stages": _launch_stages(measured, place),
        "pictures": _pictures(measured, tables, quality, said.bytes),
        "quality": _means(list(quality.values())),
        "bytes": float(np.mean([said.bytes[n] for n in range(len(measured.inputs))])),
        "macs": float(np.mean([sum(stage.macs for stage in s.stages) for s in samples])),
        "throughput": measured.throughput.get(plan.name, []),
        "memory": {"peak_bytes": measured.memory[plan.name]},
        "cold_start": {
            key: summary([getattr(launch.started[place], key) for launch in measured.launches])
            for key in cold
        },
        "sizes": measured.sizes.get(plan.name, []),
    }  # fmt: skip


def _by_round(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over inputs of each round in which the contender ran."""
    ran = np.isfinite(table).any(axis=1)
    means: NDArray[np.float64] = np.nanmean(table[ran], axis=1)
    return means


def assemble_stages(measured: Measured, place: int, rate: float) -> list[dict[str, Any]]:
    """Figures of each stage in the order of a call; stages of one name are added up."""
    calls = [_by_name(s.stages) for launch in measured.launches
             for s in launch.samples[place].runs.values()]  # fmt: skip
    whole = [s.ms for launch in measured.launches for s in launch.samples[place].runs.values()]
    found = []
    for name in dict.fromkeys(name for call in calls for name in call):
        ms = [call.get(name, ("", 0.0, 0))[1] for call in calls]
        macs = [call.get(name, ("", 0.0, 0))[2] for call in calls]
        speed = _speed(macs, ms)
        found.append({
            "name": name, "kind": next(call[name][0] for call in calls if name in call),
            "ms": summary(ms), "share": float(np.median(np.divide(ms, whole))),
            "macs": float(np.mean(macs)),
            "gmacs_per_s": speed, "sgemm_share": speed / rate if speed else None,
        })  # fmt: skip
    return found


def _speed(macs: list[int], ms: list[float]) -> float | None:
    """Median of the calls' GMAC/s: of each call, as pictures of several sizes have several MACs."""
    rates = [work / time / 1e6 for work, time in zip(macs, ms, strict=True) if work and time > 0]
    return float(np.median(rates)) if rates else None


def _by_name(stages: Any) -> dict[str, tuple[str, float, int]]:
    merged: dict[str, tuple[str, float, int]] = {}
    for stage in stages:
        _, ms, macs = merged.get(stage.name, ("", 0.0, 0))
        merged[stage.name] = (stage.kind, ms + stage.ms, macs + stage.macs)
    return merged


def _launch_stages(measured: Measured, place: int) -> list[dict[str, float]]:
    found = []
    for launch in measured.launches:
        calls = [_by_name(s.stages) for s in launch.samples[place].runs.values()]
        names = dict.fromkeys(name for call in calls for name in call)
        found.append({
            n: float(np.median([call[n][1] for call in calls if n in call])) for n in names
        })  # fmt: skip
    return found


def _pictures(
    measured: Measured,
    tables: list[NDArray[np.float64]],
    quality: dict[int, dict[str, float | None]],
    sizes: dict[int, int],
) -> list[dict[str, Any]]:
    pooled = np.concatenate(tables)
    found = []
    for number, one in enumerate(measured.inputs):
        column = pooled[:, number]
        p50 = float(np.nanmedian(column)) if np.isfinite(column).any() else None
        row = {"name": one.item.name, "bytes": sizes[number], "p50_ms": p50}
        found.append(row | dict.fromkeys(QUALITY) | quality.get(number, {}))
    return found


def _means(rows: list[dict[str, float | None]]) -> dict[str, float | None] | None:
    """Means over the pictures that have the figure."""
    if not rows:
        return None
    kept = {key: [value for row in rows if (value := row[key]) is not None] for key in QUALITY}
    return {key: float(np.mean(values)) if values else None for key, values in kept.items()}


def _ratios(measured: Measured, racing: list[Plan], places: dict[str, int]) -> list[dict[str, Any]]:
    """Every pair of contenders of one output scale, the slower over the faster."""
    scales = {p.name: measured.launches[0].started[places[p.name]].scale for p in racing}
    found = []
    for number, a in enumerate(racing):
        for b in racing[number + 1 :]:
            if scales[a.name] != scales[b.name]:
                continue
            values = _paired(measured, places[a.name], places[b.name])
            slow, fast, sign = (b, a, 1.0) if np.median(values) >= 0 else (a, b, -1.0)
            estimate = one_sample(sign * values)
            found.append({
                "slow": slow.name, "fast": fast.name, "ratio": float(np.exp(estimate.value)),
                "low": float(np.exp(estimate.low)), "high": float(np.exp(estimate.high)),
                "level": estimate.level, "count": estimate.count,
            })  # fmt: skip
    return found


def _paired(measured: Measured, a: int, b: int) -> NDArray[np.float64]:
    """Logarithms of b over a, one value for each batch of rounds; launches are never mixed."""
    batches = []
    each = _batches_per_launch(len(measured.launches))
    burst = measured.settings.schedule.burst
    for first, second in zip(_tables(measured, a), _tables(measured, b), strict=True):
        logs = np.log(_by_turn(second, burst) / _by_turn(first, burst))
        rounds = logs[np.isfinite(logs).any(axis=1)]
        by_round = np.nanmean(rounds, axis=1)
        parts = np.array_split(by_round, min(each, len(by_round)))
        batches += [float(np.median(part)) for part in parts]
    return np.array(batches)


def _by_turn(table: NDArray[np.float64], burst: int) -> NDArray[np.float64]:
    """Medians of each turn's burst, (turns, inputs): slow contenders have one call in a turn."""
    turns = table.reshape(-1, burst, table.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a turn in which it did not run is NaN
        medians: NDArray[np.float64] = np.nanmedian(turns, axis=1)
    return medians


def _batches_per_launch(launches: int) -> int:
    """One a launch where there are enough launches, else several."""
    return 1 if launches >= LEAST_BATCHES else max(MOST_BATCHES // launches, 1)
