"""The demo: one HR picture, reduced by 4, coded, and enlarged again by every ×4 route."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.errors import ImageError, UsageError
from latentsr.files import stream_suffixes
from latentsr.report.metrics import ms_ssim, psnr

if TYPE_CHECKING:
    from latentsr.codec import Codec

FIRST = ("latent_x4", "pixel_x4")
SCALE = 4


@dataclass
class Outcome:
    """What one route made of the stream: the picture, its quality, the times of its stages."""

    picture: np.ndarray
    psnr: float
    ms_ssim: float | None
    ms: float
    macs: int
    stages: list[dict[str, Any]]


@dataclass
class Demo:
    """A demo's results; pictures are uint8 (H, W, 3), bpp counts coded (low-resolution) samples.

    suffix: of the stream's file.
    """

    original: np.ndarray
    low: np.ndarray
    stream: bytes
    suffix: str
    decoded: np.ndarray
    encode_ms: float
    encode_stages: list[dict[str, Any]]
    routes: dict[str, Outcome]

    @property
    def bpp(self) -> float:
        """Bits of the whole stream per pixel of the low-resolution picture that it codes."""
        return 8 * len(self.stream) / (self.low.shape[0] * self.low.shape[1])

    @property
    def bpp_output(self) -> float:
        """Bits of the whole stream per pixel of the enlarged picture."""
        return 8 * len(self.stream) / (self.original.shape[0] * self.original.shape[1])

    def as_dict(self) -> dict[str, Any]:
        """Figures for JSON, without pictures; psnr is None where it is infinite."""
        routes = {
            name: {"psnr": o.psnr if math.isfinite(o.psnr) else None, "ms_ssim": o.ms_ssim,
                   "ms": o.ms, "macs": o.macs, "stages": o.stages}
            for name, o in self.routes.items()
        }  # fmt: skip
        return {
            "width": self.original.shape[1], "height": self.original.shape[0],
            "bytes": len(self.stream), "bpp": self.bpp, "bpp_output": self.bpp_output,
            "encode": {"ms": self.encode_ms, "stages": self.encode_stages}, "routes": routes,
        }  # fmt: skip


def crop_to_scale(picture: np.ndarray) -> np.ndarray:
    """Cut an HR picture so that both sides are multiples of 4; ImageError below 4x4."""
    height, width = (side - side % SCALE for side in picture.shape[:2])
    if height == 0 or width == 0:
        raise ImageError(
            f"picture is too small for the demo: found {picture.shape[1]}x{picture.shape[0]}, "
            f"expected at least {SCALE}x{SCALE}; choose a larger one"
        )
    return np.ascontiguousarray(picture[:height, :width])


def reduce(picture: np.ndarray) -> np.ndarray:
    """HR → LR: Pillow's bicubic by 4, which widens its kernel against aliasing."""
    from PIL import Image

    size = picture.shape[1] // SCALE, picture.shape[0] // SCALE
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def enlarging(codec: Codec) -> list[str]:
    """The bundle's routes of scale 4, those with networks first; UsageError where it has none."""
    known = codec.bundle.manifest.routes.items()
    found = [n for n, r in known if r.scale == SCALE and r.kind == "decode"]
    if not found:
        raise UsageError(
            f"bundle has nothing to show: found no decode route of scale {SCALE}, expected one; "
            "choose another bundle"
        )
    first = [name for name in (*FIRST, codec.bundle.manifest.upscale) if name in found]
    return list(dict.fromkeys([*first, *found]))


def run_demo(
    codec: Codec, picture: np.ndarray, routes: Iterable[str] | None = None, repeats: int = 3
) -> Demo:
    """Run the demo on one HR picture, uint8 (H, W, 3); each route's times are of its median run.

    routes: None for all that enlarge by 4. Each runs once to load its engines, then `repeats`
    times, the routes in turn.
    """
    original = crop_to_scale(picture)
    low = reduce(original)
    codec.encode(low)
    stream = codec.encode(low)
    encode_ms, encode_stages = codec.timeline.ms, codec.timeline.as_dict()
    decoded = codec.decode(stream)
    names = list(routes or enlarging(codec))
    pictures = {name: codec.upscale(stream, name) for name in names}
    timelines: dict[str, list[Any]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            codec.upscale(stream, name)
            timelines[name].append(codec.timeline)
    outcomes = {}
    for name in names:
        median = sorted(timelines[name], key=lambda t: t.ms)[repeats // 2]
        quality = psnr(pictures[name], original), ms_ssim(pictures[name], original)
        outcomes[name] = Outcome(pictures[name], *quality, median.ms, median.macs, median.as_dict())
    suffix = stream_suffixes(codec.bundle.manifest.file_model)[0]
    return Demo(original, low, stream, suffix, decoded, encode_ms, encode_stages, outcomes)


def side_by_side(demo: Demo) -> np.ndarray:
    """Original and every route's picture in one row, each under its name: uint8 (H, W, 3)."""
    from PIL import Image, ImageDraw

    panels = {"original": demo.original} | {n: o.picture for n, o in demo.routes.items()}
    height, width = demo.original.shape[:2]
    gap, band = 8, 24
    sheet = Image.new("RGB", (len(panels) * (width + gap) - gap, height + band), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, picture) in enumerate(panels.items()):
        left = number * (width + gap)
        outcome = demo.routes.get(name)
        label = name if outcome is None else f"{name}  {outcome.psnr:.2f} dB  {outcome.ms:.0f} ms"
        draw.text((left + 4, 4), label, fill="black", font_size=14)
        sheet.paste(Image.fromarray(picture), (left, band))
    return np.asarray(sheet)
