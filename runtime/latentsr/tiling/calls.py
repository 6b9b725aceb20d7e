"""Tiled decodes of a codec: a region or all of a picture, as an array or into a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from latentsr.decode_checks import check_picture, check_symbols
from latentsr.errors import UsageError
from latentsr.files import write_atomically
from latentsr.image import save_rgb8
from latentsr.last_call import CallRecord
from latentsr.tiling.budget import parse_memory
from latentsr.tiling.head import start
from latentsr.tiling.job import STRIP_BYTES, Work, finish
from latentsr.tiling.parts import Region, Value
from latentsr.tiling.png import PngWriter
from latentsr.tiling.run import Sink
from latentsr.tiling.sinks import ArraySink, StripSink
from latentsr.tiling.tail import Engines
from latentsr.tiling.tiff import TiffWriter
from latentsr.timing import Stage

if TYPE_CHECKING:
    from latentsr.codec import Codec
    from latentsr.manifest import Route


class StripWriter(Protocol):
    """A picture file that takes rows as they come."""

    def write(self, strip: np.ndarray) -> None:
        """The next rows, uint8 (rows, width, 3)."""

    def close(self) -> None:
        """Write the end of the file."""


STREAMED: dict[str, type[PngWriter] | type[TiffWriter]] = {
    ".png": PngWriter,
    ".tif": TiffWriter,
    ".tiff": TiffWriter,
}
"""Formats that are written strip by strip, by the ending of their names."""
Box = Sequence[int]
_DIGITS = 9  # of a number in a region: pictures are smaller, and int() refuses thousands


def to_array(
    codec: Codec,
    data: bytes | bytearray | memoryview,
    route: Route,
    memory: str | int | None = None,
    region: Box | None = None,
) -> np.ndarray:
    """A region of a stream's picture by a route, uint8 (h, w, 3); see `Codec.upscale`."""
    work_of = _Opened(codec, data, route, memory, region)
    sink = ArraySink(work_of.region)
    work_of.run(_Checked(sink), 0)
    # A single piece may be a part of a larger array, which would stay, or one that Pillow lends.
    return np.require(sink.array, requirements=["C", "W"])


def to_file(
    codec: Codec,
    data: bytes | bytearray | memoryview,
    route: Route,
    path: str | Path,
    memory: str | int | None = None,
    region: Box | None = None,
) -> tuple[int, int]:
    """A region of a stream's picture into a file; its width and height. See `Codec.upscale_to`."""
    path = Path(path)
    kind = STREAMED.get(path.suffix.lower())
    if kind is None:
        if memory is not None:
            raise UsageError(
                f"picture format is not written in strips: found {path.suffix!r} in {path}, "
                f"expected one of {', '.join(STREAMED)} within a memory budget; choose one of "
                "these, or leave the budget out"
            )
        picture = to_array(codec, data, route, None, region)
        save_rgb8(picture, path)
        return picture.shape[1], picture.shape[0]
    opened = _Opened(codec, data, route, memory, region)
    (top, bottom), (left, right) = opened.region

    def write(file: BinaryIO) -> None:
        stage = Stage("write", "write")
        writer = _TimedWriter(kind(file, right - left, bottom - top), stage)
        opened.run(_Checked(StripSink((left, right), writer.write)), STRIP_BYTES)
        writer.close()
        opened.timeline.stages.append(stage)

    write_atomically(path, write)
    return right - left, bottom - top


class _Opened:
    """A stream whose entropy steps are done, and the region that is wanted of its picture."""

    def __init__(
        self,
        codec: Codec,
        data: bytes | bytearray | memoryview,
        route: Route,
        memory: str | int | None,
        region: Box | None,
    ) -> None:
        budget = None if memory is None else parse_memory(memory)
        parts, run = codec.begin_decode(data)
        size = parts.height * route.scale, parts.width * route.scale
        self.region = ((0, size[0]), (0, size[1])) if region is None else check_box(region, size)
        engines = Engines(codec.load_engines, budget is not None, codec.options.precision)
        self._work = Work(route, run, codec.machine, codec.load_engines, budget)
        self._tail = start(self._work, engines)
        check_symbols(parts, run.symbol_crc)
        self._codec, self.timeline = codec, run.timeline

    def run(self, sink: Sink, strip: int) -> None:
        """Make the region."""
        finish(self._tail, self._work, self.region, sink, strip)
        self._codec.last_call.keep(CallRecord(self.timeline, self._work.run.repairs))


class _Checked:
    """A sink that refuses what is no part of a picture."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def put(self, rows: tuple[int, int], columns: tuple[int, int], piece: Value) -> None:
        """One piece of a picture."""
        check_picture(piece, (rows[1] - rows[0], columns[1] - columns[0]))
        self._sink.put(rows, columns, piece)

    def end_rows(self, rows: tuple[int, int]) -> None:
        """As the sink."""
        self._sink.end_rows(rows)


def check_box(box: Box, size: tuple[int, int]) -> Region:
    """Rows and columns of a region (x, y, width, height) of a picture (height, width).

    Raises UsageError where it is empty or reaches beyond the picture.
    """
    numbers = [int(n) for n in box] if all(_is_whole(n) for n in box) else []
    if len(numbers) == 4:
        x, y, width, height = numbers
        spans = (y, y + height), (x, x + width)
        if all(0 <= span[0] < span[1] <= side for span, side in zip(spans, size, strict=True)):
            return spans
    raise UsageError(
        f"region does not lie in the picture: found {','.join(map(str, box))}, expected "
        f"x,y,width,height within {size[1]}x{size[0]}; choose another"
    )


def parse_region(text: str | None) -> tuple[int, ...] | None:
    """Four numbers ``x,y,width,height``, or None for None; UsageError for another text."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) != 4 or not all(w.isdecimal() and len(w) <= _DIGITS for w in words):
        raise UsageError(
            f"region is not known: found {text!r}, expected x,y,width,height in output pixels, "
            "such as 0,0,512,512; pass such numbers"
        )
    return tuple(int(word) for word in words)


def _is_whole(number: object) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


class _TimedWriter:
    """A writer whose calls add up in one stage."""

    def __init__(self, writer: StripWriter, stage: Stage) -> None:
        self._writer, self._stage = writer, stage
        stage.start = time.perf_counter()

    def write(self, strip: np.ndarray) -> None:
        """As the writer."""
        self._add(lambda: self._writer.write(strip))

    def close(self) -> None:
        """As the writer."""
        self._add(self._writer.close)

    def _add(self, call: Callable[[], None]) -> None:
        began = time.perf_counter()
        call()
        self._stage.ms += (time.perf_counter() - began) * 1e3
