"""The `lanes` coder on the device against the processor's: compared bit for bit, then timed."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
from coder_cases import Case
from device_clock import Call, DeviceClock

from latentsr.cuda import DecodeArrays, DecodePlan, DeviceCoder, EncodeArrays, EncodePlan
from latentsr.cuda.batch import OUTCOME, RESULT


def decode_call(device: DeviceClock, coder: DeviceCoder, case: Case) -> Call:
    """A decode of the batch, once checked."""
    plan = DecodePlan.of(case.streams, [one.size for one in case.symbols])
    sizes = plan.sizes()
    out, results = device.room(sizes["out"]), device.room(sizes["results"])
    arrays = DecodeArrays(
        device.put(coder.packed), device.put(plan.streams), device.put(plan.data),
        device.put(np.concatenate(case.rows)), out, device.room(sizes["part_results"]), results,
    )  # fmt: skip
    coder.decode(plan, arrays, stream=device.stream)
    faults = coder.faults(device.get(results, len(case.streams), RESULT))
    found = device.get(out, plan.symbols, np.int32)
    if any(faults) or not np.array_equal(found, np.concatenate(case.symbols)):
        sys.exit(f"decode: the device's symbols differ from the processor's: {faults}")
    return lambda: coder.decode(plan, arrays, stream=device.stream)


def encode_call(device: DeviceClock, coder: DeviceCoder, case: Case, parts: int) -> Call:
    """An encode of the batch, once checked."""
    room = max(map(len, case.streams))
    plan = EncodePlan.of([one.size for one in case.symbols], parts=parts, room=room)
    sizes = plan.sizes()
    data, outcomes = device.room(sizes["data"]), device.room(sizes["outcomes"])
    arrays = EncodeArrays(
        device.put(coder.packed), device.put(plan.targets),
        device.put(np.concatenate(case.symbols)), device.put(np.concatenate(case.rows)),
        device.room(sizes["scratch"]), data, outcomes,
    )  # fmt: skip
    coder.encode(plan, arrays, stream=device.stream)
    found = device.get(outcomes, len(case.streams), OUTCOME)
    whole = device.get(data, plan.room, np.uint8).tobytes()
    lengths = found["size"].astype(int)
    made = [whole[i * room : i * room + n] for i, n in enumerate(lengths)]
    if any(coder.encode_faults(found)) or made != case.streams:
        sys.exit("encode: the device's bytes differ from the processor's")
    return lambda: coder.encode(plan, arrays, stream=device.stream)


def processor_calls(case: Case, parts: int) -> dict[str, dict[str, Call]]:
    """Both ways on the processor, with one thread and with all."""
    out = np.empty(case.symbols[0].size, np.int32)

    def decode(threads: int) -> None:
        for stream, rows in zip(case.streams, case.rows, strict=True):
            case.coder.decode(stream, rows, threads=threads, out=out)

    def encode(threads: int) -> None:
        for symbols, rows in zip(case.symbols, case.rows, strict=True):
            case.coder.encode(symbols, rows, threads=threads, parts=parts or None)

    cores = os.cpu_count() or 1
    return {
        "decode": {"1 thread": lambda: decode(1), "all cores": lambda: decode(cores)},
        "encode": {"1 thread": lambda: encode(1), "all cores": lambda: encode(cores)},
    }


def seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_coder(
    device: DeviceClock, case: Case, parts: int, rounds: int, repeat: int
) -> dict[str, Any]:
    """Times of one batch, both ways; rounds take all sides in turn."""
    coder = DeviceCoder(case.coder.tables)
    calls = {"decode": decode_call(device, coder, case),
             "encode": encode_call(device, coder, case, parts)}  # fmt: skip
    others = processor_calls(case, parts)
    result: dict[str, Any] = {
        "batch": len(case.streams), "parts": 1 << (case.streams[0][0] >> 4),
        "bits_per_symbol": round(8 * sum(map(len, case.streams)) / case.count, 3),
    }  # fmt: skip
    return {**result, **in_turn(device, calls, others, case.count, rounds, repeat)}


def in_turn(
    device: DeviceClock, calls: dict[str, Call], others: dict[str, dict[str, Call]], count: int,
    rounds: int, repeat: int,
) -> dict[str, Any]:  # fmt: skip
    """Figures of each way for `count` symbols, on the device and on the processor's sides."""
    times: dict[str, dict[str, list[float]]] = {
        way: {side: [] for side in ("device", *others[way])} for way in calls
    }
    for _ in range(rounds):
        for way, call in calls.items():
            times[way]["device"].append(device.seconds(call, repeat))
            for side, other in others[way].items():
                times[way][side].append(seconds(other))
    return {way: figures(sides, count) for way, sides in times.items()}


def figures(sides: dict[str, list[float]], count: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        side: {"ms": round(1e3 * float(np.median(own)), 4),
               "gsym_per_s": round(count / 1e9 / float(np.median(own)), 4)}
        for side, own in sides.items()
    }  # fmt: skip
    device = sides["device"]
    for side, own in sides.items():
        if side != "device":
            pairs = zip(own, device, strict=True)
            found[side]["times"] = round(float(np.median([a / b for a, b in pairs])), 2)
    return found
