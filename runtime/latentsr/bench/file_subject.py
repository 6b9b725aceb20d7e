"""Today's picture formats as baselines: as good a file as the stream is large, then pixel SR."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image, features

from latentsr.bench.inputs import reduce
from latentsr.bench.subject import Facts, Item, Setup, Subject
from latentsr.codec import Codec
from latentsr.errors import BackendError, BundleError, UsageError
from latentsr.files import read_stream
from latentsr.image import to_rgb8
from latentsr.pipeline import image_steps, routes
from latentsr.report.metrics import psnr
from latentsr.timing import Timeline

PIXEL_SR = "pixel_sr"
Encode = Callable[[int], bytes]
"""Quality → the file's bytes."""


class FileSubject(Subject):
    """The reduced picture as a file of one format, no larger than the stream, and the bundle's
    pixel SR network on the backend that the routes have.

    Of all qualities, and of the ways to sample colour that the format has, the file is the one
    that is nearest to the picture. Where even the least quality is larger than the stream, that
    one is taken: the bytes that `load` returns then exceed the stream's.
    """

    name: ClassVar[str]
    feature: ClassVar[str]
    samplings: ClassVar[tuple[Mapping[str, Any], ...]]
    highest: ClassVar[int] = 100

    def start(self, setup: Setup) -> Facts:
        """Open the bundle and load its pixel SR network."""
        if not features.check(self.feature):
            raise BackendError(
                f"format is not available: found Pillow {Image.__version__} without {self.name}, "
                "expected one with it; install another Pillow, or leave this baseline out"
            )
        self._codec: Codec = setup.load()
        manifest = self._codec.bundle.manifest
        scale = _scale(self._codec)
        self._engine = self._codec.engine(PIXEL_SR)
        self._files: dict[int, Path] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="latentsr-baseline-")
        random = bool(manifest.raw.get("random_weights", False))
        about = f"{self.name.upper()} of the stream's size, then the pixel SR network"
        return Facts(about, self._engine.runs_on, scale, random, {"pillow": Image.__version__})

    def load(self, index: int, item: Item) -> int:
        """Encode the reduced original; returns the file's size."""
        data = read_stream(item.stream)
        stream = self._codec.open_stream(data)
        if item.original is None:
            raise UsageError(
                f"baseline {self.name} needs a picture: found stream {item.name} without an "
                "original, expected an HR picture; name pictures as inputs"
            )
        original = to_rgb8(item.original)
        picture = reduce(original, max(original.shape[0] // stream.height, 1))
        path = Path(self._folder.name) / f"{index}.{self.name}"
        path.write_bytes(self.fit(picture, len(data)))
        self._files[index] = path
        return path.stat().st_size

    def run(self, index: int) -> Timeline:
        """Read, decode, enlarge."""
        return self._make(index)[1]

    def output(self, index: int) -> np.ndarray:
        """The enlarged picture."""
        return self._make(index)[0]

    def fit(self, picture: np.ndarray, limit: int) -> bytes:
        """The best file of at most `limit` bytes for uint8 (H, W, 3), or the smallest one."""
        found = [largest_within(self._encoder(picture, options), limit, self.highest)
                 for options in self.samplings]  # fmt: skip
        fitting = [data for data in found if len(data) <= limit]
        if not fitting:
            return min(found, key=len)
        return max(fitting, key=lambda data: psnr(decode(data), picture))

    def _encoder(self, picture: np.ndarray, options: Mapping[str, Any]) -> Encode:
        def encode(quality: int) -> bytes:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, self.name.upper(), quality=quality, **options)
            return file.getvalue()

        return encode

    def _make(self, index: int) -> tuple[np.ndarray, Timeline]:
        timeline = Timeline()
        with timeline.stage("read file", "read"):
            data = self._files[index].read_bytes()
        with timeline.stage(f"decode {self.name}", "image"):
            small = decode(data)
        graph = self._codec.bundle.manifest.graphs[PIXEL_SR]
        geometry = routes.Run(small.shape[1], small.shape[0], image_steps.Padding())
        with timeline.stage("to float", "image"):
            x = image_steps.pad(small, geometry, {})
        macs = round(graph.macs_per_position * small.shape[0] * small.shape[1])
        with timeline.stage(PIXEL_SR, "engine", macs):
            hr = self._engine.run({graph.inputs[0]: x})[graph.outputs[0]]
        with timeline.stage("picture", "image"):
            return image_steps.picture(hr, geometry, {}), timeline


class JpegSubject(FileSubject):
    """JPEG with optimised Huffman tables, 4:2:0 and 4:4:4 tried."""

    name, feature = "jpeg", "jpg"
    samplings = tuple({"subsampling": s, "optimize": True} for s in ("4:2:0", "4:4:4"))


class WebpSubject(FileSubject):
    """WebP at its most thorough method; its lossy form is always 4:2:0."""

    name, feature = "webp", "webp"
    samplings = ({"method": 6},)


class AvifSubject(FileSubject):
    """AVIF at Pillow's own speed, 4:2:0 and 4:4:4 tried."""

    name, feature = "avif", "avif"
    samplings = tuple({"subsampling": s} for s in ("4:2:0", "4:4:4"))


def largest_within(encode: Encode, limit: int, highest: int) -> bytes:
    """The file of the largest quality in 0..`highest` with at most `limit` bytes, by bisection.

    Where quality 0 is larger already, that one.
    """
    best, low = encode(0), 1
    if len(best) > limit:
        return best
    while low <= highest:
        quality = (low + highest) // 2
        data = encode(quality)
        if len(data) <= limit:
            best, low = data, quality + 1
        else:
            highest = quality - 1
    return best


def decode(data: bytes) -> np.ndarray:
    """uint8 (H, W, 3) of a file that Pillow reads."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _scale(codec: Codec) -> int:
    """Scale of the route that has the pixel SR network; BundleError where there is none."""
    for route in codec.bundle.manifest.routes.values():
        if any(step.get("graph") == PIXEL_SR for step in route.steps):
            return route.scale
    raise BundleError(
        f"bundle has no pixel SR network: found no route with graph {PIXEL_SR}, expected one; "
        "export the bundle with --pixel-sr"
    )
