"""Planes to pictures and back: NumPy expressions against the kernels.

python benchmarks/pixels.py [--rounds 31] [--out results.json]

Pictures of 600x400, 1920x1080 and 3840x2160, within planes padded to multiples of 64. `picture` is
what a route ends with, from the network's planes to the picture: crop, check for samples that are
not finite, limit, round, interleave. `pad` is what an encode starts with. `numpy` is the plain
expression, the kernels run as the routes run them, allocation included, with each instruction
set and with 1 and 2 threads. Each round runs every way once, in turn, after 64 MiB of other memory
were touched, as networks do, and once more at once (`hot`). Times are medians in milliseconds,
`times_numpy` the median over rounds of NumPy's time over the kernel's in the same round.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from latentsr import _kernels
from latentsr._kernels import Isa
from latentsr.entropy import isa

SIZES = {"600x400": (400, 600), "1920x1080": (1080, 1920), "3840x2160": (2160, 3840)}
MULTIPLE = 64
Calls = dict[str, Callable[[], np.ndarray]]


def numpy_picture(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    x = np.ascontiguousarray(planes[:, :height, :width])
    if not np.isfinite(x).all():
        raise SystemExit("samples that are not finite")
    scaled = np.rint(np.clip(x, 0.0, 1.0) * np.float32(255))
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))


def kernel_picture(planes: np.ndarray, height: int, width: int, each: Isa, n: int) -> np.ndarray:
    out = np.empty((height, width, 3), np.uint8)
    if not _kernels.picture_from_planes(planes[:, :height, :width], out, each, n):
        raise SystemExit("samples that are not finite")
    return out


def numpy_pad(picture: np.ndarray, bottom: int, right: int) -> np.ndarray:
    planes = picture.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255)
    if bottom or right:
        planes = np.pad(planes, ((0, 0), (0, bottom), (0, right)), mode="edge")
    return np.ascontiguousarray(planes)


def kernel_pad(picture: np.ndarray, bottom: int, right: int, each: Isa, n: int) -> np.ndarray:
    out = np.empty((3, picture.shape[0] + bottom, picture.shape[1] + right), np.float32)
    _kernels.planes_from_picture(picture, out, 0, 0, each, n)
    return out


def calls_of(height: int, width: int) -> dict[str, Calls]:
    """Every way of both steps on one synthetic picture."""
    rng = np.random.default_rng(1)
    bottom, right = -height % MULTIPLE, -width % MULTIPLE
    planes = rng.normal(0.5, 0.3, (3, height + bottom, width + right)).astype(np.float32)
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    found: dict[str, Calls] = {
        "picture": {"numpy": lambda: numpy_picture(planes, height, width)},
        "pad": {"numpy": lambda: numpy_pad(picture, bottom, right)},
    }
    for name in isa.supported():
        for n in (1, 2):
            way, each = f"{name}, {n} thread{'s' * (n > 1)}", isa.NAMES[name]
            found["picture"][way] = lambda each=each, n=n: kernel_picture(
                planes, height, width, each, n
            )
            found["pad"][way] = lambda each=each, n=n: kernel_pad(picture, bottom, right, each, n)
    return found


def check(step: str, calls: Calls) -> None:
    """Stop where a kernel's result is not NumPy's."""
    expected = calls["numpy"]()
    for way, call in calls.items():
        if call().tobytes() != expected.tobytes():
            raise SystemExit(f"{step}, {way}: differs from NumPy")


def measure(calls: Calls, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Median milliseconds of each way and its ratio to NumPy, cold and hot."""
    times: dict[str, dict[str, list[float]]] = {
        state: {way: [] for way in calls} for state in ("cold", "hot")
    }
    other = np.zeros(64 << 20, np.uint8)
    for _ in range(rounds):
        for way, call in calls.items():
            other += 1
            for state in ("cold", "hot"):
                start = time.perf_counter()
                call()
                times[state][way].append(time.perf_counter() - start)
    return {
        state: {way: figures(found, of_state["numpy"]) for way, found in of_state.items()}
        for state, of_state in times.items()
    }


def figures(found: list[float], numpy: list[float]) -> dict[str, float]:
    ratios = [one / other for one, other in zip(numpy, found, strict=True)]
    return {
        "ms": round(1e3 * float(np.median(found)), 4),
        "times_numpy": round(float(np.median(ratios)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": describe_machine(), "rounds": given.rounds,
                              "isa": isa.supported(), "sizes": {}}  # fmt: skip
    for size, (height, width) in SIZES.items():
        print(size)
        steps = result["sizes"][size] = {}
        for step, calls in calls_of(height, width).items():
            check(step, calls)
            steps[step] = measure(calls, given.rounds)
            for state, ways in steps[step].items():
                for way, f in ways.items():
                    print(f"  {step:8} {state:4} {way:18} {f['ms']:9.3f} ms  ×{f['times_numpy']}")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
