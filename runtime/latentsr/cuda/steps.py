"""Latents, symbols, scales, planes and pictures on a CUDA device, one pass over memory each.

The bits are those of `LatentSteps` and of the kernels for pictures on the processor. Addresses
are device addresses of arrays in C order; samples are float32 or, where `sample_bytes` is 2,
FP16. A `fault` is the address of one uint64, written: `fault_at` tells what it means.
"""

from __future__ import annotations

from dataclasses import dataclass

from latentsr.cuda.batch import check_index_bytes
from latentsr.cuda.module import compiled, launching
from latentsr.errors import UsageError

NO_FAULT = (1 << 64) - 1
MAX_THRESHOLDS = 255
MAX_COUNT = (1 << 63) - 1


@dataclass(frozen=True)
class DeviceMeans:
    """Means of latents: value i has number (i / repeat) mod count; no values mean zeros.

    values: address of float32 (count,). One value a channel: repeat = height * width.
    """

    values: int = 0
    count: int = 0
    repeat: int = 1


NO_MEANS = DeviceMeans()


@dataclass(frozen=True)
class DevicePlanes:
    """Planes of RGB pictures, possibly a window of larger ones.

    Sample (n, p, y, x) is number n strides[0] + p strides[1] + y strides[2] + x from `first` on.
    """

    first: int
    pictures: int
    height: int
    width: int
    strides: tuple[int, int, int]
    sample_bytes: int = 4

    @staticmethod
    def dense(
        first: int, pictures: int, height: int, width: int, sample_bytes: int = 4
    ) -> DevicePlanes:
        """Planes (pictures, 3, height, width) without gaps."""
        plane = height * width
        return DevicePlanes(first, pictures, height, width, (3 * plane, plane, width), sample_bytes)


def fault_at(fault: int) -> int | None:
    """The position that a fault tells, or None where nothing was wrong."""
    return None if fault == NO_FAULT else fault


def scale_indexes(
    scales: int, out: int, count: int, thresholds: int, threshold_count: int, fault: int,
    sample_bytes: int = 4, stream: int = 0,
) -> None:  # fmt: skip
    """Fill `out` (uint8) with the number of thresholds (rising float32) below each scale.

    The fault is the first NaN. Raises UsageError for numbers out of range, BackendError where
    CUDA refuses.
    """
    _check(sample_bytes, count)
    if not 0 <= threshold_count <= MAX_THRESHOLDS:
        raise UsageError(f"thresholds: found {threshold_count}, expected up to {MAX_THRESHOLDS}")
    with launching("scale indexes"):
        compiled().scale_indexes(
            scales, sample_bytes, count, thresholds, threshold_count, out, fault, stream
        )


def symbols_from_latent(
    latent: int, means: DeviceMeans, symbols: int, restored: int, count: int, fault: int,
    sample_bytes: int = 4, stream: int = 0,
) -> None:  # fmt: skip
    """Quantise: symbols (int32) = rint(latent - mean), restored (float32, or 0) = symbols + mean.

    The fault is the first difference that is NaN or beyond 2^30. Raises as `scale_indexes`.
    """
    _check(sample_bytes, count)
    _check_means(means, count)
    with launching("symbols from a latent"):
        compiled().symbols_from_latent(
            latent, sample_bytes, means.values, means.count, means.repeat, count, symbols,
            restored, fault, stream,
        )  # fmt: skip


def latent_from_symbols(
    symbols: int, means: DeviceMeans, latent: int, count: int, sample_bytes: int = 4,
    stream: int = 0,
) -> None:  # fmt: skip
    """Fill `latent` with float32(symbols) + mean; raises as `scale_indexes`.

    FP16 rounds that sum half to even; beyond 65504 it is infinite.
    """
    _check(sample_bytes, count)
    _check_means(means, count)
    with launching("latent from symbols"):
        compiled().latent_from_symbols(
            symbols, means.values, means.count, means.repeat, count, latent, sample_bytes, stream
        )


def clear_certain(
    indexes: int, skip: int, means: DeviceMeans, symbols: int, restored: int, count: int,
    index_bytes: int = 1, stream: int = 0,
) -> None:  # fmt: skip
    """Set the symbols of rows below `skip` to 0 and their restored values (or 0) to 0 + mean.

    A coder with that `skip` leaves these symbols out. indexes: uint8, or int32 where `index_bytes`
    is 4. Raises as `scale_indexes`.
    """
    check_index_bytes(index_bytes)
    _check(4, count)
    _check_means(means, count)
    if not 0 <= skip < 1 << 32:
        raise UsageError(f"skip: found {skip}, expected 0 to 2^32 - 1")
    with launching("clearing certain symbols"):
        compiled().clear_certain(
            indexes, index_bytes, skip, means.values, means.count, means.repeat, count, symbols,
            restored, stream,
        )  # fmt: skip


