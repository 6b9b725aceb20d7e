"""What two pictures are compared by: the built-in figures, and further ones from other packages.

A further metric is registered in the entry-point group `latentsr.metrics` as a callable without
arguments that makes a `Metric`; it may need torch, so it is loaded only when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Protocol

from latentsr.errors import BackendError, ImageError, UsageError
from latentsr.image import Picture
from latentsr.report.metrics import ms_ssim, psnr, psnr_y, ssim

GROUP = "latentsr.metrics"
BUILT_IN = ("psnr", "psnr_y", "ssim", "ms_ssim")


class Metric(Protocol):
    """A figure of one picture against its reference.

    about: what it is, and how it was made, in a line for people. random_weights: True where its
    network was not trained, so that the figure means nothing.
    """

    about: str
    random_weights: bool

    def __call__(self, picture: Picture, reference: Picture) -> float | None:
        """The figure of two uint8 (H, W, 3); None where they are too small for it."""


def metric_names() -> list[str]:
    """Further metrics that installed packages register."""
    return sorted({entry.name for entry in entry_points(group=GROUP)} - set(BUILT_IN))


def find_metrics(names: Sequence[str]) -> dict[str, Metric]:
    """Make the further metrics of these names.

    Raises UsageError that lists the known ones, BackendError where a library or its weights are
    missing.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    metrics: dict[str, Metric] = {}
    for name in names:
        if name in BUILT_IN:
            continue
        if name not in found:
            raise UsageError(
                f"no such metric: found {name!r}, expected one of "
                f"{', '.join((*BUILT_IN, *metric_names()))}; choose one of these"
            )
        try:
            metrics[name] = found[name].load()()
        except ImportError as error:
            raise BackendError(
                f"library of a metric is missing: found no {error.name}, expected it for {name}; "
                "run: pip install 'latentsr[metrics]'"
            ) from None
    return metrics


def compare(
    picture: Picture, reference: Picture, border: int, further: Mapping[str, Metric]
) -> dict[str, float | None]:
    """All figures of a picture against its reference, both uint8 (H, W, 3).

    border: rows and columns left out at every side, of both, before anything is computed. None
    where a picture is too small for a figure or where it is infinite, which JSON does not know.
    Raises ImageError where the border leaves nothing.
    """
    if 2 * border >= min(reference.shape[:2]):
        raise ImageError(
            f"border leaves nothing of the picture: found {border} for "
            f"{reference.shape[1]}x{reference.shape[0]}, expected less than half the shorter side"
        )
    inner = (slice(border, -border or None),) * 2
    a, b = picture[inner], reference[inner]
    found = {"psnr": psnr(a, b), "psnr_y": psnr_y(a, b), "ssim": ssim(a, b),
             "ms_ssim": ms_ssim(a, b)}  # fmt: skip
    found |= {name: metric(a, b) for name, metric in further.items()}
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in found.items()
    }
