"""Whole routes in float32 and FP16 on real pictures: what FP16 costs in dB, and where it fails."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from latentsr.backends.base import Engine
from latentsr.codec import Codec
from latentsr.report.metrics import psnr
from latentsr_export.fp16.calibration import Sample

GATE_DB = 0.02
# Coded sizes, rows and columns; large SR networks take their time.
SIZES = ((128, 192), (96, 64))
# Networks with pooling want some room: smaller pictures are mirrored at their borders.
LEAST = 32


@dataclass(frozen=True)
class Case:
    """One picture for one route: uint8 (H, W, 3) as the encode route gets it, and the original."""

    encode: str
    decode: str
    given: np.ndarray
    original: np.ndarray


@dataclass
class Recorder(Engine):
    """An engine that keeps every input it meets once."""

    engine: Engine
    samples: list[Sample]
    _seen: set[bytes] = field(default_factory=set)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Keep the inputs, run the engine."""
        digest = hashlib.sha256()
        for name in sorted(inputs):
            digest.update(repr((name, inputs[name].shape)).encode())
            digest.update(inputs[name].tobytes())
        if digest.digest() not in self._seen:
            self._seen.add(digest.digest())
            self.samples.append({name: np.array(value) for name, value in inputs.items()})
        return self.engine.run(inputs)

    @property
    def runs_on(self) -> str:
        """The engine's own answer."""
        return self.engine.runs_on


def cases(codec: Codec, pictures: Sequence[np.ndarray]) -> list[Case]:
    """Crops of the pictures for every route, reduced by the scale that the route enlarges by.

    pictures: uint8 (H, W, 3).
    """
    found = []
    routes = codec.bundle.manifest.routes.items()
    for encode in (name for name, route in routes if route.kind == "encode"):
        reduction = _reduction(codec, encode, pictures[0])
        for decode, route in ((name, route) for name, route in routes if route.kind == "decode"):
            scale = max(1, round(route.scale / reduction))
            for original in crops(pictures, route.scale):
                found.append(Case(encode, decode, reduced(original, scale), original))
    return found


def run_case(codec: Codec, case: Case) -> tuple[np.ndarray, int]:
    """The picture that comes back, and the size of the stream in bytes."""
    stream = codec.encode(case.given, case.encode)
    return codec.decode(stream, case.decode), len(stream)


def record(codec: Codec, given: Sequence[Case]) -> tuple[dict[str, list[Sample]], list[Any]]:
    """Inputs that each graph meets, by its name, and each case's result."""
    engines: dict[str, Recorder] = {}

    def engine(name: str) -> Engine:
        if name not in engines:
            engines[name] = Recorder(codec.engine(name), [])
        return engines[name]

    results = with_engines(codec, engine, given)
    return {name: recorder.samples for name, recorder in engines.items()}, results


def with_engines(
    codec: Codec, engine: Callable[[str], Engine], given: Sequence[Case]
) -> list[tuple[np.ndarray, int]]:
    """Results of all cases where graphs run on these engines."""
    own = codec.machine
    codec.machine = replace(own, engine=engine)
    try:
        return [run_case(codec, case) for case in given]
    finally:
        codec.machine = own


def changes(
    given: Sequence[Case],
    full: Sequence[tuple[np.ndarray, int]],
    half: Sequence[tuple[np.ndarray, int]],
) -> dict[str, dict[str, float]]:
    """For each decode route: mean PSNR against the originals in float32 and FP16, and the change.

    change_db: of the mean squared error over all pictures. worst_db: the largest drop of a single
    picture. bytes_percent: change of the streams' size.
    """
    table: dict[str, dict[str, float]] = {}
    for route in dict.fromkeys(case.decode for case in given):
        rows = [i for i, case in enumerate(given) if case.decode == route]
        pairs = [(_psnr(full[i][0], given[i]), _psnr(half[i][0], given[i])) for i in rows]
        before, after = ([pair[k] for pair in pairs] for k in (0, 1))
        sizes = [sum(made[i][1] for i in rows) for made in (full, half)]
        table[route] = {
            "psnr_fp32": float(np.mean(before)), "psnr_fp16": float(np.mean(after)),
            "change_db": _mean_db(after) - _mean_db(before),
            "worst_db": min(b - a for a, b in pairs),
            "against_fp32_db": min(_between(full[i][0], half[i][0]) for i in rows),
            "bytes_percent": 100 * (sizes[1] / sizes[0] - 1),
        }  # fmt: skip
    return table


def difference(full: Sequence[np.ndarray], half: Sequence[np.ndarray]) -> dict[str, float]:
    """FP16 values against float32 ones.

    {max_abs, mean_abs, peak, psnr_db}: largest and mean difference, largest magnitude in float32,
    and the mean squared difference against that magnitude in dB, 999 where there is none.
    """
    pairs = zip(full, half, strict=True)
    errors = np.concatenate([np.abs(a - b).reshape(-1) for a, b in pairs]).astype(np.float64)
    peak = max(float(np.abs(values).max()) for values in full)
    square = float(np.mean(errors**2))
    decibel = 10 * math.log10(peak**2 / square) if square > 0 and peak > 0 else 999.0
    found = {"max_abs": float(errors.max()), "mean_abs": float(errors.mean()), "peak": peak,
             "psnr_db": decibel}  # fmt: skip
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def _mean_db(values: Sequence[float]) -> float:
    return float(-10 * np.log10(np.mean(10 ** (-np.array(values) / 10))))


def _between(a: np.ndarray, b: np.ndarray) -> float:
    return min(psnr(a, b), 999.0)  # JSON knows no infinity


def _psnr(made: np.ndarray, case: Case) -> float:
    original = case.original
    if original.shape != made.shape:
        size = made.shape[1], made.shape[0]
        original = np.asarray(Image.fromarray(original).resize(size, Image.Resampling.BICUBIC))
    return _between(made, original)


def _reduction(codec: Codec, encode: str, picture: np.ndarray) -> float:
    """By how much an encode route reduces a picture before it codes it."""
    crop = np.ascontiguousarray(picture[:256, :256])
    stream = codec.open_stream(codec.encode(crop, encode))
    return crop.shape[1] / stream.width


def crops(pictures: Sequence[np.ndarray], scale: int) -> list[np.ndarray]:
    """One crop of the first of `SIZES` of every picture, and one of the second of the last one.

    The sizes are times scale, or less where a picture is smaller: multiples of the scale.
    """
    first, second = ((rows * scale, columns * scale) for rows, columns in SIZES)
    shown = [_mirrored(picture, LEAST * scale) for picture in pictures]
    found = [_crop(picture[-first[0] :, -first[1] :], scale) for picture in shown]
    return [*found, _crop(shown[-1][: second[0], : second[1]], scale)]


def _mirrored(picture: np.ndarray, least: int) -> np.ndarray:
    missing = [max(0, least - side) for side in picture.shape[:2]]
    return np.pad(picture, [*((0, more) for more in missing), (0, 0)], mode="symmetric")


def _crop(picture: np.ndarray, scale: int) -> np.ndarray:
    height, width = (max(side - side % scale, 1) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])


def reduced(picture: np.ndarray, scale: int) -> np.ndarray:
    """The picture, uint8 (H, W, 3), made smaller by a bicubic filter."""
    if scale == 1:
        return picture
    size = max(picture.shape[1] // scale, 1), max(picture.shape[0] // scale, 1)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
