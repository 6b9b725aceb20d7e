"""The public face of the runtime: `load` a bundle, then encode, decode and upscale pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentsr import jpeg
from latentsr import stream as container
from latentsr.backends import split_device
from latentsr.backends.base import EngineOptions
from latentsr.backends.precision import check_precision
from latentsr.bundle import Bundle
from latentsr.decode_checks import check_belongs, check_picture, check_symbols
from latentsr.entropy.repair import Repair
from latentsr.errors import UsageError
from latentsr.image import to_rgb8
from latentsr.last_call import CallRecord, LastCall
from latentsr.loaded import LoadedBundle
from latentsr.manifest import Route
from latentsr.pipeline import routes
from latentsr.pipeline.many import ManyPictures
from latentsr.pipeline.schedule import check_count
from latentsr.stream import Padding, Stream
from latentsr.tiling import calls
from latentsr.tiling.encode import encode_in_tiles
from latentsr.timing import Timeline


class Codec(LoadedBundle, ManyPictures):
    """A loaded bundle. Engines are prepared when a route first needs them.

    All methods may be called from any number of threads at a time and give what they give in one.
    `timeline` and `repairs` are those of the asking thread's last call; a thread that made none
    gets those of the last call to end. `repairs` says for each chunk that was coded with a float
    network's scales how many of them are in doubt here and how many had to be changed (see
    `latentsr.entropy.repair`).
    """

    def __init__(self, bundle: Bundle, backend: str, options: EngineOptions) -> None:
        super().__init__(bundle, backend, options)
        self.last_call = LastCall()

    @property
    def timeline(self) -> Timeline:
        """Stage times of the last call."""
        return self.last_call.record.timeline

    @property
    def repairs(self) -> Sequence[Repair]:
        """What was mended in the last call; empty where nothing was in doubt."""
        return self.last_call.record.repairs

    def warmup(self, route: str = "lr", size: tuple[int, int] | None = None) -> None:
        """Load all engines of a decode route, so that the first picture does not wait.

        size: width and height of coded pictures to come; a grey one is coded and decoded, so that
        kernels are chosen and memory is allocated. Raises BackendError, UsageError.
        """
        for name in self.engines_of(self.bundle.route(route, "decode"), exact=True):
            self.engine(name)
        if size is not None:
            container.check_size(*size)
            self.decode(self.encode(np.full((size[1], size[0], 3), 128, np.uint8)), route)

    def encode(
        self,
        image: Any,
        route: str = "encode",
        exact: bool = True,
        centred: bool = False,
        memory: str | int | None = None,
    ) -> bytes:
        """Compress one picture.

        image: path, PIL image, or uint8/uint16 array (H, W[, 1|3|4]); see `latentsr.image`.
        exact: take scales and means from the bundle's exact graphs, where it has them, so that
        the stream decodes on every device, and code in the `lanes` form; False for strings
        that CompressAI shall decode. centred: pad on all sides, as its example does, instead of
        to the right and below. memory: a budget such as ``"1GiB"`` for the picture and all that is
        computed from it, but for the coder's own arrays; graphs then run in tiles, see
        `latentsr.tiling`.
        Returns the stream's bytes; where the bundle's only chunk is a file of a known format, that
        file. Raises ImageError, UsageError, BackendError.
        """
        return self.pack(self.run_encode(to_rgb8(image), route, exact, centred, memory))

    def pack(self, run: routes.Run) -> bytes:
        """The stream of a run that `run_encode` made; as `encode` returns it."""
        names = [chunk.name for chunk in self.bundle.manifest.chunks]
        if self.bundle.manifest.file_model is not None:
            return run.chunks[names[0]]
        return container.pack(
            Stream(
                run.width, run.height, run.padding, self.bundle.fingerprint,
                tuple(run.chunks[name] for name in names), run.form, run.symbol_crc, run.exact,
            )
        )  # fmt: skip

    def run_encode(
        self,
        picture: np.ndarray,
        route: str,
        exact: bool,
        centred: bool = False,
        memory: str | int | None = None,
    ) -> routes.Run:
        """Run an encode route on uint8 (H, W, 3) and keep every value on the way.

        Within a budget no values are kept, see `encode`.
        """
        height, width = picture.shape[:2]
        container.check_size(width, height)
        run = routes.Run(width, height, Padding(), values={"picture": picture})
        run.multiple, run.centred = self.bundle.manifest.multiple, centred
        run.threads = self.threads
        run.exact = exact and bool(self.bundle.manifest.exact)
        # Context models in floating point have one order of positions, CompressAI's.
        contexts = any(chunk.context for chunk in self.bundle.manifest.chunks)
        run.form = "lanes" if run.exact or (exact and not contexts) else "compressai"
        if memory is None:
            self._execute(self.bundle.route(route, "encode"), run)
        else:
            encode_in_tiles(self, self.bundle.route(route, "encode"), run, memory)
        self.last_call.keep(CallRecord(run.timeline, run.repairs))
        return run

    def decode(
        self,
        stream: bytes | bytearray | memoryview,
        route: str = "lr",
        memory: str | int | None = None,
        region: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Picture of a stream by a decode route: uint8 (H·scale, W·scale, 3).

        memory: a budget such as ``"1GiB"`` for all but the result and the coder's own arrays; the
        route then runs in tiles.
        region: (x, y, width, height) in pixels of that picture; only what it needs is computed.
        Both give the same picture up to float rounding, see `latentsr.tiling`.
        Raises StreamError, CorruptStream, DesyncError, UsageError, BackendError.
        """
        return self._picture(stream, self.bundle.route(route, "decode"), memory, region)

    def upscale(
        self,
        stream: bytes | bytearray | memoryview,
        route: str | None = None,
        memory: str | int | None = None,
        region: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Enlarged picture of a stream: uint8 (H·scale, W·scale, 3); errors as `decode`.

        route: None for the one that the bundle names, usually ``latent_x4``. The rest: as `decode`.
        """
        return self._picture(stream, self.enlarging_route(route), memory, region)

    def upscale_to(
        self,
        stream: bytes | bytearray | memoryview,
        path: str | Path,
        route: str | None = None,
        memory: str | int | None = None,
        region: Sequence[int] | None = None,
    ) -> tuple[int, int]:
        """As `upscale`, into a file, PNG and TIFF strip by strip; returns width and height."""
        return calls.to_file(self, stream, self.enlarging_route(route), path, memory, region)

    def enlarging_route(self, route: str | None) -> Route:
        """A decode route that enlarges, by default the bundle's; UsageError for another."""
        route = self.bundle.manifest.upscale if route is None else route
        chosen = self.bundle.route(route, "decode")
        if chosen.scale == 1:
            known = self.bundle.manifest.routes.items()
            larger = [n for n, r in known if r.scale > 1 and r.kind == "decode"]
            raise UsageError(
                f"route does not enlarge: found {route!r}, expected one of "
                f"{', '.join(larger) or '(none)'}; choose one of these or use decode"
            )
        return chosen

    def open_stream(self, data: bytes | bytearray | memoryview) -> Stream:
        """Take a stream apart and make sure that it belongs to this bundle.

        Where streams are files of a known format, any such file does, in one chunk; its `form` is
        the format.
        """
        whole = container.as_bytes(data)
        model = self.bundle.manifest.file_model
        if model is not None:
            width, height = jpeg.size(whole)
            return Stream(width, height, Padding(), self.bundle.fingerprint, (whole,), model)
        parts = container.unpack(whole)
        check_belongs(parts, self.bundle)
        return parts

    def _execute(self, route: Route, run: routes.Run) -> None:
        """Run a route; engines it must load first are a stage of their own."""
        self.load_engines(self.engines_of(route, run.exact), run)
        routes.execute(route, run, self.machine)

    def begin_decode(self, data: bytes | bytearray | memoryview) -> tuple[Stream, routes.Run]:
        """A stream taken apart, and a run of its chunks."""
        timeline = Timeline()
        with timeline.stage("open stream", "read"):
            parts = self.open_stream(data)
        names = [chunk.name for chunk in self.bundle.manifest.chunks]
        run = routes.Run(
            parts.width, parts.height, parts.padding, parts.form, parts.exact, timeline=timeline
        )
        run.threads = self.threads
        run.chunks = dict(zip(names, parts.chunks, strict=True))
        return parts, run

    def _picture(
        self,
        data: bytes | bytearray | memoryview,
        route: Route,
        memory: str | int | None,
        region: Sequence[int] | None,
    ) -> np.ndarray:
        if memory is not None or region is not None:
            return calls.to_array(self, data, route, memory, region)
        parts, run = self.begin_decode(data)
        self._execute(route, run)
        check_symbols(parts, run.symbol_crc)
        self.last_call.keep(CallRecord(run.timeline, run.repairs))
        picture: np.ndarray = run.values["picture"]
        with run.timeline.stage("release", "image"):
            run.values.clear()  # large arrays: giving their memory back takes time of its own
        check_picture(picture, (parts.height * route.scale, parts.width * route.scale))
        return picture


def load(
    bundle: str | Path,
    backend: str = "ort",
    device: str = "cpu",
    threads: int | None = None,
    profile: bool = False,
    precision: str = "fp32",
    coder: str = "auto",
) -> Codec:
    """Open a bundle for use.

    bundle: folder NAME.lsr, or the word ``demo`` for the shipped one. backend: a name in
    `latentsr.backends.BACKENDS`, perhaps with a device: ``ort:cuda``. device: ``cpu``, ``cuda`` or
    ``cuda:N``; ``cuda`` by itself where the backend runs nowhere else. threads: for the engines,
    1..1024, None leaves it to the library. profile: let the engines measure their nodes, for
    `latentsr.report.profile`. precision: ``fp32``, ``fp16`` for bundles exported with it, ``int8``
    where `latentsr build` made it. coder: what codes our streams where engines run on a GPU,
    ``cpu``, ``cuda``, or ``auto``, which is ``cuda`` for large pictures.
    Raises BundleError, BackendError, UsageError.
    """
    if threads is not None:
        check_count("threads", threads)
    opened = Bundle(bundle)
    backend, device = split_device(backend, device)
    check_precision(opened, precision, backend)
    return Codec(opened, backend, EngineOptions(device, threads, profile, precision, coder=coder))
