"""Steps on latents and pictures on the device, in GB/s of what they read and write."""

from __future__ import annotations

from typing import Any

import numpy as np
from coder_cases import SCALES
from device_clock import Call, DeviceClock

from latentsr.cuda import DecodePlan, steps
from latentsr.cuda.steps import DeviceMeans, DevicePlanes


def step_calls(
    device: DeviceClock, latent: int, height: int, width: int
) -> dict[str, tuple[Call, int]]:
    """Each step with the bytes that it reads and writes."""
    stream = device.stream
    rng = np.random.default_rng(2)
    room, put = device.room, device.put
    fault, symbols, restored = room(8), room(4 * latent), room(4 * latent)
    values = put(rng.normal(0, 4, latent).astype(np.float32))
    means = DeviceMeans(put(rng.normal(0, 1, latent).astype(np.float32)), latent)
    thresholds = put(SCALES[:-1].astype(np.float32))
    rows, scales = room(latent), put(rng.uniform(0.1, 20, latent).astype(np.float32))
    samples = rng.uniform(-0.1, 1.1, (1, 3, height, width))
    crcs, streams = room(4), put(DecodePlan.of([b""], [latent]).streams)
    pixels, picture = height * width, room(3 * height * width)
    found: dict[str, tuple[Call, int]] = {
        "symbols_from_latent": (lambda: steps.symbols_from_latent(
            values, means, symbols, restored, latent, fault, stream=stream), 16 * latent),
        "latent_from_symbols": (lambda: steps.latent_from_symbols(
            symbols, means, restored, latent, stream=stream), 12 * latent),
        "scale_indexes": (lambda: steps.scale_indexes(
            scales, rows, latent, thresholds, 63, fault, stream=stream), 5 * latent),
        "clear_certain": (lambda: steps.clear_certain(
            rows, 64, means, symbols, restored, latent, stream=stream), 13 * latent),
        "crc_of_symbols": (lambda: steps.crc_of_symbols(
            symbols, streams, 1, crcs, stream=stream), 4 * latent),
    }  # fmt: skip
    for kind, size in ((np.float32, 4), (np.float16, 2)):
        planes = DevicePlanes.dense(put(samples.astype(kind)), 1, height, width, size)
        found[f"picture_from_planes {kind.__name__}"] = (
            lambda planes=planes: steps.picture_from_planes(planes, picture, fault, stream),
            3 * pixels * (size + 1),
        )
        found[f"planes_from_picture {kind.__name__}"] = (
            lambda planes=planes: steps.planes_from_picture(
                picture, height, width, planes, stream=stream
            ),
            3 * pixels * (size + 1),
        )
    return found


def measure_steps(
    device: DeviceClock, calls: dict[str, tuple[Call, int]], rounds: int, repeat: int
) -> dict[str, Any]:
    """Microseconds and GB/s of each of `step_calls`."""
    found = {}
    for name, (call, size) in calls.items():
        times = [device.seconds(call, repeat) for _ in range(rounds)]
        middle = float(np.median(times))
        found[name] = {"us": round(1e6 * middle, 2), "gb_per_s": round(size / 1e9 / middle, 1)}
        print(f"{name:32} {found[name]['us']:9.2f} us {found[name]['gb_per_s']:8.1f} GB/s")
    return found