def crc_of_symbols(
    symbols: int, streams: int, stream_count: int, crcs: int, starts: int = 0, stream: int = 0
) -> None:
    """Fill `crcs` (uint32) with the CRC-32 of each stream's symbols, as containers hold it.

    streams: the `STREAM` array of a `DecodePlan`. starts: CRCs (uint32) of what came before, or
    0; may be `crcs`. Raises BackendError where CUDA refuses.
    """
    with launching("CRC of symbols"):
        compiled().crc_of_symbols(symbols, streams, stream_count, starts, crcs, stream)


def combine_crcs(before: int, own: int, count: int) -> int:
    """The CRC-32 of symbols with the CRC `before` and of the `count` behind them with `own`.

    Computed on the host, at once.
    """
    _check(4, count)
    return compiled().combine_crcs(before, own, count)


def limit_samples(
    samples: int, out: int, count: int, sample_bytes: int = 4, stream: int = 0
) -> None:
    """Fill `out`, which may be `samples`, with the samples limited to 0..1; NaN stays.

    Raises as `scale_indexes`.
    """
    _check(sample_bytes, count)
    with launching("limiting samples"):
        compiled().limit_samples(samples, sample_bytes, count, out, stream)


def convert_samples(
    samples: int, out: int, count: int, sample_bytes: int = 4, stream: int = 0
) -> None:
    """Fill `out` with the samples in the other type: float32 as FP16, FP16 as float32; NaN stays.

    FP16 rounds half to even; beyond 65504 it is infinite. Raises as `scale_indexes`.
    """
    _check(sample_bytes, count)
    with launching("converting samples"):
        compiled().convert_samples(samples, sample_bytes, count, out, stream)


def picture_from_planes(planes: DevicePlanes, pictures: int, fault: int, stream: int = 0) -> None:
    """Fill `pictures` (uint8, (n, height, width, 3)): limit to 0..1, times 255, half to even.

    The fault is the first pixel with a sample that is NaN or infinite. Raises as `scale_indexes`.
    """
    _check_planes(planes)
    with launching("picture from planes"):
        compiled().picture_from_planes(
            planes.first, planes.sample_bytes, planes.strides, _sizes(planes), pictures, fault,
            stream,
        )  # fmt: skip


def planes_from_picture(
    pictures: int, height: int, width: int, planes: DevicePlanes, top: int = 0, left: int = 0,
    stream: int = 0,
) -> None:  # fmt: skip
    """Fill planes with pictures (uint8, (n, height, width, 3)) * float32(1 / 255).

    A picture lies `top` rows and `left` columns within its planes; its border is repeated
    outwards. Raises UsageError, too, where it does not fit.
    """
    _check_planes(planes)
    if (
        min(height, width) < 1
        or min(top, left) < 0
        or (top + height > planes.height or left + width > planes.width)
    ):
        raise UsageError(
            f"picture: found {height}x{width} at ({top}, {left}), expected at least one pixel and "
            f"a place within {planes.height}x{planes.width}"
        )
    with launching("planes from a picture"):
        compiled().planes_from_picture(
            pictures, height, width, top, left, planes.first, planes.sample_bytes,
            planes.strides, _sizes(planes), stream,
        )  # fmt: skip


def _check(sample_bytes: int, count: int) -> None:
    if sample_bytes not in (2, 4):
        raise UsageError(f"sample_bytes: found {sample_bytes}, expected 2 (FP16) or 4 (float32)")
    if not 0 <= count <= MAX_COUNT:
        raise UsageError(f"count: found {count}, expected 0 to 2^63 - 1")


def _check_means(means: DeviceMeans, count: int) -> None:
    if means.count == 0:
        return
    if means.count < 0 or means.repeat < 1 or count % (means.count * means.repeat):
        raise UsageError(
            f"means: found {means.count} values, {means.repeat} times each, expected a number that "
            f"divides {count}, the latents"
        )


def _check_planes(planes: DevicePlanes) -> None:
    _check(planes.sample_bytes, planes.pictures * planes.height * planes.width)
    for name, size in zip(("pictures", "height", "width"), _sizes(planes), strict=True):
        if not 0 <= size < 1 << 32:
            raise UsageError(f"{name}: found {size}, expected 0 to 2^32 - 1")


def _sizes(planes: DevicePlanes) -> tuple[int, int, int]:
    return planes.pictures, planes.height, planes.width
