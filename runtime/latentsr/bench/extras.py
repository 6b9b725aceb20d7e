"""What is measured once, in the first launch: quality, throughput, latency against size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentsr.bench.contender import Contender, Started
from latentsr.bench.inputs import Input
from latentsr.bench.rounds import Samples, Schedule, run_rounds
from latentsr.report.metrics import ms_ssim, psnr, psnr_y, ssim

if TYPE_CHECKING:
    from latentsr.bench.run import Measured

THROUGHPUT_SECONDS = 2.0
LONGEST_SIZE_MS = 10_000.0  # a contender leaves the sizes where one call is likely to take longer
Say = Callable[[str], None]


def quality(
    measured: Measured, contenders: Sequence[Contender], started: Sequence[Started], folder: Path
) -> None:
    """Compare every output with its original; trained contenders only."""
    kept: dict[str, dict[int, dict[str, float | None]]] = measured.quality
    for contender, said in zip(contenders, started, strict=True):
        if contender.plan.kind == "yardstick" or said.random_weights:
            continue
        for number, one in enumerate(measured.inputs):
            reference = one.reference(said.scale)
            if reference is None:
                continue
            picture = contender.output(number, folder)
            if picture is not None:
                kept.setdefault(contender.plan.name, {})[number] = compare(picture, reference)
                if number == 0 and said.scale == one.scale:
                    measured.pictures[contender.plan.name] = picture
                    measured.pictures["original"] = reference


def compare(picture: np.ndarray, reference: np.ndarray) -> dict[str, float | None]:
    """psnr (RGB), psnr_y, ssim, ms_ssim.

    None where a picture is too small for one, or where it is infinite, which JSON does not know.
    """
    found = {
        "psnr": psnr(picture, reference), "psnr_y": psnr_y(picture, reference),
        "ssim": ssim(picture, reference), "ms_ssim": ms_ssim(picture, reference),
    }  # fmt: skip
    return {
        key: value if value is not None and math.isfinite(value) else None
        for key, value in found.items()
    }


def throughput(
    measured: Measured,
    contenders: Sequence[Contender],
    started: Sequence[Started],
    samples: Sequence[Samples],
    say: Say,
) -> None:
    """Pictures a second with several in flight; slow contenders are left out.

    Who makes one picture after another is measured so only, under no other number.
    """
    for contender, said, found in zip(contenders, started, samples, strict=True):
        if contender.plan.kind == "yardstick" or found.slow:
            continue
        wanted = measured.settings.in_flight
        for in_flight in wanted if said.overlaps or not wanted else (1,):
            say(f"throughput of {contender.plan.name}, {in_flight} in flight")
            figures = _overlapped(measured, contender, said.scale, found, in_flight)
            measured.throughput.setdefault(contender.plan.name, []).append(figures)


def _overlapped(
    measured: Measured, contender: Contender, scale: int, found: Samples, in_flight: int
) -> dict[str, float]:
    inputs = len(measured.inputs)
    typical = float(np.nanmedian(found.ms(range(inputs))))
    wanted = int(np.clip(THROUGHPUT_SECONDS * 1e3 / typical, 2 * in_flight, 4096))
    # Every picture equally often, or who does fewer in the time would do others, of other sizes.
    count = -(-wanted // inputs) * inputs
    indexes = [number % inputs for number in range(count)]
    contender.many(indexes[: 2 * in_flight], in_flight)
    seconds, cpu = contender.many(indexes, in_flight)
    pixels = sum(measured.inputs[i].coded_width * measured.inputs[i].coded_height for i in indexes)
    return {
        "in_flight": in_flight, "pictures": count, "seconds": seconds,
        "pictures_per_s": count / seconds, "output_mp_per_s": pixels * scale**2 / seconds / 1e6,
        "busy_cores": cpu / seconds,
    }  # fmt: skip


def latency_by_size(
    measured: Measured, contenders: Sequence[Contender], sized: Sequence[Input], say: Say
) -> None:
    """Latency of every contender at each size, in the order given; best from small to large."""
    racing = [c for c in contenders if c.plan.kind != "yardstick"]
    for number, one in enumerate(sized, start=len(measured.inputs)):
        say(f"size {one.item.name}")
        width, height = one.coded_width * one.scale, one.coded_height * one.scale
        racing = [c for c in racing if _expected_ms(measured, c, width * height) < LONGEST_SIZE_MS]
        found = run_rounds(racing, [number], Schedule(warmup=1, rounds=5, slow_rounds=1))
        for contender, samples in zip(racing, found, strict=True):
            measured.sizes.setdefault(contender.plan.name, []).append({
                "width": width, "height": height,
                "p50_ms": float(np.nanmedian(samples.ms([number]))),
            })  # fmt: skip


def _expected_ms(measured: Measured, contender: Contender, pixels: int) -> float:
    """What a call will take if time grows like the number of pixels."""
    before = measured.sizes.get(contender.plan.name)
    if not before:
        return 0.0
    last = before[-1]
    return last["p50_ms"] * pixels / (last["width"] * last["height"])
