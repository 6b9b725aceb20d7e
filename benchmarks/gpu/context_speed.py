"""Integer context models on the device against the processor's: compared, then timed."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from coder_cases import SCALES, gaussian_tables
from coder_speed import in_turn
from device_clock import Call, DeviceClock

from latentsr.cuda import ContextArrays, DeviceCoder, DeviceContext
from latentsr.cuda.batch import RESULT
from latentsr.entropy import Coder
from latentsr.entropy.context import ContextCoder
from latentsr.entropy.context_tensors import ContextTensors

CHANNELS, WIDTHS = 192, (384, 640, 512)
"""Of mbt2018 with M = N = 192: the latent's channels and the outputs of layers 0 .. 2."""

POSITIONS = {"768x512": (32, 48), "1920x1080": (68, 120), "3840x2160": (135, 240)}
"""Height and width of a picture's latent."""

THRESHOLDS = np.floor(1024 * SCALES).astype(np.float32)
MEAN_BITS, MEDIAN = 6, 0.275
TAPS = [(dy, dx) for dy in range(-2, 1) for dx in range(-2, 3) if (dy, dx) < (0, 0)]


class Case(NamedTuple):
    """A model, and a latent that follows its distributions."""

    tensors: ContextTensors
    coder: ContextCoder
    features: np.ndarray
    y: np.ndarray
    stream: bytes
    symbols: np.ndarray


def model_of(scales: np.ndarray, channels: int, widths: tuple[int, ...]) -> ContextTensors:
    """Random weights, but for the last layer's, which are 0: scales are one a channel.

    Products take as long whatever the numbers are.
    """
    rng = np.random.default_rng(2)
    sizes = [len(TAPS) * channels, *widths, 2 * channels]
    weights = [rng.integers(-5, 6, (b, a)).astype(np.int16) for a, b in pairwise(sizes)]
    weights[0] = weights[0].reshape(widths[0], len(TAPS), channels)
    weights[-1][:] = 0
    biases = [None if k == 1 else np.zeros(b, np.int32) for k, b in enumerate(sizes[1:])]
    last = np.zeros(2 * channels, np.int32)
    last[:channels] = np.rint(scales * 1024).astype(np.int32) << 1
    shifts = [np.full(size, 7, np.uint8) for size in widths] + [np.ones(2 * channels, np.uint8)]
    settings = [MEAN_BITS, 655, 2047, 1 << 20, *[8191] * len(widths)]
    return ContextTensors(
        np.array(TAPS, np.int32), np.array(settings, np.int32), tuple(weights),
        (*biases[:-1], last), tuple(shifts), np.full(widths[1], 3, np.uint8),
    )  # fmt: skip


def make_case(size: tuple[int, int], channels: int, widths: tuple[int, ...]) -> Case:
    rng = np.random.default_rng(1)
    scales = np.clip(MEDIAN * np.exp(rng.normal(0, 0.8, channels)), SCALES[0], SCALES[-1])
    tensors = model_of(scales, channels, widths)
    coder = ContextCoder(tensors, THRESHOLDS, Coder(gaussian_tables()))
    features = rng.integers(-(2**18), 2**18, (widths[1], *size)).astype(np.float32)
    y = (rng.normal(0, 1, (channels, *size)) * scales[:, None, None]).astype(np.float32)
    stream, _, symbols = coder.encode(features, y, os.cpu_count() or 1)
    return Case(tensors, coder, features, y, stream, symbols)


def device_calls(device: DeviceClock, case: Case) -> dict[str, Call]:
    """Both ways on the device, once checked; `quantise` leaves the coding of symbols to others."""
    lanes = DeviceCoder(gaussian_tables())
    context = DeviceContext(case.tensors, THRESHOLDS)
    size = case.y.shape[1], case.y.shape[2]
    at = ContextArrays(
        device.put(context.packed), device.put(case.features), device.room(context.scratch(*size)),
        device.room(case.y.nbytes), device.room(case.y.nbytes), device.room(RESULT.itemsize),
    )  # fmt: skip
    tables, y = device.put(lanes.packed), device.put(case.y)
    data = device.put(np.frombuffer(case.stream, np.uint8)), len(case.stream)
    scan = device.room(case.y.nbytes), device.room(case.y.size)

    def decode() -> None:
        context.decode(lanes, tables, size, data, at, device.stream)

    def quantise() -> None:
        context.encode(size, y, scan, at, device.stream)

    expected = case.coder.quantise(case.features, case.y, os.cpu_count() or 1)
    quantise()
    _check("quantise", device.get(at.result, 1, RESULT), [
        (device.get(at.symbols, case.y.size, np.int32), expected.symbols.reshape(-1)),
        (device.get(scan[0], case.y.size, np.int32), expected.scan_symbols),
        (device.get(scan[1], case.y.size, np.uint8), expected.scan_indexes),
    ])  # fmt: skip
    device.set(at.symbols, np.zeros(case.y.size, np.int32))  # decoding has to make them itself
    decode()
    _check("decode", device.get(at.result, 1, RESULT), [
        (device.get(at.symbols, case.y.size, np.int32), case.symbols.reshape(-1))
    ])  # fmt: skip
    return {"decode": decode, "quantise": quantise}


def _check(way: str, result: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    status = int(result[0]["status"])
    if status or not all(map(np.array_equal, *zip(*pairs, strict=True))):
        sys.exit(f"{way}: the device's symbols differ from the processor's: status {status}")


def processor_calls(case: Case) -> dict[str, dict[str, Call]]:
    """Both ways on the processor, with one thread and with all."""
    cores = os.cpu_count() or 1
    sides = {"1 thread": 1, "all cores": cores}
    return {
        "decode": {name: lambda n=n: case.coder.decode(case.features, case.stream, n)
                   for name, n in sides.items()},
        "quantise": {name: lambda n=n: case.coder.quantise(case.features, case.y, n)
                     for name, n in sides.items()},
    }  # fmt: skip


def measure_context(
    device: DeviceClock, size: tuple[int, int], rounds: int, repeat: int,
    channels: int = CHANNELS, widths: tuple[int, ...] = WIDTHS,
) -> dict[str, Any]:  # fmt: skip
    """Times of one latent, both ways; rounds take all sides in turn."""
    case = make_case(size, channels, widths)
    calls, others = device_calls(device, case), processor_calls(case)
    bits = round(8 * len(case.stream) / case.y.size, 3)
    found = in_turn(device, calls, others, case.y.size, rounds, repeat)
    return {"positions": size[0] * size[1], "bits_per_symbol": bits, **found}
